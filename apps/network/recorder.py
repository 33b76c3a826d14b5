"""Writes association notes down, in a thread of its own.

An association's thread only puts its note into a bounded queue; a database that is slow or gone
costs records, never an association.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from datetime import timedelta
from typing import Final

from django.db import Error as DatabaseError
from django.db import connections
from django.utils import timezone

from apps.network.actions.record_associations import record_associations
from apps.network.association_note import AssociationNote, Ending

logger = logging.getLogger(__name__)

WRITE_EVERY_SECONDS: Final = 1.0
# One that lasts is written before it ends, and again from time to time.
OPEN_AFTER_SECONDS: Final = 5.0
OPEN_EVERY_SECONDS: Final = 30.0
MOST_WAITING: Final = 5000
_A_BATCH: Final = 500
_SILENT_TOGETHER: Final = timedelta(hours=1)


class Recorder:
    """Writes notes in batches. Any thread may call anything but `_run`."""

    def __init__(self) -> None:
        self._waiting: deque[AssociationNote] = deque()
        self._open: dict[str, tuple[AssociationNote, float]] = {}  # and when to write it next
        self._silent: dict[tuple[str, str], AssociationNote] = {}  # those of the last hour
        self._unwritten: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._lost = 0
        self._complained = False

    def start(self) -> None:
        """Starts the thread that writes; it ends with the process."""
        threading.Thread(target=self._run, name="recorder", daemon=True).start()

    def opened(self, note: AssociationNote) -> None:
        """An association was accepted; it is written once it lasts."""
        with self._lock:
            self._open[note.name] = (note, time.monotonic() + OPEN_AFTER_SECONDS)

    def ended(self, note: AssociationNote) -> None:
        """It is over, or never began."""
        with self._lock:
            self._open.pop(note.name, None)
            if len(self._waiting) >= MOST_WAITING:
                self._waiting.popleft()
                self._lost += 1
            self._waiting.append(note)

    def silent(self, note: AssociationNote) -> None:
        """A connection without a request; those of one address and hour become one record.

        Monitors knock every few seconds, port scans by the thousand.
        """
        key = (note.address, note.reason)
        with self._lock:
            known = self._silent.get(key)
            if known is not None and note.started_at - known.started_at < _SILENT_TOGETHER:
                known.connections += 1
                known.ended_at = note.ended_at
            elif known is not None or self._has_room():
                self._silent[key] = note
            else:
                return
            self._unwritten.add(key)

    def _has_room(self) -> bool:
        """For one silent address more; the hours that are over are forgotten first."""
        if len(self._silent) >= _A_BATCH:
            oldest = timezone.now() - _SILENT_TOGETHER
            for key in [key for key, note in self._silent.items() if note.started_at < oldest]:
                if key not in self._unwritten:
                    del self._silent[key]
        return len(self._silent) < _A_BATCH

    def waiting(self) -> tuple[AssociationNote, ...]:
        """Notes of what is over and not written yet, oldest first."""
        with self._lock:
            return tuple(self._waiting)

    def flush(self) -> None:
        """Writes what waits, now. At the end of the process."""
        self._write()

    def _run(self) -> None:
        while True:
            time.sleep(WRITE_EVERY_SECONDS)
            self._write()

    def _write(self) -> None:
        batch = self._take()
        if not batch:
            return
        try:
            record_associations(batch)
        except DatabaseError as error:
            self._put_back(batch)
            if not self._complained:
                logger.warning("Associations cannot be recorded now: %s", type(error).__name__)
            self._complained = True
            connections.close_all()
        else:
            self._complained = False

    def _take(self) -> list[AssociationNote]:
        now = time.monotonic()
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _A_BATCH))]
            batch += [self._silent[key] for key in self._unwritten]
            self._unwritten = set()
            for name, (note, due) in self._open.items():
                if due <= now:
                    self._open[name] = (note, now + OPEN_EVERY_SECONDS)
                    batch.append(note)
            if self._lost:
                logger.warning("%d associations were not recorded: too many waited", self._lost)
                self._lost = 0
        return batch

    def _put_back(self, batch: list[AssociationNote]) -> None:
        over = [each for each in batch if each.ending is not Ending.OPEN]
        with self._lock:
            room = MOST_WAITING - len(self._waiting)
            self._waiting.extendleft(reversed(over[:room]))
            self._lost += max(0, len(over) - room)


PROCESS_RECORDER: Final = Recorder()
"""For associations this process opens; nothing is written before it is started."""
