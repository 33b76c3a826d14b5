"""Try a transfer again, or at once: what has not arrived is sent, the rest stays settled."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from apps.access.principals import Permission, Principal, permit
from apps.errors import InvalidRequest, NotFound
from apps.events.log import Actor, NewEvent, record
from apps.transfers.actions.request_transfer import MOST_ATTEMPTS, fetch_under_way
from apps.transfers.models import ENDED, Transfer, TransferInstance


def retry_transfer(principal: Principal, key: int) -> Transfer:
    """The transfer, waiting again; one that waits for its next attempt has it now.

    Raises NotPermitted, NotFound, InvalidRequest.
    """
    permit(principal, Permission.TRANSFER_STUDIES)
    with transaction.atomic():
        row = Transfer.objects.select_for_update().filter(pk=key).first()
        if row is None:
            raise NotFound("There is no such transfer.")
        if row.state == Transfer.State.RUNNING:
            raise InvalidRequest("The transfer is under way.")
        if row.state in ENDED:
            _check_alone(row)
            _reopen(row)
        row.not_before = timezone.now()
        row.save()
        actor = Actor(principal.kind.value, principal.name, principal.address, principal.door)
        record([NewEvent("TransferRetried", actor, payload={"transfer": row.pk})])
    return row


def _check_alone(row: Transfer) -> None:
    """What another transfer fetches is not fetched a second time. Raises InvalidRequest."""
    there = row.archive or row.peer
    if there is None or row.kind != Transfer.Kind.PULL:
        return
    # Whoever asks anew locks the same row.
    locked = type(there).objects.select_for_update().get(pk=there.pk)
    other = fetch_under_way(locked, row.keys)
    if other is not None:
        raise InvalidRequest(f"Transfer {other.pk} fetches this already.")


def _reopen(row: Transfer) -> None:
    row.instances.filter(state=TransferInstance.State.FAILED).update(
        state=TransferInstance.State.WAITING, status=None, message=""
    )
    row.state, row.cancel_requested = Transfer.State.WAITING, False
    row.failed = 0
    row.attempts, row.most_attempts, row.message = 0, MOST_ATTEMPTS, ""
    row.ended_at = None
