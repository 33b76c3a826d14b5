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

logger = logging.getLogger(__name__)

MOST_WAITING = 1024
_HEADER = struct.Struct(">BxI")
_READ_BYTES = 65536

Opened = Callable[[socket.socket, tuple[Any, ...], bytes], None]
# The address, and in words why no association request came.
Dismissed = Callable[[tuple[Any, ...], str], None]


@dataclass(slots=True)
class _Guest:
    connection: socket.socket
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
    """One process's accept loop. `stop()` may be called from a signal handler."""

    def __init__(
        self,
        listener: socket.socket,
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
        self._listener = listener
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
        for descriptor in (self._listener.fileno(), self._woken, self._lifeline):
            self._poll.register(descriptor, select.POLLIN)
        while not self._stopping:
            for descriptor, _ in self._poll.poll(self._until_next_deadline()):
                self._serve(descriptor)
            self._close_silent()
        for guest in list(self._guests.values()):
            self._leave(guest)
            guest.connection.close()

    def _serve(self, descriptor: int) -> None:
        if descriptor == self._listener.fileno():
            self._accept()
        elif descriptor in self._guests:
            self._listen_to(self._guests[descriptor])
        elif descriptor == self._lifeline:
            self._stopping = True

    def _accept(self) -> None:
        wait = self._delay()
        if wait:
            # A sibling process with fewer associations gets the chance to take it.
            time.sleep(wait)
        try:
            connection, address = self._listener.accept()
        except BlockingIOError:
            return  # taken by a sibling
        except OSError as error:
            # Out of descriptors, or the peer has gone: the others must go on being served.
            logger.warning("A connection could not be accepted: %s", error)
            time.sleep(0.05)
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if len(self._guests) >= MOST_WAITING:
            first = min(self._guests.values(), key=lambda guest: guest.deadline)
            self._dismiss(first, "too many connections waited")
        guest = _Guest(connection, address, time.monotonic() + self._artim_seconds)
        self._guests[connection.fileno()] = guest
        self._poll.register(connection, select.POLLIN)
        self._listen_to(guest)

    def _listen_to(self, guest: _Guest) -> None:
        try:
            said = guest.connection.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._dismiss(guest, "closed before a whole association request")
            return
        guest.said += said
        if guest.complete():
            self._leave(guest)
            self._opened(guest.connection, guest.address, bytes(guest.said))

    def _close_silent(self) -> None:
        now = time.monotonic()
        for guest in [each for each in self._guests.values() if each.deadline <= now]:
            logger.info("A silent connection was closed", extra={"address": guest.address[0]})
            words = "half an association request" if guest.said else "nothing said"
            self._dismiss(guest, f"{words} within {self._artim_seconds:g} s")

    def _dismiss(self, guest: _Guest, reason: str) -> None:
        self._leave(guest)
        guest.connection.close()
        self._dismissed(guest.address, reason)

    def _leave(self, guest: _Guest) -> None:
        self._poll.unregister(guest.connection)
        del self._guests[guest.connection.fileno()]

    def _until_next_deadline(self) -> float | None:
        """Milliseconds for poll(); None while nobody waits."""
        if not self._guests:
            return None
        first = min(guest.deadline for guest in self._guests.values())
        return max(0.0, first - time.monotonic()) * 1000 + 1
