"""A compressed blob beside the one received: written, read back, compared, not yet in use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import IO, BinaryIO, Final, cast

from django.utils import timezone

from apps.archive.models import CompressedInstance, Metadata
from apps.commitment.verification import StoredBlob, Verdict, read_back
from apps.compression.proof import NotTheSame, Proof, codecs, proved
from apps.dicom.part10 import HEAD_LENGTH, Provenance, file_meta, read_file_meta
from apps.errors import UnsupportedPixels
from apps.ingest.crash_points import crash_point
from apps.ingest.outcomes import INSTANCES
from apps.ingest.spool import SpoolName
from apps.retrieve.conversion import encapsulated_dataset
from apps.retrieve.locations import Location
from apps.storage.scratch import scratch_file
from apps.storage.stores import blob_store

HTJ2K_RPCL_LOSSLESS: Final = "1.2.840.10008.1.2.4.202"
"""Lossless, and a client that reads only its beginning has a smaller picture (PS3.5 8.2.14)."""


# Less is not worth a second blob for a month, nor the work of whoever wants it uncompressed.
_WORTH_WHILE: Final = 0.95


class OriginalDamaged(Exception):
    """The blob is not as it was received: it must not be taken for the truth."""

    def __init__(self, stored: StoredBlob, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.stored, self.verdict = stored, verdict


@dataclass(frozen=True, slots=True)
class Compressed:
    """A blob that is placed and proved, with its row; `location` is the instance's before."""

    row: CompressedInstance
    location: Location
    proof: Proof


def compress(
    location: Location, provenance: Provenance, rule: str, spend: Callable[[int], None]
) -> Compressed:
    """Makes the blob and proves it. Nothing points to it yet but its own row.

    `provenance` is written where the received blob says none; `spend` hears of the bytes read.
    Raises UnsupportedPixels where it cannot be made or would not be smaller, NotTheSame,
    UnreadableInstance, OriginalDamaged, Unavailable, OutOfResources.
    """
    bare = location._replace(layers=())  # what rules changed stays beside the blob
    _read_back(bare, spend)
    row = _written(bare, provenance, rule, spend)
    crash_point("compression-written")
    try:
        made = bare._replace(
            blob_key=row.blob_key,
            size_bytes=row.size_bytes,
            transfer_syntax_uid=row.transfer_syntax_uid,
            dataset_sha256=bytes(row.dataset_sha256),
        )
        fragment = Metadata.objects.values_list("fragment", flat=True).get(pk=location.key)
        proof = proved(bare, made, bytes(fragment), spend)
        try:
            _read_back(made._replace(dataset_offset=proof.dataset_offset), spend)
        except OriginalDamaged as error:
            raise NotTheSame("The compressed blob cannot be read back.") from error
    except BaseException:
        discard(row)
        raise
    row.frames, row.codecs = proof.frames, codecs()[:200]
    row.pixels_before, row.pixels_after = proof.pixels_before, proof.pixels_after
    return Compressed(row, location, proof)


def discard(row: CompressedInstance) -> None:
    """The blob goes before its row, so that no blob is left without one."""
    blob_store().delete(row.blob_key)
    row.delete()


def _read_back(location: Location, spend: Callable[[int], None]) -> None:
    stored = StoredBlob(
        location.key,
        0,
        location.sop_instance_uid,
        location.sop_class_uid,
        location.transfer_syntax_uid,
        location.blob_key,
        location.size_bytes,
        location.dataset_offset,
        location.dataset_sha256,
    )
    # Read again at once, frame by frame: what was read is kept in memory.
    verdict = read_back(stored, spend, keep_cached=True)
    if verdict is not Verdict.GOOD:
        raise OriginalDamaged(stored, verdict)


def _written(
    location: Location, provenance: Provenance, rule: str, spend: Callable[[int], None]
) -> CompressedInstance:
    """The blob, durable, and before it the row that knows of it: a crash leaves no stray."""
    dataset = encapsulated_dataset(location, HTJ2K_RPCL_LOSSLESS, spend)
    with scratch_file() as file:
        size, sha256 = _write(file, _head(location, provenance), dataset)
        if size > _WORTH_WHILE * location.size_bytes:
            raise UnsupportedPixels("Compressed, it would hardly be smaller.")
        row = CompressedInstance.objects.create(
            sop_instance_uid=location.sop_instance_uid,
            study_instance_uid=location.study_instance_uid,
            rule=rule,
            transfer_syntax_uid=HTJ2K_RPCL_LOSSLESS,
            blob_key=SpoolName.mint(size, sha256.hex()).blob_key(INSTANCES),
            size_bytes=size,
            dataset_sha256=sha256,
            original_transfer_syntax_uid=location.transfer_syntax_uid,
            original_blob_key=location.blob_key,
            original_size_bytes=location.size_bytes,
            original_dataset_sha256=location.dataset_sha256,
            made_at=timezone.now(),
        )
        try:
            file.seek(0)
            blob_store().put(row.blob_key, cast("BinaryIO", file))
        except BaseException:
            discard(row)
            raise
    return row


def _head(location: Location, provenance: Provenance) -> bytes:
    """Our own File Meta, with the provenance that the received blob has."""
    with closing(blob_store().open(location.blob_key)) as source:
        meta = read_file_meta(source.read_at(0, HEAD_LENGTH))
    return file_meta(
        sop_class_uid=location.sop_class_uid,
        sop_instance_uid=location.sop_instance_uid,
        transfer_syntax_uid=HTJ2K_RPCL_LOSSLESS,
        provenance=meta.provenance or provenance,
    )


def _write(file: IO[bytes], head: bytes, dataset: Iterator[bytes]) -> tuple[int, bytes]:
    """The size of the whole, and the SHA-256 of the data set."""
    digest = hashlib.sha256()
    size = file.write(head)
    for chunk in dataset:
        digest.update(chunk)
        size += file.write(chunk)
    return size, digest.digest()
