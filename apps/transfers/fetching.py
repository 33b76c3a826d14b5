"""Fetches what a peer has: it sends to us, and the instances arrive by the inbox."""

from __future__ import annotations

from django.conf import settings

from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.sub_operations import CANCELLED
from apps.network import scu
from apps.network.scu import Progress
from apps.transfers.actions.note_progress import note_counters
from apps.transfers.models import Transfer
from apps.transfers.sending import Cancelled, remote_of


def fetch(transfer: Transfer, holder: str) -> None:
    """Runs to the end. Raises PeerUnreachable, AssociationRejected, PeerRefused, Cancelled."""
    following = _Following(transfer.pk, holder)
    keys = {BY_KEYWORD[keyword].tag: value for keyword, value in transfer.keys.items()}
    last = scu.move(remote_of(transfer), settings.PACSWEB.ae_title, transfer.level, keys, following)
    if last.status == CANCELLED:
        raise Cancelled


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
