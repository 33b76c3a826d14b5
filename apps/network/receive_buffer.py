"""The receiving side of one connection: one large buffer, filled straight from the socket."""

from __future__ import annotations

import mmap
import select
import socket
import struct

from apps.network.tls_connection import Connection, TlsConnection

BUFFER_BYTES = 1024 * 1024

# Linux only. Without it a sender that leaves Nagle's algorithm on waits 40 ms for our delayed
# acknowledgement in every message; the kernel clears it again by itself, so it is set each time.
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


class ConnectionLostError(ConnectionError):
    """The peer closed or reset the connection, or sent nothing for too long."""


class ReceiveBuffer:
    """Bytes of one connection in order. Used by one thread. `patience` in s bounds each read."""

    def __init__(self, connection: Connection, *, patience: float, first: bytes = b"") -> None:
        connection.setblocking(True)
        self._connection = connection
        self.be_patient(patience)
        # Anonymous memory costs nothing until it is touched, so an idle association stays small.
        self._memory = mmap.mmap(
            -1, max(BUFFER_BYTES, len(first)), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        )
        self._view = memoryview(self._memory)
        self._view[: len(first)] = first
        self._start, self._end = 0, len(first)

    def be_patient(self, seconds: float) -> None:
        """Bounds each read and write from now on.

        By the kernel's own time-outs: Python's cost a poll() for each read and write.
        """
        interval = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._connection.setsockopt(socket.SOL_SOCKET, option, interval)

    def ready(self, seconds: float) -> bool:
        """True when there are bytes within `seconds`, or the peer has closed."""
        if self.hidden:
            return True
        waiting = select.poll()
        waiting.register(self._connection, select.POLLIN)
        return bool(waiting.poll(seconds * 1000))

    @property
    def available(self) -> int:
        """Bytes that can be had without touching the socket."""
        return self._end - self._start

    @property
    def hidden(self) -> bool:
        """True when poll() would not tell of bytes that are here already, ours or TLS's."""
        if self._end > self._start:
            return True
        return isinstance(self._connection, TlsConnection) and self._connection.pending

    def peek(self, length: int) -> memoryview:
        """The next `length` bytes (at most the buffer's size), not consumed."""
        while self.available < length:
            self._fill()
        return self._view[self._start : self._start + length]

    def skip(self, length: int) -> None:
        """Consumes bytes that were peeked at."""
        self._start += length

    def take(self, length: int) -> bytes:
        """The next `length` bytes, copied and consumed; any length."""
        taken = bytearray()
        while len(taken) < length:
            taken += self.run(length - len(taken))
        return bytes(taken)

    def run(self, limit: int) -> memoryview:
        """At least one and at most `limit` bytes, consumed; valid until the next call."""
        if self._start == self._end:
            self._fill()
        stop = min(self._end, self._start + limit)
        view = self._view[self._start : stop]
        self._start = stop
        return view

    def _fill(self) -> None:
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == len(self._view):
            waiting = self.available
            self._view[:waiting] = self._view[self._start : self._end]
            self._start, self._end = 0, waiting
        try:
            if _QUICKACK is not None:
                self._connection.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            received = self._connection.recv_into(self._view[self._end :])
        except (BlockingIOError, TimeoutError) as error:
            raise ConnectionLostError("nothing came for too long inside a message") from error
        except OSError as error:
            raise ConnectionLostError(str(error)) from error
        if not received:
            raise ConnectionLostError("closed by the peer")
        self._end += received
