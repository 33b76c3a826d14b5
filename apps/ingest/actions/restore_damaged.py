"""restore_damaged: the same bytes arrive again for an instance whose blob is damaged.

They take the damaged blob's place under a key of their own; everything else about the instance
stays as it is. Where the damaged blob was a compressed one, it is the bytes that were received that
take its place. In the caller's transaction, after the new blobs were placed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.utils import timezone

from apps.archive.actions.add_instances import NewInstance, StaleSnapshot
from apps.archive.actions.alert_damage import DAMAGED, alert_damage
from apps.archive.actions.repoint_instance import BlobContent, repoint_instance
from apps.archive.compressed import compressions_in_use
from apps.archive.fragments import unpacked
from apps.archive.models import CompressedInstance, Instance, Study
from apps.archive.pixel_passages import recoded_fragment
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
    compressed = compressions_in_use(list(news))
    for row in found:
        new, actor = news[row.sop_instance_uid]
        _repoint(row, new, compressed.get(row.sop_instance_uid))
        restored.displaced.append(row.blob_key)
        payload = {"instances": 1, "sop_instance_uids": [row.sop_instance_uid]}
        restored.events.append(
            NewEvent("InstancesRestored", actor, row.study.study_instance_uid, payload=payload)
        )
    restored.events += alert_damage(uids, arrived[0][1])
    return restored


def _repoint(row: Instance, new: NewInstance, compressed: CompressedInstance | None) -> None:
    fragment = None
    if bytes(row.dataset_sha256) != new.dataset_sha256:
        # Or they are the bytes that were received, and it is the compressed blob that is damaged.
        if compressed is None or bytes(compressed.original_dataset_sha256) != new.dataset_sha256:
            raise StaleSnapshot
        fragment = recoded_fragment(bytes(row.metadata.fragment), unpacked(new.fragment))
        compressed.state = CompressedInstance.State.RESTORED
        compressed.removal_due_at = timezone.now()
        compressed.save(update_fields=["state", "removal_due_at"])
    repoint_instance(
        row,
        BlobContent(
            new.transfer_syntax_uid,
            new.blob_key,
            new.size_bytes,
            new.dataset_offset,
            new.dataset_sha256,
            new.frame_table,
            fragment,
        ),
    )
