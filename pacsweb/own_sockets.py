"""This process's own sockets, which the server keeps to itself."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path


def own_connections() -> Iterator[socket.socket]:
    """The TCP sockets of this process, each by a descriptor of its own, to be closed by the caller.

    Linux only. Of other files no descriptor is made: a second one would keep what is locked by the
    first, such as an object that was just received, from everybody else.
    """
    for opened in Path("/proc/self/fd").iterdir():
        number = int(opened.name)
        try:
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            own = os.dup(number)
        except OSError:
            continue  # closed meanwhile
        try:
            found = socket.socket(fileno=own)
        except OSError:
            os.close(own)  # another file has that number by now
            continue
        if found.family in {socket.AF_INET, socket.AF_INET6}:
            yield found
        else:
            found.close()
