"""Reading what another system answers, however slowly, without being held by it."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from typing import Any, Final

Look = Callable[[], None]
"""Called while nothing comes; raises to stop waiting."""

LOOK_SECONDS: Final = 1.0
IDLE_SECONDS: Final = 120.0
"""So long nothing may come: an archive fetches from tape, a dead one does not."""
_WINDOW_SECONDS: Final = 300.0
_LEAST_BYTES: Final = 64 << 10
"""What has to come in a window of waiting: less is no transfer that will ever end."""


class StillWaiting(TimeoutError):
    """Too little came for too long; the text says which."""


class Watched:
    """A socket as `http.client` reads it, by a file of its own."""

    def __init__(self, sock: socket.socket, look: Look) -> None:
        self._raw = _Watched(sock, look)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """The bytes that come."""
        return io.BufferedReader(self._raw, 64 << 10)


class _Watched(io.RawIOBase):
    def __init__(self, sock: socket.socket, look: Look) -> None:
        self._held = sock.makefile("rb", buffering=0)  # keeps the connection open while we read
        self._sock = sock
        self._look = look
        self._waited = 0.0
        self._came = 0
        sock.settimeout(LOOK_SECONDS)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Some bytes, 0 at the end. Raises StillWaiting, and what `look` raises."""
        began = time.monotonic()
        while True:
            self._look()
            try:
                count = self._sock.recv_into(buffer)
                break
            except TimeoutError:
                if time.monotonic() - began >= IDLE_SECONDS:
                    raise StillWaiting("nothing came for two minutes") from None
        self._count(count, time.monotonic() - began)
        return count

    def _count(self, count: int, seconds: float) -> None:
        """Only the time spent waiting counts: it may be we who are slow."""
        self._came += count
        self._waited += seconds
        if self._waited >= _WINDOW_SECONDS:
            if self._came < _LEAST_BYTES:
                raise StillWaiting("it sends next to nothing")
            self._came, self._waited = 0, 0.0

    def close(self) -> None:
        """Lets go of the connection."""
        self._held.close()
        super().close()
