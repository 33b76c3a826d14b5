"""What happened last at the node's own door: associations, as rows of the first page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from apps.network.models import AssociationRecord

_MOST = 8
_CALM = frozenset({AssociationRecord.Ending.OPEN.value, AssociationRecord.Ending.RELEASED.value})


@dataclass(frozen=True, slots=True)
class Call:
    """One association: who, when, what was done, how it ended, and where to read more."""

    at: datetime
    peer: str
    outgoing: bool
    done: str
    ending: str
    reason: str
    calm: bool
    link: str


def latest_calls() -> list[Call]:
    """The newest associations first; connections that never said anything are no calls."""
    rows = AssociationRecord.objects.exclude(ending=AssociationRecord.Ending.SILENT)
    return [_call(row) for row in rows.order_by("-started_at")[:_MOST]]


def _call(row: AssociationRecord) -> Call:
    outgoing = row.direction == AssociationRecord.Direction.OUT
    title = row.called_ae_title if outgoing else row.calling_ae_title
    counts = (f"{sum(each.values())} {name}" for name, each in sorted(row.operations.items()))
    return Call(
        at=row.started_at,
        peer=" · ".join(part for part in (title, row.address) if part) or "unknown",
        outgoing=outgoing,
        done=", ".join(counts) or "nothing",
        ending=row.get_ending_display(),
        reason=row.reason,
        calm=row.ending in _CALM,
        link=reverse("admin:network_associationrecord_change", args=[row.pk]),
    )
