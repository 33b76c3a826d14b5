"""What one receiver process knows of peers, space and its siblings, and what it tells them."""

from __future__ import annotations

import logging
import mmap
import struct
import threading
import time
from typing import Any, Final

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections

from apps.access.prepared import Prepared
from apps.dimse.admission import House
from apps.dimse.bookings import Bookings
from apps.network.actions.note_application_entities_seen import note_application_entities_seen
from apps.network.addresses import bound_to_loopback
from apps.network.peers import Peers
from apps.network.selectors import peer_rows, read_peers
from apps.storage.capacity import capacity
from apps.storage.capacity import forget as watermarks_changed
from apps.storage.expected import association_bytes, reserves_for_senders
from apps.storage.models import StoragePolicy

logger = logging.getLogger(__name__)

# Renewed as often: room that is booked, names of hosts, what senders usually send.
_REFRESH_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 0.5
_SEEN_EVERY_SECONDS = 30.0
_COUNT = struct.Struct("=I")


class Tally:
    """Associations per receiver process, in memory that parent and children share."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._memory = mmap.mmap(-1, _COUNT.size * processes)

    def write(self, process: int, associations: int) -> None:
        """Each process writes its own number only; the parent clears that of a dead one."""
        _COUNT.pack_into(self._memory, process * _COUNT.size, associations)

    def read(self) -> list[int]:
        """All numbers. Not one moment's picture, which is exact enough for a limit."""
        return [
            _COUNT.unpack_from(self._memory, process * _COUNT.size)[0]
            for process in range(self._processes)
        ]


class Housekeeper:
    """Keeps the picture of peers and policies, in a thread of its own.

    An association has the thread look whether anything changed, so that what an administrator
    decides counts with the next one. A slow or dead database delays hardly anybody: one waits a
    moment in vain, then the last known picture holds until the database answers again.
    """

    def __init__(self) -> None:
        self.bookings = Bookings()
        self._peers: Peers | None = None
        self._rows: list[list[tuple[Any, ...]]] = []
        self._policy = Prepared(StoragePolicy.objects.filter(pk=1).values_list(), [])
        self._seen: set[str] = set()
        self._seen_written = time.monotonic()
        self._lock = threading.Lock()
        self._complained = False
        self._turn = threading.Condition()
        self._asked = self._looked = 0
        self._answers = True
        self._due = 0.0

    def start(self) -> None:
        """Begins to read; returns after the first time, or when that takes too long."""
        threading.Thread(target=self._run, name="housekeeper", daemon=True).start()
        self._look(_REFRESH_SECONDS)

    def keeps_refused(self) -> bool:
        """Whether UIDs of refused instances are kept with the records of associations."""
        return self._peers is not None and self._peers.record_refused_uids

    def saw(self, title: str) -> None:
        """A known peer associated; written down in a while, together with others."""
        with self._lock:
            self._seen.add(title)

    def flush(self) -> None:
        """Writes down who was seen, now. At the end of the process."""
        self._write_seen()
        connections.close_all()

    def house(self, associations: int) -> House:
        """How things stand now; `associations` counts those of all processes."""
        self._look(_PATIENCE_SECONDS)
        environment = settings.PACSWEB
        return House(
            own_title=environment.ae_title,
            bound_to_loopback=bound_to_loopback(environment.bind),
            peers=self._peers,
            associations=associations,
            capacity=capacity(),
        )

    def _look(self, patience: float) -> None:
        """Returns when peers were looked at after this call; sooner where nothing answers."""
        with self._turn:
            if not self._answers:
                return
            self._asked += 1
            mine = self._asked
            self._turn.notify_all()
            if not self._turn.wait_for(lambda: self._looked >= mine, patience):
                self._answers = False

    def _run(self) -> None:
        while True:
            with self._turn:
                left = self._due - time.monotonic()
                self._turn.wait_for(lambda: self._answers and self._asked > self._looked, left)
                asked = self._asked
            answers = self._refresh()
            with self._turn:
                self._looked, self._answers = asked, answers
                self._turn.notify_all()
            if time.monotonic() >= self._due:
                self._due = time.monotonic() + _REFRESH_SECONDS
                self.bookings.renew_all()
            if time.monotonic() - self._seen_written >= _SEEN_EVERY_SECONDS:
                self._write_seen()

    def _refresh(self) -> bool:
        """Reads what changed, and everything now and then: hosts move, averages grow."""
        try:
            rows = [*peer_rows(), self._policy.rows()]
            if rows != self._rows or time.monotonic() >= self._due:
                # The rows were asked for first: a change in between is seen the next time.
                self._peers = read_peers()
                self.bookings.expected = association_bytes() if reserves_for_senders() else {}
                if rows[-1] != (self._rows or rows)[-1]:
                    watermarks_changed()
                self._rows = rows
        except DatabaseError as error:
            if not self._complained:
                logger.warning("Peers cannot be read (%s); the last known hold.", error)
            self._complained = True
            connections.close_all()
            return False
        self._complained = False
        return True

    def _write_seen(self) -> None:
        self._seen_written = time.monotonic()
        with self._lock:
            seen, self._seen = self._seen, set()
        if not seen:
            return
        try:
            note_application_entities_seen(seen)
        except DatabaseError as error:
            logger.warning("When peers were last seen could not be written: %s", error)
