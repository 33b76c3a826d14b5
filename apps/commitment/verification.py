"""Reading a stored instance back and comparing it with what was received."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from django.db.models import QuerySet

from apps.archive.models import Instance, NonPatientInstance, Receipt
from apps.dicom.part10 import HEAD_LENGTH, read_file_meta
from apps.errors import Unavailable, UnreadableInstance
from apps.storage.blobs import BlobMissing
from apps.storage.stores import blob_store

Verdict = Receipt.Verdict

_COLUMNS: Final = (
    "sop_instance_uid",
    "sop_class_uid",
    "transfer_syntax_uid",
    "blob_key",
    "size_bytes",
    "dataset_offset",
    "dataset_sha256",
)


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """What the index says of an instance's bytes; sizes and offsets in bytes.

    One that stands `apart` belongs to no patient: it has no receipt, and its `pk` is of that table.
    """

    pk: int
    study_id: int
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    blob_key: str
    size_bytes: int
    dataset_offset: int
    dataset_sha256: bytes
    apart: bool = False


def stored_blobs(rows: QuerySet[Instance]) -> Iterator[StoredBlob]:
    """The rows as the index has them, one query."""
    for row in rows.only("study_id", *_COLUMNS):
        yield _stored(row, row.pk, row.study_id)


def blobs_apart(rows: QuerySet[NonPatientInstance]) -> Iterator[StoredBlob]:
    """The same of instances of no patient."""
    for row in rows.only(*_COLUMNS):
        yield replace(_stored(row, row.pk, 0), apart=True)


def blobs_of(sop_instance_uids: Sequence[str]) -> dict[str, StoredBlob]:
    """What is stored under these UIDs, of patients or of none."""
    found = {
        each.sop_instance_uid: each
        for each in stored_blobs(Instance.objects.filter(sop_instance_uid__in=sop_instance_uids))
    }
    missing = [uid for uid in sop_instance_uids if uid not in found]
    if missing:
        apart = NonPatientInstance.objects.filter(sop_instance_uid__in=missing)
        found |= {each.sop_instance_uid: each for each in blobs_apart(apart)}
    return found


def _stored(row: Instance | NonPatientInstance, pk: int, study_id: int) -> StoredBlob:
    return StoredBlob(
        pk,
        study_id,
        row.sop_instance_uid,
        row.sop_class_uid,
        row.transfer_syntax_uid,
        row.blob_key,
        row.size_bytes,
        row.dataset_offset,
        bytes(row.dataset_sha256),
    )


def read_back(
    stored: StoredBlob, spend: Callable[[int], None], *, keep_cached: bool = False
) -> Receipt.Verdict:
    """Reads the whole blob and compares: length, File Meta against the index, SHA-256.

    `spend` hears how many bytes were read. Raises Unavailable when the store does not answer;
    a disk that cannot read these bytes any more has altered them.
    """
    try:
        chunks = blob_store().read_back(stored.blob_key, keep_cached=keep_cached)
        return _compared(stored, _told(chunks, spend))
    except BlobMissing:
        return Verdict.MISSING
    except Unavailable as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno == errno.EIO:
            return Verdict.ALTERED
        raise


def _told(chunks: Iterable[bytes], spend: Callable[[int], None]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        spend(len(chunk))


def _compared(stored: StoredBlob, chunks: Iterator[bytes]) -> Receipt.Verdict:
    first = next(chunks, b"")
    start = _dataset_start(stored, first)
    if start is None:
        return Verdict.ALTERED
    digest = hashlib.sha256(memoryview(first)[start:])
    size = len(first)
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    as_received = size == stored.size_bytes and digest.digest() == stored.dataset_sha256
    return Verdict.GOOD if as_received else Verdict.ALTERED


def _dataset_start(stored: StoredBlob, first: bytes) -> int | None:
    """Where the hashed bytes begin; None when the File Meta is not the instance's own any more.

    Bytes that came without a File Meta of ours were hashed from their beginning.
    """
    try:
        meta = read_file_meta(first[:HEAD_LENGTH])
    except UnreadableInstance:
        return None
    if meta.provenance is None:
        return 0
    ours = (meta.sop_instance_uid, meta.transfer_syntax_uid, meta.dataset_offset)
    theirs = (stored.sop_instance_uid, stored.transfer_syntax_uid, stored.dataset_offset)
    return meta.dataset_offset if ours == theirs else None
