"""Fetches what a peer has: it sends to us, and the instances arrive by the inbox."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Final

from django.conf import settings
from django.utils import timezone

from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.part10 import Provenance
from apps.dicom.query import Level
from apps.dicom.sub_operations import CANCELLED
from apps.errors import InvalidRequest, PacsError, Unavailable
from apps.ingest import inbox
from apps.network import scu
from apps.network.associate_items import Remote
from apps.network.getting import Arriving, get
from apps.network.scu import PeerRefused, Progress
from apps.transfers.actions.note_progress import note_counters
from apps.transfers.actions.request_transfer import AUTO
from apps.transfers.missing import missing_parts
from apps.transfers.models import Transfer
from apps.transfers.sending import Cancelled, remote_of

logger = logging.getLogger(__name__)

_OUT_OF_RESOURCES: Final = 0xA700
# No such SOP Class here, not authorised, no such operation (PS3.7 Annex C).
_NO_SERVICE: Final = frozenset({0x0122, 0x0124, 0x0211})
_LOOK_SECONDS: Final = 1.0
_COUNTERS: Final = ("completed", "failed", "warning")


class PartNotSent(Unavailable):
    """The peer sent some of what was asked for, and failed to send the rest."""


def fetch(transfer: Transfer, holder: str) -> None:
    """Runs to the end; what is here already of a study is not asked for again.

    Raises PeerUnreachable, AssociationRejected, PeerRefused, PartNotSent, Cancelled.
    """
    remote = remote_of(transfer)
    following = _Following(transfer.pk, holder)
    for level, keys in _asked(remote, transfer, following):
        last = _retrieved(remote, transfer.method, level, keys, following)
        if last.status == CANCELLED:
            raise Cancelled
        following.part_ended()
    if following.failed:
        raise PartNotSent(f"{remote.title} could not send {following.failed} of the instances.")


def _retrieved(
    remote: Remote, method: str, level: str, keys: Mapping[int, str], following: _Following
) -> Progress:
    """One retrieval by C-GET or C-MOVE; `auto` takes C-MOVE where C-GET is not to be had."""
    if method in {"get", AUTO}:
        try:
            last = get(remote, level, keys, _Receiver(remote), following)
        except (InvalidRequest, PeerRefused) as error:
            refused = isinstance(error, InvalidRequest) or error.status in _NO_SERVICE
            if method != AUTO or not refused:
                raise
        else:
            inbox.ring()
            return last
    return scu.move(remote, settings.PACSWEB.ae_title, level, keys, following)


def _asked(
    remote: Remote, transfer: Transfer, following: _Following
) -> list[tuple[str, Mapping[int, str]]]:
    """Levels and unique keys of the retrievals this attempt takes."""
    if transfer.level == Level.STUDY.value:
        parts = missing_parts(remote, transfer.keys["StudyInstanceUID"], following.cancelled)
        if following.cancelled():
            raise Cancelled
        if parts:
            following.total = sum(count for _, count in parts)
            return [(Level.INSTANCE.value, keys) for keys, _ in parts]
    keys = {BY_KEYWORD[keyword].tag: value for keyword, value in transfer.keys.items()}
    return [(transfer.level, keys)]


class _Receiver:
    """Takes what a C-GET brings into the inbox."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._incoming: inbox.Incoming | None = None
        self._problem = 0

    def begin(self, arriving: Arriving) -> None:
        """An instance follows."""
        self._problem = 0
        try:
            self._incoming = inbox.receive(
                Provenance(
                    door="dimse",
                    source_ae_title=self._remote.title,
                    receiving_ae_title=self._remote.own_title,
                    source_address=self._remote.host,
                    received_at=timezone.now().isoformat(),
                ),
                sop_class_uid=arriving.sop_class_uid,
                sop_instance_uid=arriving.sop_instance_uid,
                transfer_syntax_uid=arriving.transfer_syntax_uid,
            )
        except (PacsError, OSError) as error:
            self._refuse(error)

    def write(self, chunk: memoryview) -> None:
        """Bytes of it; after a fault they are only read."""
        if self._incoming is not None:
            try:
                self._incoming.write(chunk)
            except (PacsError, OSError) as error:
                self._refuse(error)

    def finish(self) -> int:
        """Success once it is durable."""
        if self._incoming is not None:
            try:
                self._incoming.commit()
                inbox.ring()
            except (PacsError, OSError) as error:
                self._refuse(error)
        self._incoming = None
        return self._problem

    def _refuse(self, error: Exception) -> None:
        logger.warning("An instance fetched could not be kept: %s", type(error).__name__)
        self._problem = _OUT_OF_RESOURCES
        if self._incoming is not None:
            self._incoming.abort()
            self._incoming = None


class _Following:
    """Hears of the peer's progress, and every second of whoever cancels.

    `total` is known beforehand where several retrievals fetch what is missing; the counters are
    those of all of them together (rule MOV-04).
    """

    def __init__(self, transfer: int, holder: str) -> None:
        self.total: int | None = None
        self._transfer = transfer
        self._holder = holder
        self._before = dict.fromkeys(_COUNTERS, 0)
        self._now = dict.fromkeys(_COUNTERS, 0)
        self._looked = 0.0
        self._cancelled = False

    def __call__(self, progress: Progress | None) -> bool:
        """True when the transfer is to be cancelled. Raises LeaseLost."""
        told: dict[str, int] = {}
        if progress is not None:
            counts = {name: getattr(progress, name) for name in _COUNTERS}
            if any(value is not None for value in counts.values()):
                self._now = {name: value or 0 for name, value in counts.items()}
                told = {name: self._before[name] + self._now[name] for name in _COUNTERS}
                told["total"] = self.total or sum(told.values()) + (progress.remaining or 0)
        return note_counters(self._transfer, self._holder, told)

    def cancelled(self) -> bool:
        """Looked up once a second, however often it is asked. Raises LeaseLost."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            self._cancelled = self(None)
        return self._cancelled

    def part_ended(self) -> None:
        """The next retrieval counts from here."""
        self._before = {name: self._before[name] + self._now[name] for name in _COUNTERS}
        self._now = dict.fromkeys(_COUNTERS, 0)

    @property
    def failed(self) -> int:
        """How many instances the peer failed to send."""
        return self._before["failed"] + self._now["failed"]
