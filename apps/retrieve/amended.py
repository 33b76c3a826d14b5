"""Instances that rules have changed, in their stored Transfer Syntax, in chunks of known length."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from apps.dicom.reader import InstanceReader
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.retrieve.locations import Location
from apps.retrieve.splicing import Piece, spliced
from apps.storage.stores import blob_store

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class AmendedDataset:
    """The data set with its layers, without File Meta; `chunks` may be asked for again."""

    location: Location
    pieces: Sequence[Piece]
    length: int

    def chunks(self) -> Iterator[bytes]:
        """The bytes in order. Raises BlobMissing, OSError."""
        if transfer_syntax(self.location.transfer_syntax_uid).deflated:
            yield from _deflated(self.location, self.pieces)
            return
        store = blob_store()
        for each in self.pieces:
            if isinstance(each, bytes):
                yield each
            else:
                yield from store.stream(self.location.blob_key, each.offset, each.length)


def amended_dataset(location: Location) -> AmendedDataset:
    """Walks the header; the object itself is read as it goes out.

    Raises BlobMissing, OSError, UnreadableInstance.
    """
    with closing(blob_store().open(location.blob_key)) as handle:
        reader = InstanceReader(handle)
        walk = reader.walk()
        pieces = spliced(reader.data, walk.position, walk.encoding, location.layers)
    if transfer_syntax(location.transfer_syntax_uid).deflated:
        # How long it will be shows when it is done; doing it twice keeps memory flat.
        length = sum(map(len, _deflated(location, pieces)))
    else:
        length = sum(len(each) if isinstance(each, bytes) else each.length for each in pieces)
    return AmendedDataset(location, pieces, length)


def _deflated(location: Location, pieces: Sequence[Piece]) -> Iterator[bytes]:
    """Deflated again (PS3.5 A.5)."""
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    with closing(blob_store().open(location.blob_key)) as handle:
        source = InstanceReader(handle).data
        for each in pieces:
            if isinstance(each, bytes):
                yield deflate.compress(each)
                continue
            end = each.offset + each.length
            for at in range(each.offset, end, _CHUNK):
                yield deflate.compress(source.read_at(at, min(_CHUNK, end - at)))
    yield deflate.flush()
