"""What one receiver process knows of peers, space and its siblings, and what it tells them."""

from __future__ import annotations

import logging
import mmap
import struct
import threading
import time

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections

from apps.dimse.admission import House
from apps.dimse.bookings import Bookings
from apps.network.actions.note_application_entities_seen import note_application_entities_seen
from apps.network.addresses import bound_to_loopback
from apps.network.peers import Peers
from apps.network.recorder import Recorder
from apps.network.selectors import read_peers
from apps.storage.capacity import capacity
from apps.storage.expected import association_bytes, reserves_for_senders

logger = logging.getLogger(__name__)

_REFRESH_SECONDS = 2.0
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
    """Keeps the picture of the peers fresh, in a thread of its own.

    Associations only look at the picture, so a slow or dead database never delays them: the last
    one known holds.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.bookings = Bookings()
        self._peers: Peers | None = None
        self._seen: set[str] = set()
        self._seen_written = time.monotonic()
        self._lock = threading.Lock()
        self._complained = False
        self._read_once = threading.Event()

    def start(self) -> None:
        """Reads every two seconds; returns after the first time, or when that takes too long."""
        threading.Thread(target=self._run, name="housekeeper", daemon=True).start()
        self._read_once.wait(_REFRESH_SECONDS)

    def saw(self, title: str) -> None:
        """A known peer associated; written down in a while, together with others."""
        with self._lock:
            self._seen.add(title)

    def flush(self) -> None:
        """Writes down who was seen, now. At the end of the process."""
        self._write_seen()
        connections.close_all()

    def house(self, associations: int) -> House:
        """How things stand; `associations` counts those of all processes."""
        environment = settings.PACSWEB
        return House(
            own_title=environment.ae_title,
            bound_to_loopback=bound_to_loopback(environment.bind),
            peers=self._peers,
            associations=associations,
            capacity=capacity(),
        )

    def _run(self) -> None:
        while True:
            self._refresh()
            self._read_once.set()
            time.sleep(_REFRESH_SECONDS)
            self.bookings.renew_all()
            if time.monotonic() - self._seen_written >= _SEEN_EVERY_SECONDS:
                self._write_seen()

    def _refresh(self) -> None:
        try:
            self._peers = read_peers()
            self.bookings.expected = association_bytes() if reserves_for_senders() else {}
        except DatabaseError as error:
            if not self._complained:
                logger.warning("Peers cannot be read (%s); the last known hold.", error)
            self._complained = True
            connections.close_all()
        else:
            self._complained = False
            self._recorder.keeps_refused = self._peers.record_refused_uids

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
