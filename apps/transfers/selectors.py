"""Questions about transfers."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from apps.access.principals import Permission, Principal, permit
from apps.dicom.sub_operations import SubOperations
from apps.errors import NotFound
from apps.transfers.models import ENDED, Transfer, TransferInstance


@dataclass(frozen=True, slots=True)
class Standing:
    """How a transfer stands at this moment."""

    counts: SubOperations
    ended: bool
    cancelled: bool
    message: str


def transfers(principal: Principal) -> QuerySet[Transfer]:
    """All of them, newest first."""
    permit(principal, Permission.TRANSFER_STUDIES)
    return Transfer.objects.select_related("peer")


def transfer_of(principal: Principal, key: int) -> Transfer:
    """Raises NotFound."""
    found = transfers(principal).filter(pk=key).first()
    if found is None:
        raise NotFound("There is no such transfer.")
    return found


def standing_of(key: int) -> Standing:
    """Counters and state, one query; with what failed once it has ended."""
    row = Transfer.objects.get(pk=key)
    counts = SubOperations(row.total, row.completed, row.failed, row.warning)
    ended = row.state in ENDED
    if ended and row.failed:
        counts.failed_uids = list(
            row.instances.filter(state=TransferInstance.State.FAILED).values_list(
                "sop_instance_uid", flat=True
            )
        )
    return Standing(counts, ended, row.state == Transfer.State.CANCELLED, row.message)
