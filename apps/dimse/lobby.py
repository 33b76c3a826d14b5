"""Accepts connections and keeps them until their first PDU is complete.

A connection that says nothing, or half a request, costs a file descriptor and no thread; ARTIM
closes it (PS3.8 9.1.4). Only a whole first PDU, or one that cannot become a request, goes on.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apps.dimse.associate_request import ASSOCIATE_RQ, LONGEST_REQUEST
from apps.network.association_note import Ending
from apps.network.tls import TlsNotReady, failure_words, server_context
from apps.network.tls_connection import Connection, TlsConnection

logger = logging.getLogger(__name__)

MOST_WAITING = 1024
_HEADER = struct.Struct(">BxI")
_READ_BYTES = 65536

Opened = Callable[[Connection, tuple[Any, ...], bytes], None]
# The address, how it ended, and in words why no association request came.
Dismissed = Callable[[tuple[Any, ...], Ending, str], None]
_TLS_HANDSHAKE = 0x16  # the content type of a first TLS record (RFC 8446 5.1)


@dataclass(frozen=True, slots=True)
class Listeners:
    """Listening sockets: the port everybody knows, and the one for TLS if there is one."""

    plain: socket.socket
    tls: socket.socket | None = None

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return (self.plain,) if self.tls is None else (self.plain, self.tls)

    def close(self) -> None:
        for each in self.sockets:
            each.close()


@dataclass(slots=True)
class _Guest:
    connection: Connection
    address: tuple[Any, ...]
    deadline: float
    said: bytearray = field(default_factory=bytearray)

    def complete(self) -> bool:
        """True when there is a whole PDU, or already something other than a request."""
        if len(self.said) < _HEADER.size:
            return bool(self.said) and self.said[0] != ASSOCIATE_RQ
        kind, length = _HEADER.unpack_from(self.said)
        if kind != ASSOCIATE_RQ or length > LONGEST_REQUEST:
            return True
        return len(self.said) >= _HEADER.size + int(length)


class Lobby:
    """One process's accept loop; `stop()` may be called from a signal handler."""

    def __init__(
        self,
        listeners: Listeners,
        opened: Opened,
        dismissed: Dismissed,
        *,
        artim_seconds: float,
        delay: Callable[[], float],
        lifeline: int,
    ) -> None:
        """Nothing happens before `run`.

        `delay` says how long, in s, to leave a new connection to others; `lifeline` is a
        descriptor that becomes readable when the parent process is gone.
        """
        self._listeners = {each.fileno(): each for each in listeners.sockets}
        self._secure = listeners.tls.fileno() if listeners.tls else -1
        self._opened = opened
        self._dismissed = dismissed
        self._artim_seconds = artim_seconds
        self._delay = delay
        self._lifeline = lifeline
        self._guests: dict[int, _Guest] = {}
        self._woken, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._stopping = False

    def stop(self) -> None:
        """Ends `run` soon."""
        self._stopping = True
        os.write(self._waker, b"!")

    def run(self) -> None:
        """Until stopped, or until the parent is gone. Connections still silent are closed."""
        for descriptor in (*self._listeners, self._woken, self._lifeline):
            self._poll.register(descriptor, select.POLLIN)
        while not self._stopping:
            for descriptor, _ in self._poll.poll(self._until_next_deadline()):
                self._serve(descriptor)
            self._close_silent()
        for guest in list(self._guests.values()):
            self._leave(guest)
            guest.connection.close()

    def _serve(self, descriptor: int) -> None:
        if descriptor in self._listeners:
            self._accept(self._listeners[descriptor])
        elif descriptor in self._guests:
            self._listen_to(self._guests[descriptor])
        elif descriptor == self._lifeline:
            self._stopping = True

    def _accept(self, listener: socket.socket) -> None:
        wait = self._delay()
        if wait:
            # A sibling process with fewer associations gets the chance to take it.
            time.sleep(wait)
        try:
            accepted, address = listener.accept()
        except BlockingIOError:
            return  # taken by a sibling
        except OSError as error:
            # Out of descriptors, or the peer has gone: the others must go on being served.
            logger.warning("A connection could not be accepted: %s", error)
            time.sleep(0.05)
            return
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection: Connection = accepted
        if listener.fileno() == self._secure:
            try:
                connection = TlsConnection(accepted, server_context())
            except TlsNotReady as error:
                logger.error("A TLS connection was refused: %s", error)  # noqa: TRY400 - its words
                accepted.close()
                return
        if len(self._guests) >= MOST_WAITING:
            first = min(self._guests.values(), key=lambda guest: guest.deadline)
            self._dismiss(first, Ending.SILENT, "too many connections waited")
        guest = _Guest(connection, address, time.monotonic() + self._artim_seconds)
        self._guests[connection.fileno()] = guest
        self._poll.register(connection, select.POLLIN)
        self._listen_to(guest)

    def _listen_to(self, guest: _Guest) -> None:
        try:
            if isinstance(guest.connection, TlsConnection) and not guest.connection.shake_hands():
                return
            # TLS may hold more than poll() would tell of, so until there is nothing left.
            while not guest.complete():
                said = guest.connection.recv(_READ_BYTES)
                if not said:
                    words = "closed before a whole association request"
                    self._dismiss(guest, Ending.SILENT, words)
                    return
                guest.said += said
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(guest, error)
            return
        self._welcome(guest)

    def _fail(self, guest: _Guest, error: OSError) -> None:
        if isinstance(guest.connection, TlsConnection) and guest.connection.secured is None:
            self._dismiss(guest, Ending.TLS, failure_words(error))
            return
        self._dismiss(guest, Ending.SILENT, "closed before a whole association request")

    def _welcome(self, guest: _Guest) -> None:
        if guest.said[0] == _TLS_HANDSHAKE:
            self._dismiss(guest, Ending.TLS, "the device speaks TLS on the port without TLS")
            return
        self._leave(guest)
        self._opened(guest.connection, guest.address, bytes(guest.said))

    def _close_silent(self) -> None:
        now = time.monotonic()
        for guest in [each for each in self._guests.values() if each.deadline <= now]:
            logger.info("A silent connection was closed", extra={"address": guest.address[0]})
            words = "half an association request" if guest.said else "nothing said"
            if isinstance(guest.connection, TlsConnection) and not guest.connection.secured:
                words = "no TLS handshake"
            self._dismiss(guest, Ending.SILENT, f"{words} within {self._artim_seconds:g} s")

    def _dismiss(self, guest: _Guest, ending: Ending, reason: str) -> None:
        self._leave(guest)
        guest.connection.close()
        self._dismissed(guest.address, ending, reason)

    def _leave(self, guest: _Guest) -> None:
        self._poll.unregister(guest.connection)
        del self._guests[guest.connection.fileno()]

    def _until_next_deadline(self) -> float | None:
        """Milliseconds for poll(); None while nobody waits."""
        if not self._guests:
            return None
        first = min(guest.deadline for guest in self._guests.values())
        return max(0.0, first - time.monotonic()) * 1000 + 1
