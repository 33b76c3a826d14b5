"""The same product on PostgreSQL, Redis over TCP and S3, by addresses alone."""

from __future__ import annotations

import pytest

from tests.stack import Stack


def test_every_part_serves(production_stack: Stack) -> None:
    status, body = production_stack.readiness()
    assert status == 200, body
    assert "redis" not in production_stack.processes().values()
    assert not (production_stack.data_dir / "pacsweb.sqlite3").exists()


def test_examples_arrive_in_the_bucket(production_stack: Stack) -> None:
    said = production_stack.manage("demo", "--timeout", "120").stdout
    handed_in = int(said.split()[0])
    assert f"{handed_in} can be seen now." in said

    import boto3

    assert production_stack.s3 is not None
    objects = boto3.client(
        "s3",
        endpoint_url=production_stack.s3.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    pages = objects.get_paginator("list_objects_v2").paginate(Bucket=production_stack.s3.bucket)
    assert sum(len(page.get("Contents", [])) for page in pages) == handed_in
    assert not list((production_stack.data_dir / "blobs").glob("**/*.dcm"))


def test_a_study_is_found_by_qido(production_stack: Stack) -> None:
    production_stack.manage("demo", "--timeout", "120")
    answer = production_stack.get("/dicom-web/studies?PatientID=1CT1")
    assert answer.status_code == 200
    assert [row["00100020"]["Value"] for row in answer.json()] == [["1CT1"]]


def test_deployment_checks_pass_with_a_production_environment(production_stack: Stack) -> None:
    outcome = production_stack.manage("check", "--deploy", check=False)
    assert outcome.returncode != 0
    for identifier in ("E004", "E005", "E006"):
        assert f"pacsweb.{identifier}" in outcome.stderr
    for identifier in ("E001", "E002", "E003"):
        assert f"pacsweb.{identifier}" not in outcome.stderr


@pytest.mark.crash
def test_a_minute_without_redis_is_survived(production_stack: Stack) -> None:
    assert production_stack.redis is not None
    production_stack.redis.kill()
    production_stack.wait_until(lambda: production_stack.readiness()[0] == 503, 30, "a 503")
    production_stack.redis.start()
    production_stack.wait_ready(120)
