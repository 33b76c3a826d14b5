"""Fetches what a peer has: it sends to us, and the instances arrive by the inbox."""

from __future__ import annotations

import logging
from typing import Final

from django.conf import settings
from django.utils import timezone

from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.part10 import Provenance
from apps.dicom.sub_operations import CANCELLED
from apps.errors import PacsError
from apps.ingest import inbox
from apps.network import scu
from apps.network.associate_items import Remote
from apps.network.getting import Arriving, get
from apps.network.scu import Progress
from apps.transfers.actions.note_progress import note_counters
from apps.transfers.models import Transfer
from apps.transfers.sending import Cancelled, remote_of

logger = logging.getLogger(__name__)

_OUT_OF_RESOURCES: Final = 0xA700


def fetch(transfer: Transfer, holder: str) -> None:
    """Runs to the end. Raises PeerUnreachable, AssociationRejected, PeerRefused, Cancelled."""
    following = _Following(transfer.pk, holder)
    keys = {BY_KEYWORD[keyword].tag: value for keyword, value in transfer.keys.items()}
    remote, level = remote_of(transfer), transfer.level
    if transfer.method == "get":
        last = get(remote, level, keys, _Receiver(remote), following)
        inbox.ring()
    else:
        last = scu.move(remote, settings.PACSWEB.ae_title, level, keys, following)
    if last.status == CANCELLED:
        raise Cancelled


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
    """Hears of the peer's progress, and every second of whoever cancels."""

    def __init__(self, transfer: int, holder: str) -> None:
        self._transfer = transfer
        self._holder = holder

    def __call__(self, progress: Progress | None) -> bool:
        """True when the transfer is to be cancelled. Raises LeaseLost."""
        told = {} if progress is None else _counters(progress)
        return note_counters(self._transfer, self._holder, told)


def _counters(progress: Progress) -> dict[str, int]:
    """What the peer told, as columns; the total is the sum of all four (rule MOV-04)."""
    told = {
        "completed": progress.completed,
        "failed": progress.failed,
        "warning": progress.warning,
    }
    counters = {name: value for name, value in told.items() if value is not None}
    if counters:
        counters["total"] = sum(counters.values()) + (progress.remaining or 0)
    return counters
