"""Who begins a request and then falls silent does not hold a place for ever.

The server has no time limit for bodies, and its blocking read ends only when bytes come or the
connection does. A peer that vanished (a cable, a sleeping laptop, a VPN that is gone) is noticed
by TCP keep-alive; one that is there and says nothing has its connection shut for reading, so that
the view sees the end of the body and can still answer.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from operator import itemgetter
from typing import Any, Final

from pacsweb.own_sockets import BorrowedSocket, own_connections

SILENCE_SECONDS: Final = 60.0
"""How long no byte may come while a body is waited for."""

_LOOK_SECONDS: Final = 1.0
_PIECE: Final = 64 << 10
"""So many bytes at a time, at 1.1 KB/s and faster, show that a sender is slow and not silent."""
_KEEP_ALIVE: Final = (
    ("TCP_KEEPIDLE", 60),
    ("TCP_KEEPINTVL", 15),
    ("TCP_KEEPCNT", 4),
)
# struct tcp_info of Linux: milliseconds since data was last sent and received.
_TCP_INFO_LENGTH: Final = 104
_LAST_SENT: Final = 44
_LAST_RECEIVED: Final = 52

_waiting: dict[int, tuple[float, str]] = {}


class WatchedBody:
    """`wsgi.input` whose reads are noted while they last."""

    def __init__(self, body: Any, address: str) -> None:
        self._body = body
        self._address = address

    def read(self, size: int = -1, /) -> bytes:
        """As the server's own: blocks until so many bytes are there or the body ends."""
        if 0 <= size <= _PIECE:
            return self._piece(size)
        pieces: list[bytes] = []
        left = size if size >= 0 else sys.maxsize
        while left and (piece := self._piece(min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def _piece(self, size: int) -> bytes:
        with self._noted():
            return bytes(self._body.read(size))

    def readline(self, size: int = -1, /) -> bytes:
        """One line, at most so many bytes."""
        with self._noted():
            return bytes(self._body.readline() if size < 0 else self._body.readline(size))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    @contextmanager
    def _noted(self) -> Iterator[None]:
        _waiting[threading.get_ident()] = (time.monotonic(), self._address)
        try:
            yield
        finally:
            _waiting.pop(threading.get_ident(), None)


def watched(environ: dict[str, Any]) -> None:
    """Puts the request's body under watch."""
    environ["wsgi.input"] = WatchedBody(environ["wsgi.input"], environ["REMOTE_ADDR"])


def begin_watch() -> None:
    """Once in each process that serves; does nothing where the system cannot tell of silence."""
    if sys.platform == "linux":
        threading.Thread(target=_watch, name="silent-senders", daemon=True).start()


def _watch() -> None:
    listening = False
    while True:
        time.sleep(_LOOK_SECONDS)
        with suppress(OSError):
            listening = listening or _notice_vanished_peers()
            now = time.monotonic()
            begun = list(_waiting.values())
            silent = Counter(a for since, a in begun if now - since > SILENCE_SECONDS)
            if silent:
                _shut(silent)


def _shut(silent: Counter[str]) -> None:
    """Shuts as many connections of an address as wait for its bytes, the longest silent first.

    The server does not tell which connection a request came by. One that is busy, or has bytes
    that nobody has read yet, is left alone.
    """
    found: list[tuple[int, str, BorrowedSocket]] = []
    for connection in own_connections():
        with suppress(OSError):
            found.append((_silence(connection), connection.getpeername()[0], connection))
    for silence, address, connection in sorted(found, key=itemgetter(0), reverse=True):
        if silence >= SILENCE_SECONDS * 1000 and silent[address]:
            silent[address] -= 1
            with suppress(OSError):
                if connection.is_still_there():
                    connection.shutdown(socket.SHUT_RD)


def _silence(connection: socket.socket) -> int:
    """Milliseconds since either side sent anything; 0 where bytes wait to be read."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_LENGTH)
    sent, received = (struct.unpack_from("I", info, at)[0] for at in (_LAST_SENT, _LAST_RECEIVED))
    (unread,) = struct.unpack("i", fcntl.ioctl(connection, termios.FIONREAD, b"\0" * 4))
    return 0 if unread else int(min(sent, received))


def _notice_vanished_peers() -> bool:
    """TCP keep-alive for all that our listening sockets will accept; False while there are none.

    The server opens them itself, after it has loaded the application.
    """
    listening = False
    for found in own_connections():
        if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            listening = True
            found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEP_ALIVE:
                found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return listening
