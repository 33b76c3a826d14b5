"""Data sets on their way to a DICOM peer: as stored where it takes that, else rewritten.

The stored Transfer Syntax comes first, so that bytes leave untouched; only what the peer refused
is decoded to Explicit or Implicit VR Little Endian (PS3.5 10: every SCU and SCP has the latter).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings

from apps.dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from apps.errors import NotAcceptable, PacsError
from apps.network.store_writer import ChunkSource, FileSource, Source, SourceEndedError
from apps.retrieve.amended import amended_dataset
from apps.retrieve.conversion import converted_dataset
from apps.retrieve.locations import Location
from apps.storage.blobs import BlobMissing
from apps.storage.stores import blob_store

REWRITTEN_TO: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


@dataclass(frozen=True, slots=True)
class OutgoingDataset:
    """A data set of known length without File Meta Information."""

    transfer_syntax_uid: str
    length: int
    source: Source


def outgoing_syntax(location: Location, accepted: Collection[str]) -> str:
    """The Transfer Syntax to send in. Raises NotAcceptable where the peer takes none of ours."""
    if location.transfer_syntax_uid in accepted:
        return location.transfer_syntax_uid
    for uid in REWRITTEN_TO:
        if uid in accepted:
            return uid
    raise NotAcceptable("The peer accepts no Transfer Syntax this object can be sent in.")


@contextmanager
def outgoing(location: Location, transfer_syntax_uid: str) -> Iterator[OutgoingDataset]:
    """The data set in that syntax.

    What has to be rewritten is written down first, in a file without a name: a frame that cannot
    be decoded shows before the first byte has left, when the object can still be left out.
    Raises BlobMissing, OSError, and UnsupportedPixels where it cannot be rewritten.
    """
    if transfer_syntax_uid != location.transfer_syntax_uid:
        _, chunks = converted_dataset(location, transfer_syntax_uid)
        with tempfile.TemporaryFile(dir=settings.PACSWEB.inbox) as spooled:
            for chunk in chunks:
                spooled.write(chunk)
            spooled.flush()
            source = FileSource(spooled.fileno(), 0)
            yield OutgoingDataset(transfer_syntax_uid, spooled.tell(), source)
        return
    if location.layers:
        amended = amended_dataset(location)
        yield OutgoingDataset(
            transfer_syntax_uid, amended.length, ChunkSource(_unbroken(amended.chunks()))
        )
        return
    store = blob_store()
    length = location.size_bytes - location.dataset_offset
    path = store.local_path(location.blob_key)
    if path is None:
        stream = store.stream(location.blob_key, location.dataset_offset)
        yield OutgoingDataset(transfer_syntax_uid, length, ChunkSource(_unbroken(stream)))
        return
    with _opened(path, location) as descriptor:
        source = FileSource(descriptor, location.dataset_offset)
        yield OutgoingDataset(transfer_syntax_uid, length, source)


def _unbroken(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Once the message has begun, a blob that cannot be read on ends it: SourceEndedError."""
    try:
        yield from chunks
    except (BlobMissing, OSError, PacsError) as error:
        raise SourceEndedError("the stored object cannot be read to its end") from error


@contextmanager
def _opened(path: Path, location: Location) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise BlobMissing(location.blob_key) from None
    try:
        if os.fstat(descriptor).st_size < location.size_bytes:
            raise BlobMissing(location.blob_key)
        yield descriptor
    finally:
        os.close(descriptor)
