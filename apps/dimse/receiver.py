"""One receiver process: its associations from connection to last log line."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils import timezone
from pydicom import config as pydicom_config
from pynetdicom import AE

from apps.dicom import uids
from apps.dimse import noting
from apps.dimse.admission import NO_ROOM, Caller, Rejection, admit, wants_to_store
from apps.dimse.fast_path import AcceptedAssociation
from apps.dimse.house import Housekeeper, Tally
from apps.dimse.lobby import Listeners, Lobby
from apps.dimse.negotiation import only_stores
from apps.network.association_note import Ending
from apps.network.peers import Admission
from apps.network.recorder import PROCESS_RECORDER
from apps.network.tls_connection import Connection, TlsConnection
from apps.storage.capacity import capacity

logger = logging.getLogger(__name__)

MAXIMUM_PDU_BYTES = 128 * 1024
# A sibling with fewer associations takes a new connection within this.
_YIELD_SECONDS = 0.003
_SWITCH_SECONDS = 0.0005


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits in seconds."""

    artim: float = 15.0  # for a whole association request
    idle: float = 300.0  # between messages
    stall: float = 60.0  # without a byte inside a message
    grace: float = 4.0  # for messages under way when the process has to stop


class Receiver:
    """Accepts, runs and counts associations. `run()` is the life of a child process."""

    def __init__(
        self, listeners: Listeners, tally: Tally, process: int, lifeline: int, limits: Limits
    ) -> None:
        self._tally = tally
        self._process = process
        self._limits = limits
        self._recorder = PROCESS_RECORDER
        self._housekeeper = Housekeeper()
        self._associations: set[AcceptedAssociation] = set()
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._entity = _application_entity(limits)
        self._lobby = Lobby(
            listeners,
            self._open,
            self._dismissed,
            artim_seconds=limits.artim,
            delay=self._delay,
            lifeline=lifeline,
        )
        self._listeners = listeners

    def run(self) -> None:
        """Until SIGTERM, SIGINT or the parent's end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._lobby.stop())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        self._housekeeper.start()
        self._recorder.start()
        self._lobby.run()
        self._listeners.close()
        self._wind_up()
        self._recorder.flush()
        self._housekeeper.flush()

    # What an association asks and tells (fast_path.Reception).

    def admit(self, association: AcceptedAssociation, caller: Caller) -> Admission | Rejection:
        decision = admit(caller, self._housekeeper.house(sum(self._tally.read())))
        if isinstance(decision, Rejection):
            return decision
        if decision.known:
            self._housekeeper.saw(caller.calling)
        note = association.note
        note.keeps_refused = self._housekeeper.keeps_refused()
        if wants_to_store(caller, decision) and not self._housekeeper.bookings.book(
            note.name, caller.calling, lambda: note.received_bytes
        ):
            return NO_ROOM if only_stores(caller.proposals) else decision
        return decision

    def room(self, association: AcceptedAssociation) -> bool:
        booked = self._housekeeper.bookings.has_room(association.note.name)
        return booked and capacity().accepts_associations

    def rejected(self, association: AcceptedAssociation, rejection: Rejection) -> None:
        fields = self._describe(association) | {"reason": rejection.words}
        logger.warning(
            "association %(association)s from %(calling_ae_title)s at %(address)s rejected: "
            "%(reason)s",
            fields,
            extra=fields,
        )
        self._housekeeper.bookings.end(association.note.name)
        association.note.end(Ending.REJECTED, timezone.now(), rejection.words)
        self._recorder.ended(association.note)

    def established(self, association: AcceptedAssociation) -> None:
        self._describe(association)
        with self._lock:
            self._associations.add(association)
            self._tally.write(self._process, len(self._associations))
        self._recorder.opened(association.note)

    def ended(self, association: AcceptedAssociation) -> None:
        note = association.note
        if note.ending is not Ending.OPEN:
            return
        self._housekeeper.bookings.end(note.name)
        noting.ended(association)
        if not noting.is_health_check(note, self._entity.ae_title):
            self._recorder.ended(note)
        with self._lock:
            if association not in self._associations:
                return
            self._associations.remove(association)
            self._tally.write(self._process, len(self._associations))
        _log_end(association)

    def _describe(self, association: AcceptedAssociation) -> dict[str, Any]:
        """Fields for the log: who and from where, never what about."""
        association.log_fields |= {
            "calling_ae_title": association.requestor.ae_title,
            "called_ae_title": association.requestor.primitive.called_ae_title,
        }
        return association.log_fields

    def _dismissed(self, address: tuple[Any, ...], ending: Ending, reason: str) -> None:
        note = noting.begun(f"{os.getpid()}-{next(self._numbers)}", address)
        note.end(ending, timezone.now(), reason)
        self._recorder.silent(note)

    def _open(self, connection: Connection, address: tuple[Any, ...], first: bytes) -> None:
        name = f"{os.getpid()}-{next(self._numbers)}"
        tls = connection.secured if isinstance(connection, TlsConnection) else None
        note = noting.begun(name, address, tls)
        association = AcceptedAssociation(
            self._entity,
            self,
            connection,
            address,
            first=first,
            note=note,
            patience=self._limits.stall,
        )
        association.log_fields["association"] = name
        association.log_fields["since"] = time.monotonic()
        try:
            association.start()
        except RuntimeError as error:
            # No more threads: this caller has to try again, the others are served.
            logger.error("An association could not be started: %s", error)  # noqa: TRY400
            connection.close()

    def _delay(self) -> float:
        counts = self._tally.read()
        return _YIELD_SECONDS if counts[self._process] > min(counts) else 0.0

    def _wind_up(self) -> None:
        """Idle associations are aborted at once, those inside a message get the grace time."""
        until = time.monotonic() + self._limits.grace
        while True:
            with self._lock:
                running = list(self._associations)
            if not running:
                return
            late = time.monotonic() >= until
            for each in running:
                if late:
                    each.cut()
                elif not each.busy:
                    each.abort(block=False)
            if late:
                break
            time.sleep(0.02)
        for each in running:
            each.join(timeout=1.0)


def _log_end(association: AcceptedAssociation) -> None:
    service = association.service
    assert service is not None
    counts = service.counts
    fields = association.log_fields
    seconds = time.monotonic() - fields.pop("since")
    fields |= {
        "end": "released" if association.is_released else "aborted",
        "stored": counts.stored,
        "bytes": counts.bytes,
        "refused": sum(counts.refused.values()),
        "refused_by_status": {f"{status:04X}": n for status, n in counts.refused.items()},
        "seconds": round(seconds, 3),
    }
    # A health check several times a minute is no news.
    quiet = association.is_released and not (counts.stored or counts.refused)
    logger.log(
        logging.DEBUG if quiet else logging.INFO,
        "association %(association)s from %(calling_ae_title)s at %(address)s %(end)s: "
        "%(stored)d stored (%(bytes)d bytes), %(refused)d refused in %(seconds).3f s",
        fields,
        extra=fields,
    )


def _application_entity(limits: Limits) -> AE:
    entity = AE(ae_title=settings.PACSWEB.ae_title)
    entity.maximum_pdu_size = MAXIMUM_PDU_BYTES
    entity.implementation_class_uid = uids.IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = uids.IMPLEMENTATION_VERSION_NAME
    entity.acse_timeout = limits.artim
    entity.network_timeout = limits.idle
    entity.dimse_timeout = limits.stall
    return entity


def receive_forever(
    listeners: Listeners, tally: Tally, process: int, lifeline: int, limits: Limits
) -> None:
    """The body of a forked child."""
    connections.close_all()
    _raise_descriptor_limit()
    _quieten_libraries()
    # Data threads sleep in the kernel most of the time; whoever computes meanwhile (the doorbell,
    # a negotiation) must give way within this, not within Python's 5 ms.
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.freeze()
    Receiver(listeners, tally, process, lifeline, limits).run()


def _quieten_libraries() -> None:
    """What a peer sends wrong is told in one line of ours, without the bytes it sent."""
    pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE
    for name in ("pynetdicom.utils", "pynetdicom.presentation"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _raise_descriptor_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(hard, 8192)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
