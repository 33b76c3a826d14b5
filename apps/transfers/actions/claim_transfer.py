"""Take a transfer to run: the oldest that is due and whose peer is not busy enough already."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.network.models import ApplicationEntity, WebArchive
from apps.transfers.models import Transfer

LEASE: Final = timedelta(seconds=10)
"""Kept by its worker every few seconds (`apps.transfers.running`)."""
_LOOKED_AT: Final = 100


def due(now: datetime) -> Q:
    """Waiting and due, or left behind by a worker that died."""
    waiting = Q(state=Transfer.State.WAITING, not_before__lte=now)
    return waiting | Q(state=Transfer.State.RUNNING, lease_until__lt=now)


def claim_transfer(holder: str) -> Transfer | None:
    """The transfer, now running and leased to `holder`, or None. No event: nothing is decided.

    The other side's row is locked while its running transfers are counted, so that two workers
    never exceed its limit together.
    """
    now = timezone.now()
    candidates = Transfer.objects.filter(due(now)).order_by("not_before", "pk")
    for key, peer, archive in list(
        candidates.values_list("pk", "peer_id", "archive_id")[:_LOOKED_AT]
    ):
        with transaction.atomic():
            if not _has_place(peer, archive, key, now):
                continue
            taken = (
                Transfer.objects.filter(due(now), pk=key)
                .order_by()
                .update(state=Transfer.State.RUNNING, lease_until=now + LEASE, lease_holder=holder)
            )
        if taken:
            return _started(key, now)
    return None


def _has_place(peer: int | None, archive: int | None, transfer: int, now: datetime) -> bool:
    row: ApplicationEntity | WebArchive | None = None
    if peer is not None:
        row = ApplicationEntity.objects.select_for_update().filter(pk=peer).first()
    elif archive is not None:
        row = WebArchive.objects.select_for_update().filter(pk=archive).first()
    if row is None:
        return True
    running = Transfer.objects.filter(
        peer=peer, archive=archive, state=Transfer.State.RUNNING, lease_until__gte=now
    ).exclude(pk=transfer)
    return running.count() < row.parallel_transfers


def _started(key: int, now: datetime) -> Transfer:
    transfer = Transfer.objects.select_related("peer", "archive").get(pk=key)
    transfer.attempts += 1
    transfer.started_at = transfer.started_at or now
    transfer.save(update_fields=["attempts", "started_at"])
    return transfer
