"""This process's own sockets, which the server keeps to itself."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path


class BorrowedSocket(socket.socket):
    """A socket by the descriptor of its owner, which is never closed here.

    A descriptor of our own would have to be closed again, and might by then be one of the
    database's: closing any descriptor of a file gives up all locks that this process has on it
    (fcntl(2)), which SQLite relies on. The owner may close it at any time; ask `is_still_there`.
    """

    inode = 0

    def is_still_there(self) -> bool:
        """Whether the descriptor is still that of the same socket."""
        try:
            return os.fstat(self.fileno()).st_ino == self.inode
        except OSError:
            return False

    def close(self) -> None:
        """Gives it back."""
        self.detach()

    def __del__(self) -> None:
        self.detach()


def own_connections() -> Iterator[BorrowedSocket]:
    """The TCP sockets of this process, each once however many descriptors it has. Linux only."""
    seen = set()
    for opened in Path("/proc/self/fd").iterdir():
        number = int(opened.name)
        try:
            status = os.fstat(number)
            if not stat.S_ISSOCK(status.st_mode) or status.st_ino in seen:
                continue
            found = BorrowedSocket(fileno=number)
        except OSError:
            continue  # closed meanwhile
        seen.add(status.st_ino)
        found.inode = status.st_ino
        if found.family in {socket.AF_INET, socket.AF_INET6} and found.is_still_there():
            yield found
