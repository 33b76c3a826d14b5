"""Forget association records that are older, or more, than the policy keeps."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from apps.network.models import AssociationRecord, NegotiationRecord
from apps.network.selectors import network_policy

_A_BATCH: Final = 5000
# The recorder writes an open association every 30 s; one not written for longer has no writer.
_SILENT: Final = timedelta(minutes=5)


def forget_associations() -> int:
    """How many were forgotten. In batches, so that no transaction blocks the recorder for long.

    Records whose process ended before it could write their end are closed on the way.
    """
    policy = network_policy()
    now = timezone.now()
    AssociationRecord.objects.filter(
        ending=AssociationRecord.Ending.OPEN, written_at__lt=now - _SILENT
    ).update(ending=AssociationRecord.Ending.UNKNOWN)
    oldest = now - timedelta(days=policy.keep_associations_days)
    over = AssociationRecord.objects.order_by("-started_at", "-pk")
    limit = over.values_list("started_at", flat=True)[policy.keep_associations_most :].first()
    if limit is not None:
        oldest = max(oldest, limit)
    forgotten = 0
    while True:
        with transaction.atomic():
            batch = list(
                AssociationRecord.objects.filter(started_at__lte=oldest)
                .order_by("pk")
                .values_list("pk", flat=True)[:_A_BATCH]
            )
            AssociationRecord.objects.filter(pk__in=batch).delete()
        forgotten += len(batch)
        if len(batch) < _A_BATCH:
            break
    # One written at this very moment is safe: its foreign key protects it.
    used = AssociationRecord.objects.filter(negotiation=OuterRef("pk"))
    NegotiationRecord.objects.filter(~Exists(used)).delete()
    return forgotten
