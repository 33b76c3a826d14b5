"""What looks at this process's sockets changes nothing about its files."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from pathlib import Path

import pytest

from pacsweb.own_sockets import own_connections

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of descriptors")


def test_sockets_are_borrowed_and_files_left_alone(tmp_path: Path) -> None:
    """Else an object that is being received stays locked, or the database loses its locks."""
    path = tmp_path / "received"
    with path.open("wb") as file, socket.create_server(("127.0.0.1", 0)) as server:
        fcntl.flock(file, fcntl.LOCK_EX)
        before = sorted(Path("/proc/self/fd").iterdir())
        with socket.socket(fileno=os.dup(server.fileno())):
            found = [each for each in own_connections() if each.getsockname()[1]]
            mine = [each for each in found if each.getsockname() == server.getsockname()]
            assert len(mine) == 1
            assert mine[0].is_still_there()
        del found, mine
        assert sorted(Path("/proc/self/fd").iterdir()) == before
        server.getsockname()
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_socket_that_its_owner_closed_is_not_taken_for_another() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    (mine,) = (e for e in own_connections() if e.getsockname() == server.getsockname())
    number = server.fileno()
    server.close()
    assert not mine.is_still_there()
    first, second = socket.socketpair()
    with first, second:
        if number not in {first.fileno(), second.fileno()}:
            os.dup2(first.fileno(), number)
        assert not mine.is_still_there()
        if number not in {first.fileno(), second.fileno()}:
            os.close(number)
