"""Bulk values by range read: where an element's value lies, found by one walk of the header."""

from __future__ import annotations

import array
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from apps.dicom.bulk_elements import BulkElement
from apps.dicom.reader import InstanceReader
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.errors import InvalidRequest, NotFound
from apps.retrieve.frames import inflated_dataset
from apps.retrieve.locations import Location
from apps.storage.stores import blob_store

_TAG: Final = re.compile(r"^[0-9A-F]{8}$")
_ITEM: Final = re.compile(r"^[0-9]{1,9}$")
_WORD_CODES: Final = {"OW": "H", "OF": "I", "OL": "I", "OD": "Q", "OV": "Q"}
_DEEPEST: Final = 129
# A multiple of every word.
_STEP: Final = 1 << 20


def path_from(text: str) -> tuple[str, ...]:
    """`TAG` or `TAG/item/TAG/...` as its segments, tags in capitals. Raises InvalidRequest."""
    pieces = text.upper().split("/")
    if len(pieces) % 2 == 0 or len(pieces) > _DEEPEST:
        raise InvalidRequest("The bulk data path must lead to an element.")
    for place, piece in enumerate(pieces):
        if not (_ITEM if place % 2 else _TAG).match(piece):
            raise InvalidRequest("The bulk data path holds something that is no tag or item.")
    return tuple(pieces)


@dataclass(frozen=True, slots=True)
class BulkValue:
    """One value: `length` bytes, Little Endian on the way out."""

    location: Location
    offset: int
    length: int
    vr: str

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to `end` (exclusive) of the value, in chunks."""
        stored = transfer_syntax(self.location.transfer_syntax_uid)
        if stored.deflated:
            return self._inflated(start, end)
        if stored.big_endian and self.vr in _WORD_CODES:
            return self._swapped(start, end)
        return blob_store().stream(self.location.blob_key, self.offset + start, end - start)

    def _inflated(self, start: int, end: int) -> Iterator[bytes]:
        position = -self.offset
        for chunk in inflated_dataset(self.location):
            first, last = max(start - position, 0), end - position
            if first < len(chunk) and last > 0:
                yield chunk[first:last]
            position += len(chunk)
            if position >= end:
                return

    def _swapped(self, start: int, end: int) -> Iterator[bytes]:
        words = array.array(_WORD_CODES[self.vr])
        size = words.itemsize
        whole = self.length - self.length % size
        for at in range(start - start % size, min(end, whole), _STEP):
            there = min(_STEP, whole - at)
            raw = blob_store().read_at(self.location.blob_key, self.offset + at, there)
            words = array.array(words.typecode)
            words.frombytes(raw[: len(raw) - len(raw) % size])
            words.byteswap()
            yield words.tobytes()[max(start - at, 0) : end - at]


def bulk_values(location: Location) -> list[tuple[BulkElement, BulkValue]]:
    """Every value that the instance's metadata leaves behind a URI, found by one walk."""
    with closing(blob_store().open(location.blob_key)) as handle:
        found = list(InstanceReader(handle).bulk_elements())
    return [(each, BulkValue(location, each.offset, each.length, each.vr)) for each in found]


def bulk_value(location: Location, path: tuple[str, ...]) -> BulkValue:
    """Finds the value. Raises NotFound where there is no such element, or where it was cut."""
    with closing(blob_store().open(location.blob_key)) as handle:
        reader = InstanceReader(handle)
        offset, length, vr = reader.locate(path)
        if offset + length > reader.data.size:
            raise NotFound("This value is not whole: the instance ends before it does.")
    return BulkValue(location, offset, length, vr)


def bulk_bytes(location: Location, uri: str) -> bytes:
    """All bytes behind one of our own BulkDataURIs of the instance. Raises NotFound."""
    _, found, element = uri.partition("/bulkdata/")
    if not found:
        raise NotFound("A lookup table of this image is not stored here.")
    value = bulk_value(location, path_from(element))
    return b"".join(value.chunks(0, value.length))
