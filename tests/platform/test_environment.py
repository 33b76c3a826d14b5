"""The environment: typed, refused in a sentence, and one key for all processes."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pacsweb import preflight
from pacsweb.settings import database_from_url
from pacsweb.settings.environment import PROJECT_ROOT, read_environment


@pytest.fixture(autouse=True)
def _bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("PACSWEB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PACSWEB_DATA_DIR", str(tmp_path))


def test_defaults_lie_in_the_data_folder(tmp_path: Path) -> None:
    environment = read_environment()
    assert environment.database_url == f"sqlite:///{tmp_path}/pacsweb.sqlite3"
    assert environment.storage_url == f"file://{tmp_path}/blobs"
    assert environment.inbox == tmp_path / "inbox"
    assert environment.embedded_redis
    assert environment.bind == "127.0.0.1"


def test_a_long_data_folder_gets_a_short_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACSWEB_DATA_DIR", str(tmp_path / ("long" * 40)))
    assert len(read_environment().redis_socket) <= 100


def test_a_redis_elsewhere_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACSWEB_REDIS_URL", "redis://somewhere:6379/0")
    assert not read_environment().embedded_redis


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PACSWEB_WEB_WORKERS", "many", "must be a whole number, not 'many'."),
        ("PACSWEB_SECURE_COOKIES", "maybe", "must be 1 or 0, not 'maybe'."),
        ("PACSWEB_LOG_FORMAT", "xml", "must be one of plain, json, not 'xml'."),
    ],
)
def test_nonsense_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    sentence: str,
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        read_environment()
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"{name} {sentence}\n"


def test_an_unknown_database_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        database_from_url("mysql://host/name")
    assert ended.value.code == 2
    assert "must begin with sqlite:/// or postgresql://, not with mysql" in capsys.readouterr().err


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    script = "from pacsweb.settings.environment import ENVIRONMENT; print(ENVIRONMENT.secret_key)"

    def key(_: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", script],
            cwd=PROJECT_ROOT,
            env={**os.environ, "PACSWEB_DATA_DIR": str(tmp_path / "fresh")},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(key, range(8)))
    assert len(keys) == 1
    assert len(keys.pop()) > 50
    assert (tmp_path / "fresh" / "secret-key").stat().st_mode & 0o077 == 0


def test_the_event_port_nobody_chose_makes_way_for_every_other(monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        asked = dataclasses.replace(
            read_environment(),
            bind="127.0.0.1",
            http_port=taken - 1,
            event_port=taken,
            dicom_port=taken + 1,
            hl7_port=taken + 2,
        )
        monkeypatch.delenv("PACSWEB_EVENT_PORT", raising=False)
        moved = preflight.with_event_port(asked)
        assert moved.event_port > taken + 2
        assert dataclasses.replace(moved, event_port=taken) == asked
        monkeypatch.setenv("PACSWEB_EVENT_PORT", str(taken))
        assert preflight.with_event_port(asked) == asked
