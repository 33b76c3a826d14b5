"""What looks at this process's sockets holds nothing else open."""

from __future__ import annotations

import fcntl
import socket
import sys
from pathlib import Path

import pytest

from pacsweb.own_sockets import own_connections

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of descriptors")


def test_a_file_that_is_open_meanwhile_is_let_go(tmp_path: Path) -> None:
    """Else an object that was being received stays locked, and is never indexed."""
    path = tmp_path / "received"
    with path.open("wb") as file, socket.create_server(("127.0.0.1", 0)) as server:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = list(own_connections())
        names = {each.getsockname() for each in found}
        for each in found:
            each.close()
        assert server.getsockname() in names
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
