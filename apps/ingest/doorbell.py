"""ring(): tells the indexer that something waits. Only a hint; the inbox is the truth.

While the indexer works or looks about, it holds a lock in `awake/`, and nobody needs to ring. It
looks once more after it has let go, so nothing is missed; the lock dies with it.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from apps.ingest import spool

_QUIET_SECONDS: Final = 0.02
_TRIES: Final = 20
_TRY_SECONDS: Final = 0.001


class _Doorbell:
    """Rings from a thread of its own, so that a slow or dead broker never delays an answer."""

    def __init__(self) -> None:
        self._process = 0
        self._pressed = threading.Event()
        self._starting = threading.Lock()

    def ring(self) -> None:
        if self._process != os.getpid():
            self._start()
        self._pressed.set()

    def _start(self) -> None:
        with self._starting:
            if self._process == os.getpid():
                return
            self._pressed = threading.Event()
            threading.Thread(target=self._run, name="doorbell", daemon=True).start()
            self._process = os.getpid()

    def _run(self) -> None:
        from apps.ingest.tasks import request_indexing

        pressed = self._pressed
        while True:
            pressed.wait()
            pressed.clear()
            request_indexing()
            time.sleep(_QUIET_SECONDS)


_doorbell = _Doorbell()


@contextmanager
def awake() -> Iterator[None]:
    """While it lasts, what comes into the inbox is seen without a ring.

    Who leaves it must look into the inbox once more.
    """
    descriptor = _open()
    try:
        if descriptor is not None:
            _hold(descriptor)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _hold(descriptor: int) -> None:
    """Those who look hold the file for a moment, so it is tried more than once.

    Where another indexer has it, that one is awake and looks once more; nobody rings for us then.
    """
    for _ in range(_TRIES):
        if _locked(descriptor, fcntl.LOCK_EX):
            return
        time.sleep(_TRY_SECONDS)


def _is_awake() -> bool:
    descriptor = _open()
    if descriptor is None:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _open() -> int | None:
    """None where the disk refuses, and everybody rings. Those who write tell what is wrong."""
    try:
        return os.open(spool.folder(spool.AWAKE) / "lock", os.O_RDWR | os.O_CREAT, 0o640)
    except OSError:
        return None


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def ring() -> None:
    """Asks for indexing soon. Returns at once; many rings become one; never raises."""
    if not _is_awake():
        _doorbell.ring()
