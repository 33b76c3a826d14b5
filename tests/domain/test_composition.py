"""First start, readiness, metrics, deployment checks, example studies."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.checks import run_checks
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from apps.access.principals import Permission
from apps.archive.models import Instance
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.demonstration import EXAMPLES, example_files, load_demonstration
from apps.ingest.models import QuarantinedInstance
from apps.storage import capacity
from apps.storage.models import StoragePolicy
from pacsweb import first_start, metrics, readiness
from tests.servers import UnixRedis, free_port

pytestmark = pytest.mark.django_db

WORKERS = ("events", "worker-index", "worker-transfer", "worker", "beat")


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_remembered", readiness._Remembered())
    monkeypatch.setattr(metrics, "_remembered", metrics._Remembered())
    settings.PACSWEB.inbox.mkdir(parents=True, exist_ok=True)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Something that listens where the DICOM receiver would."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        monkeypatch.setattr(
            settings, "PACSWEB", dataclasses.replace(settings.PACSWEB, dicom_port=port)
        )
        yield


@pytest.fixture
def alive() -> None:
    for name in WORKERS:
        cache.set(f"alive:{name}", int(time.time()), 15)


def parts(client: Client) -> tuple[int, dict[str, str]]:
    response = client.get("/readyz")
    return response.status_code, response.json()["parts"]


# -- the first administrator


def test_the_first_administrator_gets_a_password_of_our_making() -> None:
    password = first_start.ensure_administrator()
    user = get_user_model().objects.get(username="admin")
    assert user.is_superuser
    assert user.check_password(password)
    assert len(password) >= 16


def test_a_given_password_is_used_and_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    given = dataclasses.replace(settings.PACSWEB, admin_password="given by somebody")
    monkeypatch.setattr(settings, "PACSWEB", given)
    assert first_start.ensure_administrator() == ""
    assert get_user_model().objects.get(username="admin").check_password("given by somebody")


def test_a_second_start_changes_nobodys_password() -> None:
    first_start.ensure_administrator()
    user = get_user_model().objects.get(username="admin")
    user.set_password("changed since")
    user.is_active = False
    user.save()
    assert first_start.ensure_administrator() == ""
    user.refresh_from_db()
    assert user.check_password("changed since")
    assert not user.is_active


# -- readiness


def test_ready_when_every_part_serves(client: Client, receiver: None, alive: None) -> None:
    status, found = parts(client)
    assert set(found.values()) == {"ok"}, found
    assert status == 200
    assert set(found) == {
        *("database", "redis", *WORKERS),
        *("dimse", "blobs", "inbox", "space"),
    }


@pytest.mark.parametrize("missing", WORKERS)
def test_a_silent_worker_is_named(
    client: Client, receiver: None, alive: None, missing: str
) -> None:
    cache.delete(f"alive:{missing}")
    status, found = parts(client)
    assert status == 503
    assert {name for name, state in found.items() if state != "ok"} == {missing}


def test_a_receiver_that_does_not_answer_is_named(
    client: Client, alive: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = dataclasses.replace(settings.PACSWEB, dicom_port=free_port())
    monkeypatch.setattr(settings, "PACSWEB", nobody)
    status, found = parts(client)
    assert (status, found["dimse"]) == (503, "no answer")


def test_a_dead_redis_is_named(client: Client, receiver: None, redis_server: UnixRedis) -> None:
    redis_server.kill()
    try:
        status, found = parts(client)
    finally:
        redis_server.start()
    assert (status, found["redis"], found["worker"]) == (503, "no answer", "unknown")


def test_the_watermarks_are_told(
    client: Client, receiver: None, alive: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "_watch", capacity._Watch())
    StoragePolicy.objects.update_or_create(
        pk=1, defaults={"refuse_associations_below": 100.0, "refuse_instances_below": 0.0}
    )
    assert parts(client)[1]["space"] == "low"
    StoragePolicy.objects.update(refuse_instances_below=100.0)
    capacity.forget()
    monkeypatch.setattr(readiness, "_remembered", readiness._Remembered())
    status, found = parts(client)
    assert (status, found["space"]) == (503, "full")


def test_readiness_ignores_the_host_name_and_needs_no_login(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "ALLOWED_HOSTS", ["pacs.example.org"])
    assert client.get("/readyz", headers={"host": "10.1.2.3"}).status_code in {200, 503}
    assert client.get("/livez", headers={"host": "10.1.2.3"}).status_code == 200
    assert client.get("/login/", headers={"host": "10.1.2.3"}).status_code == 400


# -- metrics


def scrape(client: Client, **options: Any) -> dict[str, float]:
    text = client.get("/metrics", **options).content.decode()
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_count_what_there_is(client: Client) -> None:
    before = scrape(client)
    assert before["pacsweb_studies"] == 0
    assert before["pacsweb_accepts_instances"] == 1
    assert before["pacsweb_disk_free_bytes"] > 0
    assert before["pacsweb_inbox_files"] == 0

    names = load_demonstration()
    metrics._remembered = metrics._Remembered()
    assert scrape(client)["pacsweb_inbox_files"] == len(names)
    drain_inbox(60.0)
    metrics._remembered = metrics._Remembered()
    after = scrape(client)
    assert after["pacsweb_inbox_files"] == 0
    assert after["pacsweb_instances"] == len(names)
    assert after["pacsweb_stored_bytes"] > 0
    assert after["pacsweb_events_total"] > before["pacsweb_events_total"]


def test_metrics_are_for_this_machine_and_for_those_who_may(client: Client) -> None:
    from django.contrib.auth.models import Group

    from apps.access.roles import ensure_roles

    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", **elsewhere).status_code == 401
    proxied = {"headers": {"X-Forwarded-For": "127.0.0.1"}}
    assert client.get("/metrics", **proxied).status_code == 401

    ensure_roles()
    user = get_user_model().objects.create_user("reader", password="a long password")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/metrics", **elsewhere).status_code == 403
    user.groups.add(Group.objects.get(name="administrator"))
    from apps.access.authentication import forget_remembered

    forget_remembered()
    assert Permission.READ_METRICS.value == "access.read_metrics"
    assert client.get("/metrics", **elsewhere).status_code == 200


# -- deployment checks


def test_embedded_defaults_are_refused_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    embedded = dataclasses.replace(settings.PACSWEB, database_url="sqlite:///somewhere")
    monkeypatch.setattr(settings, "PACSWEB", embedded)
    found = {each.id for each in run_checks(include_deployment_checks=True)}
    assert found >= {f"pacsweb.E00{number}" for number in range(1, 7)}


def test_a_production_environment_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACSWEB_SECRET_KEY", "x" * 64)
    monkeypatch.setenv("PACSWEB_REDIS_URL", "redis://redis:6379/0")
    production = dataclasses.replace(
        settings.PACSWEB,
        database_url="postgresql://user:secret@host/name",
        redis_url="redis://redis:6379/0",
        storage_url="s3://bucket/prefix",
        allowed_hosts=("pacs.example.org",),
        secure_cookies=True,
        public_url="https://pacs.example.org",
    )
    monkeypatch.setattr(settings, "PACSWEB", production)
    found = {each.id for each in run_checks(include_deployment_checks=True)}
    assert {each for each in found if each.startswith("pacsweb.")} == set()


# -- example studies


def test_every_example_is_there() -> None:
    files = example_files()
    assert len(files) > 2 * len(EXAMPLES)
    assert len(set(files)) == len(files)


def test_examples_are_indexed_once_however_often_they_are_loaded() -> None:
    names = load_demonstration()
    drain_inbox(60.0)
    assert Instance.objects.count() == len(names)
    load_demonstration()
    drain_inbox(60.0)
    assert Instance.objects.count() == len(names)
    assert QuarantinedInstance.objects.count() == 0
