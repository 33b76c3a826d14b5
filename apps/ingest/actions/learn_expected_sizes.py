"""learn_expected_sizes: how much each sender usually sends, from what it sent lately."""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction
from django.db.models import Avg, Count, Max, QuerySet

from apps.archive.models import Instance
from apps.network.models import AssociationRecord
from apps.storage.models import ExpectedSize

_LATEST_INSTANCES: Final = 20_000
_LATEST_ASSOCIATIONS: Final = 5_000


def learn_expected_sizes() -> int:
    """Replaces what was learnt before; how many averages. Looks at the latest rows only."""
    rows = [*_instances(), *_associations()]
    with transaction.atomic():
        ExpectedSize.objects.all().delete()
        ExpectedSize.objects.bulk_create(rows)
    return len(rows)


def _instances() -> list[ExpectedSize]:
    latest = _latest(Instance.objects.all(), _LATEST_INSTANCES)
    known = latest.exclude(source_ae_title="")
    by_sender = _averages(known, "size_bytes", "source_ae_title", "sop_class_uid")
    return by_sender + _averages(latest, "size_bytes", None, "sop_class_uid")


def _associations() -> list[ExpectedSize]:
    incoming = AssociationRecord.objects.filter(
        direction=AssociationRecord.Direction.IN, received_bytes__gt=0
    )
    latest = _latest(incoming, _LATEST_ASSOCIATIONS)
    by_sender = _averages(latest, "received_bytes", "calling_ae_title", None)
    return by_sender + _averages(latest, "received_bytes", None, None)


def _latest(rows: QuerySet[Any], count: int) -> QuerySet[Any]:
    newest = rows.aggregate(newest=Max("pk"))["newest"] or 0
    return rows.filter(pk__gt=newest - count)


def _averages(
    rows: QuerySet[Any], column: str, title: str | None, sop_class: str | None
) -> list[ExpectedSize]:
    columns = [each for each in (title, sop_class) if each]
    found = rows.order_by().values(*columns) if columns else rows.values()
    if not columns:
        whole = rows.aggregate(average=Avg(column), seen=Count("pk"))
        groups = [whole] if whole["seen"] else []
    else:
        groups = list(found.annotate(average=Avg(column), seen=Count("pk")))
    return [
        ExpectedSize(
            ae_title=group[title] if title else "",
            sop_class_uid=group[sop_class] if sop_class else "",
            average_bytes=int(group["average"]),
            seen=group["seen"],
        )
        for group in groups
    ]
