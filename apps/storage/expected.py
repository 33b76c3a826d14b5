"""How much a sender may be expected to send."""

from __future__ import annotations

from django.db.models import Q

from apps.storage.models import ExpectedSize, StoragePolicy


def association_bytes() -> dict[str, int]:
    """Average bytes of an association by AE title; "" is everybody's. One query."""
    rows = ExpectedSize.objects.filter(sop_class_uid="")
    return dict(rows.values_list("ae_title", "average_bytes"))


def instances_bytes(count: int, ae_title: str = "", sop_class_uid: str = "") -> int:
    """Bytes of `count` instances, by the closest average there is; 0 where nothing was learnt."""
    rows = ExpectedSize.objects.filter(
        Q(ae_title=ae_title) | Q(ae_title=""), ~Q(sop_class_uid="") | Q(ae_title="")
    )
    if sop_class_uid:
        rows = rows.filter(sop_class_uid=sop_class_uid)
    found = rows.exclude(sop_class_uid="").order_by("-ae_title", "-seen").first()
    return count * found.average_bytes if found else 0


def reserves_for_senders() -> bool:
    """Whether new associations count with what they are expected to send."""
    row = StoragePolicy.objects.filter(pk=1).only("reserve_for_senders").first()
    return row is None or row.reserve_for_senders
