"""restore_damaged: the same bytes arrive again for an instance whose blob is damaged.

They take the damaged blob's place under a key of their own; everything else about the instance
stays as it is. In the caller's transaction, after the new blobs were placed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import F

from apps.archive.actions.add_instances import NewInstance, StaleSnapshot
from apps.archive.actions.alert_damage import DAMAGED, alert_damage
from apps.archive.models import FrameTable, Instance, Receipt, Series, Study
from apps.events.log import Actor, NewEvent


@dataclass(slots=True)
class Restored:
    """Events to record, and keys of the damaged blobs, to delete once all is committed."""

    events: list[NewEvent] = field(default_factory=list)
    displaced: list[str] = field(default_factory=list)


def restore_damaged(arrived: Sequence[tuple[NewInstance, Actor]]) -> Restored:
    """Raises StaleSnapshot when one of them is not damaged any more; decide again then."""
    news = {new.sop_instance_uid: (new, actor) for new, actor in arrived}
    uids = sorted({new.study_instance_uid for new, _ in news.values()})
    # Locks top down and by key, as everywhere.
    studies = Study.objects.select_for_update().order_by("study_instance_uid")
    list(studies.filter(study_instance_uid__in=uids).values_list("pk", flat=True))
    rows = Instance.objects.select_for_update(of=("self",)).filter(
        sop_instance_uid__in=list(news), receipt__verdict__in=DAMAGED
    )
    found = list(rows.order_by("sop_instance_uid").select_related("study"))
    if len(found) != len(news):
        raise StaleSnapshot
    restored = Restored()
    for row in found:
        new, actor = news[row.sop_instance_uid]
        if bytes(row.dataset_sha256) != new.dataset_sha256:
            raise StaleSnapshot
        restored.displaced.append(row.blob_key)
        _repoint(row, new)
        payload = {"instances": 1, "sop_instance_uids": [row.sop_instance_uid]}
        restored.events.append(
            NewEvent("InstancesRestored", actor, row.study.study_instance_uid, payload=payload)
        )
    restored.events += alert_damage(uids, arrived[0][1])
    return restored


def _repoint(row: Instance, new: NewInstance) -> None:
    grown = new.size_bytes - row.size_bytes
    Instance.objects.filter(pk=row.pk).update(
        blob_key=new.blob_key, size_bytes=new.size_bytes, dataset_offset=new.dataset_offset
    )
    if new.frame_table is not None:
        FrameTable.objects.filter(pk=row.pk).update(packed=new.frame_table)
    Study.objects.filter(pk=row.study_id).update(size_bytes=F("size_bytes") + grown)
    Series.objects.filter(pk=row.series_id).update(size_bytes=F("size_bytes") + grown)
    # What was proved of the damaged blob proves nothing of this one.
    Receipt.objects.filter(pk=row.pk).update(verdict="", verified_at=None)
