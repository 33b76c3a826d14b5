"""Statements that end when nobody waits for their answer any more.

A search may spend seconds inside one statement, where no Python of ours runs. One thread of the
process watches the searches under way and has the database interrupt those that are given up
(PS3.4 C.4.1.1.4: C-CANCEL; an association that is lost).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db import connection

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 2


class Interrupted(Exception):
    """The statement was ended because nobody waits for its answer."""


@contextmanager
def interruptible(stopped: Callable[[], bool]) -> Iterator[None]:
    """This thread's statements, until `stopped` says so; it is asked from another thread.

    Raises Interrupted in place of what the database said then.
    """
    connection.ensure_connection()
    watched = _Watched(stopped, connection.connection)
    _WATCH.add(watched)
    try:
        yield
    except DatabaseError as error:
        if not watched.interrupted:
            raise
        raise Interrupted from error
    finally:
        _WATCH.remove(watched)
        if watched.interrupted:
            # An interruption that comes late must find no later statement of this connection.
            connection.close()


class _Watched:
    """One search under way, with the driver's connection its statements run on."""

    def __init__(self, stopped: Callable[[], bool], driver: Any) -> None:
        self.stopped = stopped
        self.interrupted = False
        self._driver = driver

    def interrupt(self) -> None:
        """Repeated until the search has ended: it may have been between two statements."""
        self.interrupted = True
        if hasattr(self._driver, "interrupt"):  # SQLite
            self._driver.interrupt()
        else:
            self._driver.cancel_safe(timeout=_PATIENCE_SECONDS)


class _Watch:
    """The searches under way, and the thread that looks after them while there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._some = threading.Event()
        self._watched: set[_Watched] = set()
        self._thread: threading.Thread | None = None

    def add(self, watched: _Watched) -> None:
        with self._lock:
            self._watched.add(watched)
            self._some.set()
            # A process that was forked has no thread of its parent's.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._look, name="interruption", daemon=True)
                self._thread.start()

    def remove(self, watched: _Watched) -> None:
        """Nothing is interrupted after this returns."""
        with self._lock:
            self._watched.discard(watched)
            if not self._watched:
                self._some.clear()

    def _look(self) -> None:
        while self._some.wait():
            with self._lock:
                for each in self._watched:
                    if each.stopped():
                        self._interrupt(each)
            time.sleep(_LOOK_SECONDS)

    @staticmethod
    def _interrupt(watched: _Watched) -> None:
        try:
            watched.interrupt()
        except Exception as error:  # noqa: BLE001 - drivers differ; the search then runs to its end
            logger.warning("A statement could not be interrupted: %s", type(error).__name__)


_WATCH: Final = _Watch()
