"""Cancel a transfer: at once where it waits, at its worker's next look where it runs."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from apps.access.principals import Permission, Principal, permit
from apps.errors import NotFound
from apps.transfers.actions.end_transfer import conclude
from apps.transfers.models import ENDED, Transfer


def cancel_transfer(principal: Principal, key: int) -> Transfer:
    """The transfer; one that has ended stays as it is. Raises NotPermitted, NotFound."""
    permit(principal, Permission.TRANSFER_STUDIES)
    with transaction.atomic():
        row = Transfer.objects.select_for_update().filter(pk=key).first()
        if row is None:
            raise NotFound("There is no such transfer.")
        if row.state in ENDED or row.cancel_requested:
            return row
        row.cancel_requested = True
        abandoned = row.lease_until is None or row.lease_until < timezone.now()
        if row.state == Transfer.State.WAITING or abandoned:
            row.lease_until, row.lease_holder = None, ""
            conclude(row, Transfer.State.CANCELLED)
        else:
            row.save(update_fields=["cancel_requested"])
    return row
