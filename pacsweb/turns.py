"""Which thread of a web process takes the next frame: the one that took the last.

The server hands a request to the thread that has waited longest, whose memory the processor has
long forgotten; by that a single client loses an eighth of the frames per second. So a thread that
has answered with a frame at once, and sees another one wait for work, rests a moment before it
waits again. Whoever takes up anything longer calls one of those that rest, so that somebody always
waits. Where frames come from afar (another kind of database, an object store), or slowly, nobody
rests.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from django.db import connection

from apps.storage.stores import blob_store

REST_SECONDS: Final = 0.25
"""So long somebody may have to wait who comes behind a frame that is unexpectedly slow."""

_SLOW_SECONDS: Final = 0.005
_DISTRUST_SECONDS: Final = 0.5
# The server ends a thread that has had nothing to do for thirty seconds, and does not say so.
_BELIEVED_SECONDS: Final = 20.0


class Turns:
    """Threads of this process that wait for work, and those that rest; the last one stands last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, float] = {}
        self._resting: list[threading.Event] = []
        self._occupied: set[int] = set()
        self._nobody_rests_until = 0.0

    def make_room(self) -> None:
        """What this thread does next may take long: somebody else must wait for work."""
        self._occupied.add(threading.get_ident())
        self._call()

    def answer(self, step: Callable[[], object]) -> None:
        """One request in this thread; afterwards it may rest."""
        me, began = threading.get_ident(), time.monotonic()
        self._waiting.pop(me, None)
        self._occupied.discard(me)
        distrusted = began < self._nobody_rests_until
        if distrusted:
            self._call()
        rests = False
        try:
            step()
            rests = me not in self._occupied and not distrusted
        finally:
            ended = time.monotonic()
            if me not in self._occupied and ended - began > _SLOW_SECONDS:
                self._nobody_rests_until = ended + _DISTRUST_SECONDS
                rests = False
            if rests:
                self._rest()
            self._waiting[me] = time.monotonic()

    def _call(self) -> None:
        """One of those that rest, unless somebody waits for work anyway."""
        with self._lock:
            called = self._resting.pop() if self._resting and not self._somebody_waits() else None
        if called is not None:
            called.set()

    def _rest(self) -> None:
        """Until called, or for a moment; not at all where nobody else waits for work."""
        with self._lock:
            if not self._somebody_waits():
                # Known from here on, so that of two that end together only one does not rest.
                self._waiting[threading.get_ident()] = time.monotonic()
                return
            called = threading.Event()
            self._resting.append(called)
        if not called.wait(REST_SECONDS):
            with self._lock:
                if called in self._resting:
                    self._resting.remove(called)

    def _somebody_waits(self) -> bool:
        """As far as can be known."""
        oldest = time.monotonic() - _BELIEVED_SECONDS
        for thread, since in list(self._waiting.items()):
            if since <= oldest:
                self._waiting.pop(thread, None)
        return bool(self._waiting)


TURNS: Final = Turns()
"""Of this process."""

Runner = Callable[[Any, Any], object]


def in_turns(wrap: Callable[..., Runner]) -> Callable[..., Runner]:
    """The server's own wrapper around the application, with turns around what it makes."""

    def wrapped(*given: Any, **named: Any) -> Runner:
        runner = wrap(*given, **named)
        if connection.vendor != "sqlite" or blob_store().local_path("any") is None:
            return runner

        def answer(protocol: Any, scope: Any) -> None:
            TURNS.answer(lambda: runner(protocol, scope))

        return answer

    return wrapped
