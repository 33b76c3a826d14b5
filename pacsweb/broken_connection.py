"""Breaking the connection of an answer that cannot be completed.

A body of unknown length ends with an empty chunk (RFC 9112 7.1). Where our iterator fails, granian
sends that chunk all the same, and does not say which socket it was: the client takes a part for the
whole. So we look for the socket: what we hand over next has a length that nobody can guess, and the
socket that has grown by exactly that, twice, is the one. It is reset, which no client mistakes for
an end.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import secrets
import socket
import struct
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from typing import Final

from pacsweb.own_sockets import BorrowedSocket, own_connections

_SENTENCE: Final = b"\r\n\r\nThe answer ends here: it could not be completed.\r\n"
_LEAST, _MOST = 1 << 10, 1 << 14
# A slow client first has to take what was sent before.
_PATIENCE_SECONDS: Final = 20.0
_ROUND_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 0.002
_BYTES_ACKED: Final = 120  # in Linux' struct tcp_info
_ADDRESS_BYTES: Final = 16


def broken(port: int) -> Iterator[bytes]:
    """What is to be sent until the connection is broken, or cannot be.

    `port` is the one that the server listens on.
    """
    suspects = _connections(port) if sys.platform == "linux" else []
    found: BorrowedSocket | None = None
    until = time.monotonic() + _PATIENCE_SECONDS
    while suspects and time.monotonic() < until:
        before = [_written(each) for each in suspects]
        filler = _SENTENCE.ljust(_LEAST + secrets.randbelow(_MOST - _LEAST))
        yield filler
        grown = _grown(suspects, before, len(filler))
        if grown is not None and grown is found:
            _reset(grown)
            return
        found = grown


def _connections(port: int) -> list[BorrowedSocket]:
    """This process's sockets to clients."""
    return [each for each in own_connections() if _is_connection(each, port)]


def _is_connection(each: socket.socket, port: int) -> bool:
    try:
        return each.getsockname()[1] == port and bool(each.getpeername())
    except OSError:
        return False


def _grown(
    suspects: Sequence[BorrowedSocket], before: Sequence[int], length: int
) -> BorrowedSocket | None:
    """The only one that was given so much, bare or as a chunk; waits a moment for it."""
    wanted = {length, len(f"{length:x}\r\n\r\n") + length}
    until = time.monotonic() + _ROUND_SECONDS
    while time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
        pairs = zip(suspects, before, strict=True)
        grown = [each for each, earlier in pairs if _written(each) - earlier in wanted]
        if len(grown) == 1:
            return grown[0]
    return None


def _written(each: BorrowedSocket) -> int:
    """Bytes that were ever given to the socket: those acknowledged, and those in its queue."""
    if not each.is_still_there():
        return 0
    waiting = array.array("i", [0])
    try:
        fcntl.ioctl(each, termios.TIOCOUTQ, waiting)
        info = each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED + 8)
        (acknowledged,) = struct.unpack_from("=Q", info, _BYTES_ACKED)
    except (OSError, struct.error):
        return 0
    return int(acknowledged) + waiting[0]


def _reset(each: BorrowedSocket) -> None:
    """Dissolves the connection (connect(2): AF_UNSPEC), which a client sees as a reset."""
    if not each.is_still_there():
        return
    ctypes.CDLL(None).connect(each.fileno(), bytes(_ADDRESS_BYTES), _ADDRESS_BYTES)
