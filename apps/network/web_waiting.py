"""A connection to another system that holds nobody: whoever waits for it is asked every second.

Looking its name up, connecting, the handshake of TLS, sending and reading all end at once where
the one who waits gives up, and after a while where the other side does nothing.
"""

from __future__ import annotations

import errno
import io
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

Look = Callable[[], None]
"""Called while nothing comes or goes; raises to stop waiting."""

LOOK_SECONDS: Final = 1.0
IDLE_SECONDS: Final = 120.0
"""So long nothing may come: an archive fetches from tape, a dead one does not."""
CONNECT_SECONDS: Final = 15.0
_WINDOW_SECONDS: Final = 300.0
_LEAST_BYTES: Final = 64 << 10
"""What has to pass in a window of waiting: less is no transfer that will ever end."""
_CONNECTING: Final = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR})

Done = TypeVar("Done")


class StillWaiting(TimeoutError):
    """Too little passed for too long; the text says which."""


def connected(host: str, port: int, look: Look) -> Watched:
    """A connection to the first address that takes it. Raises OSError, and what `look` raises."""
    until = time.monotonic() + CONNECT_SECONDS
    problem: OSError | None = None
    addresses = _resolved(host, port, look, until)
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        made = Watched(socket.socket(family, kind, protocol), look)
        now = time.monotonic()
        try:
            # A silent address, often that of IPv6, leaves the next ones their share of the time.
            made.connect(address, now + (until - now) / (len(addresses) - tried))
        except OSError as error:
            made.close()
            problem = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise problem or OSError("no address")


def _resolved(host: str, port: int, look: Look, until: float) -> list[Any]:
    """Looked up in a thread of its own: nothing else ends that before its time."""
    found: list[Any] = []
    done = threading.Event()

    def ask() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)
        finally:
            done.set()

    threading.Thread(target=ask, name="host-name", daemon=True).start()
    while not done.wait(LOOK_SECONDS):
        look()
        if time.monotonic() > until:
            raise StillWaiting("its host name was not found in time")
    if isinstance(found[0], Exception):
        raise found[0]
    addresses: list[Any] = found[0]
    return addresses


class Watched:
    """A socket as `http.client` uses it. `look` is called while one waits, and now and then."""

    def __init__(self, sock: socket.socket, look: Look) -> None:
        sock.setblocking(False)
        self.look = look
        self.idle = IDLE_SECONDS
        self.allowed: int | None = None
        """So many bytes may still come, for what is read at the moment; None for any number."""
        self.until: float | None = None
        """Nobody waits beyond this moment, whatever passes; None for no such end."""
        self._sock = sock
        self._users = 1  # the connection, and the files made of it
        self._waited = 0.0
        self._passed = 0

    def connect(self, address: Any, until: float) -> None:
        """Raises OSError."""
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        number = self._sock.connect_ex(address)
        if number in _CONNECTING:
            self._wait(select.POLLOUT, until, "no answer in time")
            number = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """The handshake of TLS. Raises OSError."""
        until = time.monotonic() + CONNECT_SECONDS
        tls = context.wrap_socket(self._sock, server_hostname=host, do_handshake_on_connect=False)
        self._sock = tls
        self._doing(tls.do_handshake, select.POLLIN, until, "no answer in time")

    def sendall(self, data: bytes) -> None:
        """All of it. Raises OSError, StillWaiting, and what `look` raises."""
        rest = memoryview(data)
        while rest:
            self.look()
            began = time.monotonic()
            words = "it took nothing for two minutes"
            count = self._doing(
                lambda rest=rest: self._sock.send(rest),  # type: ignore[misc]  # bound now
                select.POLLOUT,
                began + self.idle,
                words,
            )
            self._count(count, time.monotonic() - began, "it takes next to nothing")
            rest = rest[count:]

    def receive(self, buffer: Any) -> int:
        """Some bytes, 0 at the end. Raises OSError, StillWaiting, and what `look` raises."""
        self.look()
        began = time.monotonic()
        if self.until is not None and began > self.until:
            raise StillWaiting("it does not end")
        count = self._doing(
            lambda: self._sock.recv_into(buffer),
            select.POLLIN,
            began + self.idle,
            "nothing came for two minutes",
        )
        self._count(count, time.monotonic() - began, "it sends next to nothing")
        if self.allowed is not None:
            self.allowed -= count
            if self.allowed < 0:
                raise StillWaiting("it sends headers without end")
        return count

    def is_over(self) -> bool:
        """Whether something came that nobody asked for: mostly that the other side hung up."""
        held = isinstance(self._sock, ssl.SSLSocket) and self._sock.pending()
        return bool(held or _polled(self._sock, select.POLLIN, 0.0))

    def makefile(self, _mode: str) -> io.BufferedReader:
        """The bytes that come."""
        self._users += 1
        return io.BufferedReader(_File(self), 64 << 10)

    def close(self) -> None:
        """Hangs up once everybody has closed it."""
        self._users -= 1
        if not self._users:
            self._sock.close()

    def _doing(self, act: Callable[[], Done], event: int, until: float, words: str) -> Done:
        while True:
            try:
                return act()
            except (BlockingIOError, InterruptedError):
                self._wait(event, until, words)
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN, until, words)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT, until, words)

    def _wait(self, event: int, until: float, words: str) -> None:
        while True:
            self.look()
            left = min(until, self.until or until) - time.monotonic()
            if left <= 0:
                raise StillWaiting(words)
            if _polled(self._sock, event, min(LOOK_SECONDS, left)):
                return

    def _count(self, count: int, seconds: float, words: str) -> None:
        """Only the time spent waiting counts: it may be we who are slow."""
        self._passed += count
        self._waited += seconds
        if self._waited >= _WINDOW_SECONDS:
            if self._passed < _LEAST_BYTES:
                raise StillWaiting(words)
            self._passed, self._waited = 0, 0.0


class _File(io.RawIOBase):
    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._watched.receive(buffer)

    def close(self) -> None:
        if not self.closed:
            self._watched.close()
        super().close()


def _polled(sock: socket.socket, event: int, seconds: float) -> list[tuple[int, int]]:
    poll = select.poll()
    poll.register(sock, event)
    return poll.poll(seconds * 1000)
