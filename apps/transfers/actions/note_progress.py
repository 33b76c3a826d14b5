"""Write down what a running transfer has done so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.dicom.sub_operations import SUCCESS, is_warning
from apps.transfers.actions.claim_transfer import LEASE
from apps.transfers.models import Transfer, TransferInstance


class LeaseLost(Exception):
    """Somebody else runs this transfer now: whoever notices stops at once."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one instance: the status of its C-STORE, or one of ours and a sentence.

    `postponed` says that it waits for the transfer's next attempt, whatever the status was.
    """

    row: int
    status: int
    message: str = ""
    postponed: bool = False

    @property
    def state(self) -> TransferInstance.State:
        """The row's new state."""
        if self.postponed:
            return TransferInstance.State.WAITING
        if self.status == SUCCESS:
            return TransferInstance.State.SENT
        if is_warning(self.status):
            return TransferInstance.State.WARNING
        return TransferInstance.State.FAILED


def note_outcomes(
    transfer: int, holder: str, outcomes: Sequence[Outcome], sent_bytes: int = 0
) -> bool:
    """Settles instances and counts them, in one transaction; True when it is to be cancelled.

    Instances and counters change together, so that a worker that dies leaves them exact: what it
    sent and did not write down is sent again, and counted once. No event: its end is one.
    """
    with transaction.atomic():
        cancelled = _leased(transfer, holder)
        if outcomes:
            _settle(outcomes)
        states = [each.state for each in outcomes]
        Transfer.objects.filter(pk=transfer).update(
            completed=F("completed") + states.count(TransferInstance.State.SENT),
            warning=F("warning") + states.count(TransferInstance.State.WARNING),
            failed=F("failed") + states.count(TransferInstance.State.FAILED),
            sent_bytes=F("sent_bytes") + sent_bytes,
        )
    return cancelled


def keep_lease(transfer: int, holder: str) -> bool:
    """The worker is alive; False when the transfer is not its any more."""
    rows = Transfer.objects.filter(pk=transfer, state=Transfer.State.RUNNING, lease_holder=holder)
    return bool(rows.update(lease_until=timezone.now() + LEASE))


def note_counters(transfer: int, holder: str, counters: dict[str, int]) -> bool:
    """What a peer says of a C-MOVE it does for us; True when it is to be cancelled."""
    with transaction.atomic():
        cancelled = _leased(transfer, holder)
        if counters:
            Transfer.objects.filter(pk=transfer).update(**counters)
    return cancelled


def _leased(transfer: int, holder: str) -> bool:
    rows = Transfer.objects.select_for_update().filter(
        pk=transfer, state=Transfer.State.RUNNING, lease_holder=holder
    )
    cancelled = rows.values_list("cancel_requested", flat=True).first()
    if cancelled is None:
        raise LeaseLost
    return cancelled


def _settle(outcomes: Sequence[Outcome]) -> None:
    good = [each.row for each in outcomes if each.status == SUCCESS]
    if good:
        TransferInstance.objects.filter(pk__in=good).update(
            state=TransferInstance.State.SENT, status=SUCCESS, message=""
        )
    others = [each for each in outcomes if each.status != SUCCESS]
    if others:
        TransferInstance.objects.bulk_update(
            [
                TransferInstance(
                    pk=each.row, state=each.state, status=each.status, message=each.message[:200]
                )
                for each in others
            ],
            ["state", "status", "message"],
            batch_size=200,
        )
