"""repoint_instance: an instance's bytes lie in another blob from now on.

Its identity, its place and what rules changed of it stay; so does what its sender was told. In the
caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from apps.archive.models import FrameTable, Instance, Metadata, Receipt, Series, Study


@dataclass(frozen=True, slots=True)
class BlobContent:
    """A placed blob as the index has it: sizes and offsets in bytes.

    `fragment` is None where the metadata says of it what it said before. `verified_at` is when it
    was read back as it should be, None for a blob nobody has read back.
    """

    transfer_syntax_uid: str
    blob_key: str
    size_bytes: int
    dataset_offset: int
    dataset_sha256: bytes
    frame_table: bytes | None
    fragment: bytes | None = None
    verified_at: datetime | None = None


def repoint_instance(row: Instance, to: BlobContent) -> None:
    """The caller holds the locks of the study and of the row, and sees to the blob before."""
    grown = to.size_bytes - row.size_bytes
    Instance.objects.filter(pk=row.pk).update(
        transfer_syntax_uid=to.transfer_syntax_uid,
        blob_key=to.blob_key,
        size_bytes=to.size_bytes,
        dataset_offset=to.dataset_offset,
        dataset_sha256=to.dataset_sha256,
    )
    if to.frame_table is not None:
        FrameTable.objects.filter(pk=row.pk).update(packed=to.frame_table)
    if to.fragment is not None:
        Metadata.objects.filter(pk=row.pk).update(fragment=to.fragment)
    Study.objects.filter(pk=row.study_id).update(size_bytes=F("size_bytes") + grown)
    Series.objects.filter(pk=row.series_id).update(size_bytes=F("size_bytes") + grown)
    # What was proved of the blob before proves nothing of this one.
    verdict = Receipt.Verdict.GOOD if to.verified_at else ""
    proved = {"verdict": verdict, "verified_at": to.verified_at}
    if to.verified_at is None:
        Receipt.objects.filter(pk=row.pk).update(**proved)
    else:
        Receipt.objects.update_or_create(instance_id=row.pk, defaults=proved)
