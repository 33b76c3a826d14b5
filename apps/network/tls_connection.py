"""A TLS connection that one thread reads while others write.

OpenSSL's objects may not be used by two threads at once, and a reader that waits for its peer must
not keep a writer from sending. So TLS works on memory here: waiting for the network happens outside
the lock, encryption and decryption inside it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import Any, Final, Self

from apps.network.tls import Secured, client_context, secured

_READ_BYTES: Final = 256 * 1024
_WRITE_BYTES: Final = 256 * 1024


class TlsConnection:
    """The part of a socket's interface that associations use, over TLS.

    The side that accepted the connection unless a `hostname` to check is given.
    """

    def __init__(
        self, plain: socket.socket, context: ssl.SSLContext, hostname: str | None = None
    ) -> None:
        self._plain = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=hostname is None,
            server_hostname=hostname,
        )
        self._state = threading.Lock()  # the SSL object
        self._wire = threading.Lock()  # records leave in the order they were encrypted
        self._cipher_text: bytearray | None = None
        self.secured: Secured | None = None

    @classmethod
    def open(cls, plain: socket.socket, hostname: str) -> Self:
        """The calling side, after a handshake within the socket's own time-out.

        Raises TlsNotReady for our settings, OSError (ssl.SSLError is one) for the peer.
        """
        connection = cls(plain, client_context(), hostname)
        with contextlib.suppress(ssl.SSLWantReadError):
            connection._tls.do_handshake()
        plain.sendall(connection._outgoing.read())
        while not connection.shake_hands():
            pass
        return connection

    def shake_hands(self) -> bool:
        """Goes on with what the peer has sent; True once the handshake is complete.

        For a socket that does not block: raises BlockingIOError while nothing is there,
        ssl.SSLError or OSError when it will never succeed.
        """
        if self.secured is not None:
            return True
        received = self._plain.recv(_READ_BYTES)
        if not received:
            raise ConnectionResetError("closed during the handshake")
        self._incoming.write(received)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            # Also an alert, which says why it failed.
            self._plain.sendall(self._outgoing.read())
        self.secured = secured(self._tls)
        return True

    @property
    def pending(self) -> bool:
        """True when poll() would not tell of bytes that are here already."""
        with self._state:
            return self._tls.pending() > 0 or self._incoming.pending > 0

    def recv_into(self, view: memoryview) -> int:
        """At least one byte, or 0 at the end. Waits as the plain socket would."""
        if self._cipher_text is None:
            self._cipher_text = bytearray(_READ_BYTES)
        while True:
            received = self._decrypt(view)
            if received is not None:
                return received
            length = self._plain.recv_into(self._cipher_text)
            if not length:
                return 0
            with self._state:
                self._incoming.write(memoryview(self._cipher_text)[:length])

    def recv(self, limit: int) -> bytes:
        """At most `limit` bytes."""
        taken = bytearray(limit)
        return bytes(taken[: self.recv_into(memoryview(taken))])

    def sendall(self, data: bytes | memoryview) -> None:
        """Encrypts and sends; any thread."""
        rest = memoryview(data)
        with self._wire:
            while rest:
                with self._state:
                    written = self._tls.write(rest[:_WRITE_BYTES])
                    encrypted = self._outgoing.read()
                rest = rest[written:]
                self._plain.sendall(encrypted)

    def shutdown(self, how: int) -> None:
        """As of the socket; before we fall silent the peer is told so (close_notify)."""
        if how == socket.SHUT_WR:
            self._say_goodbye()
        self._plain.shutdown(how)

    def close(self) -> None:
        self._plain.close()

    def fileno(self) -> int:
        return self._plain.fileno()

    def setblocking(self, blocking: bool) -> None:
        self._plain.setblocking(blocking)

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        self._plain.setsockopt(level, option, value)

    def getsockname(self) -> Any:
        return self._plain.getsockname()

    def _decrypt(self, view: memoryview) -> int | None:
        """As many bytes as are here; 0 at the end, None when more must come first."""
        total = 0
        with self._state:
            while total < len(view):
                try:
                    got = self._tls.read(len(view) - total, view[total:])
                except ssl.SSLWantReadError:
                    return total or None
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    return total
                if not got:
                    break
                total += int(got)
        return total

    def _say_goodbye(self) -> None:
        if not self._wire.acquire(blocking=False):
            return  # somebody is sending, and the peer does not read
        try:
            with self._state:
                # It has not said goodbye itself yet, or never will.
                with contextlib.suppress(ssl.SSLError):
                    self._tls.unwrap()
                encrypted = self._outgoing.read()
            self._plain.sendall(encrypted)
        finally:
            self._wire.release()


Connection = socket.socket | TlsConnection
