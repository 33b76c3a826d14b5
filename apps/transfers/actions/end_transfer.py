"""End a transfer's run: done, given up, cancelled, or to be tried again later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Final

from django.db import transaction
from django.utils import timezone

from apps.archive.models import Instance
from apps.commitment.actions.ask_peers import request_commitment
from apps.dicom.sub_operations import OUR_FAILURE
from apps.events.log import Actor, NewEvent, record
from apps.transfers.actions.note_progress import LeaseLost
from apps.transfers.models import Transfer, TransferInstance

# How long to wait before the second, third, ... attempt.
_PAUSES: Final = tuple(timedelta(seconds=each) for each in (15, 60, 300, 1800, 7200))
_AT_ONCE: Final = 500
_ENDED: Final = {
    Transfer.State.SUCCEEDED: "TransferCompleted",
    Transfer.State.PARTLY: "TransferCompleted",
    Transfer.State.FAILED: "TransferFailed",
    Transfer.State.CANCELLED: "TransferCancelled",
}


def end_transfer(
    transfer: int,
    holder: str,
    *,
    problem: str = "",
    retryable: bool = True,
    not_sooner: timedelta = timedelta(0),
) -> None:
    """After a run. `problem` says why it could not go on, `""` where all was done.

    With a problem that may pass and attempts left it waits for its next one, for `not_sooner` at
    least; else what has not been sent has failed. Raises LeaseLost.
    """
    with transaction.atomic():
        row = (
            Transfer.objects.select_for_update()
            .filter(pk=transfer, state=Transfer.State.RUNNING, lease_holder=holder)
            .first()
        )
        if row is None:
            raise LeaseLost
        row.lease_until, row.lease_holder, row.message = None, "", problem[:300]
        asked_again, row.asked_again = row.asked_again, False
        if asked_again and not problem and not row.cancel_requested:
            # As if it had been asked for now: the other archive may have got more meanwhile.
            row.state, row.attempts, row.not_before = Transfer.State.WAITING, 0, timezone.now()
            row.save()
            return
        again = problem and retryable and row.attempts < row.most_attempts
        if problem and retryable and not again and row.attempts > 1:
            row.message = f"{problem} Given up after {row.attempts} attempts."[:300]
        if again and not row.cancel_requested:
            row.state = Transfer.State.WAITING
            pause = _PAUSES[min(row.attempts, len(_PAUSES)) - 1]
            row.not_before = timezone.now() + max(pause, not_sooner)
            row.save()
            return
        _settle_rest(row, problem)
        conclude(row, _state(row, problem))


def conclude(row: Transfer, state: Transfer.State) -> None:
    """Makes the state final, with its event. Call it in a transaction that holds the row."""
    row.state, row.ended_at = state, timezone.now()
    row.save()
    actor = Actor(row.asked_by_kind, row.asked_by_name, row.asked_by_address, row.asked_by_door)
    payload = {
        "transfer": row.pk,
        "kind": row.kind,
        "peer": row.peer_title,
        "instances": row.total,
        "completed": row.completed,
        "warning": row.warning,
        "failed": row.failed,
        "bytes": row.sent_bytes,
    }
    _ask_commitment(row)
    record([NewEvent(_ENDED[state], actor, payload=payload)])


def _ask_commitment(row: Transfer) -> None:
    """A peer whose policy says so is asked, by a worker, whether it keeps what has arrived."""
    if row.kind != Transfer.Kind.SEND or row.peer is None or not row.peer.ask_commitment:
        return
    if row.completed + row.warning:
        request_commitment(row.peer, _arrived(row), f"transfer {row.pk}")


def _arrived(row: Transfer) -> Iterator[tuple[str, str]]:
    """SOP Class and SOP Instance UIDs of what was sent and is still stored."""
    sent = (TransferInstance.State.SENT, TransferInstance.State.WARNING)
    rows = row.instances.filter(state__in=sent, corrects=False).order_by("position")
    keys = rows.values_list("instance_key", flat=True).iterator(chunk_size=_AT_ONCE)
    while part := list(islice(keys, _AT_ONCE)):
        yield from Instance.objects.filter(
            pk__in=[key for key in part if key is not None]
        ).values_list("sop_class_uid", "sop_instance_uid")


def _settle_rest(row: Transfer, problem: str) -> None:
    """What was not sent has failed, unless somebody cancelled: then it stays listed as waiting.

    One that its peer refused for the time being keeps the peer's status. What a peer fetches for
    us by itself is not listed.
    """
    if row.cancel_requested:
        return
    failed, waiting = TransferInstance.State.FAILED, TransferInstance.State.WAITING
    rest = row.instances.filter(state=waiting)
    row.failed += rest.filter(status=None).update(
        state=failed, status=OUR_FAILURE, message=problem[:200]
    )
    row.failed += rest.update(state=failed)


def _state(row: Transfer, problem: str) -> Transfer.State:
    settled = row.completed + row.warning + row.failed
    if row.cancel_requested and (settled < row.total or problem):
        return Transfer.State.CANCELLED
    if row.failed == row.total and (row.total or problem):
        return Transfer.State.FAILED
    if row.failed or problem:
        return Transfer.State.PARTLY
    return Transfer.State.SUCCEEDED
