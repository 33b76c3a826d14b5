"""take_back_originals: for instances that leave the archive, the bytes as they were received.

In the caller's transaction. What is set aside is what its sender sent, as long as that is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.utils import timezone

from apps.archive.compressed import compressions_in_use
from apps.archive.models import CompressedInstance, Instance

# A transfer that began before may still read the blob that is not in use any more.
STILL_READ: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ReceivedBlob:
    """The bytes that stand for an instance that leaves; size in bytes."""

    blob_key: str
    size_bytes: int
    transfer_syntax_uid: str
    dataset_sha256: bytes


def received_blobs(instances: Sequence[Instance]) -> dict[int, ReceivedBlob]:
    """By primary key: the received blob while it is kept, else the instance's own."""
    kept = _kept(instances)
    return {
        each.pk: _received(kept[each.sop_instance_uid])
        if each.sop_instance_uid in kept
        else ReceivedBlob(
            each.blob_key,
            each.size_bytes,
            each.transfer_syntax_uid,
            bytes(each.dataset_sha256),
        )
        for each in instances
    }


def take_back_originals(instances: Sequence[Instance]) -> dict[int, ReceivedBlob]:
    """`received_blobs`, for instances about to leave, whose locks the caller holds.

    What of both blobs nothing points to afterwards is removed later.
    """
    found = received_blobs(instances)
    CompressedInstance.objects.filter(pk__in=[row.pk for row in _kept(instances).values()]).update(
        state=CompressedInstance.State.RESTORED, removal_due_at=timezone.now() + STILL_READ
    )
    return found


def _kept(instances: Sequence[Instance]) -> dict[str, CompressedInstance]:
    """Those whose compressed blob is in use beside the received one."""
    compressed = compressions_in_use([each.sop_instance_uid for each in instances])
    in_use = {each.blob_key for each in instances}
    return {
        uid: row
        for uid, row in compressed.items()
        if row.state == CompressedInstance.State.KEPT and row.blob_key in in_use
    }


def _received(row: CompressedInstance) -> ReceivedBlob:
    return ReceivedBlob(
        row.original_blob_key,
        row.original_size_bytes,
        row.original_transfer_syntax_uid,
        bytes(row.original_dataset_sha256),
    )
