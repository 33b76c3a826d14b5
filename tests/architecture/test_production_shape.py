"""docker-compose.yml and the Dockerfile fit the product they start."""

from __future__ import annotations

import importlib.util
import re
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from pacsweb.processes import processes
from pacsweb.settings.environment import ENVIRONMENT, PROJECT_ROOT

PRODUCT = {"prepare", "web", "events", "dimse", "worker-index", "worker-transfer", "worker", "beat"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text())
    return loaded


def test_every_process_has_its_service(compose: dict[str, Any]) -> None:
    rows = {row.name for row in processes(ENVIRONMENT)}
    assert rows <= set(compose["services"])
    assert set(compose["services"]) >= PRODUCT


def test_every_lasting_service_has_a_health_check(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if service.get("restart") != "no":
            assert service["healthcheck"]["test"], name


def test_the_product_runs_without_rights(compose: dict[str, Any]) -> None:
    for name in PRODUCT:
        service = compose["services"][name]
        assert service["user"] == "10001:10001"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_no_secret_stands_in_the_file(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|ACCESS_KEY", variable):
                assert value.startswith("${"), variable
                assert ":-" not in value, variable


def _commands(service: dict[str, Any]) -> list[list[str]]:
    command = service["command"]
    if command[0] == "sh":
        return [part.split() for part in command[2].split("&&")]
    return [command]


@pytest.mark.parametrize("name", sorted(PRODUCT))
def test_its_command_exists(compose: dict[str, Any], name: str) -> None:
    for command in _commands(compose["services"][name]):
        if command[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(command[2]) is not None
        elif command[:2] == ["python", "manage.py"]:
            assert command[2] in get_commands()
        else:
            assert command[:3] == ["celery", "--app", "pacsweb"]


@pytest.mark.parametrize("name", ["worker-index", "worker-transfer", "worker", "beat"])
def test_workers_run_as_under_serve(compose: dict[str, Any], name: str) -> None:
    row = next(row for row in processes(ENVIRONMENT) if row.name == name)
    command = compose["services"][name]["command"]
    if "--queues" in row.command:
        queues = row.command[row.command.index("--queues") + 1]
        assert command[command.index("--queues") + 1] == queues
    assert compose["services"][name]["environment"]["PACSWEB_PROCESS"] == name


def test_everything_depended_on_exists(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in compose["volumes"]


def test_every_value_asked_for_is_in_the_example() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (PROJECT_ROOT / "docker-compose.yml").read_text()))
    example = (PROJECT_ROOT / ".env.example").read_text()
    given = set(re.findall(r"(?m)^(\w+)=", example))
    assert asked == given


def test_the_image_copies_only_what_exists() -> None:
    text = (PROJECT_ROOT / "Dockerfile").read_text()
    for line in re.findall(r"(?m)^COPY (?!--from)(.+)$", text):
        for source in line.split()[:-1]:
            assert (PROJECT_ROOT / source).exists(), source
    assert re.search(r"(?m)^USER 10001", text)
    assert "HEALTHCHECK" in text
