"""Bulk values by range read: where an element's value lies, found by one walk of the header."""

from __future__ import annotations

import array
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

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
            return iter((b"".join(self._inflated())[start:end],))
        if stored.big_endian and self.vr in _WORD_CODES:
            return iter((self._swapped()[start:end],))
        return blob_store().stream(self.location.blob_key, self.offset + start, end - start)

    def _inflated(self) -> Iterator[bytes]:
        position = 0
        for chunk in inflated_dataset(self.location):
            first = max(self.offset - position, 0)
            last = self.offset + self.length - position
            if first < len(chunk) and last > 0:
                yield chunk[first:last]
            position += len(chunk)
            if last <= len(chunk):
                return

    def _swapped(self) -> bytes:
        raw = blob_store().read_at(self.location.blob_key, self.offset, self.length)
        words = array.array(_WORD_CODES[self.vr])
        words.frombytes(raw[: len(raw) - len(raw) % words.itemsize])
        words.byteswap()
        return words.tobytes()


def bulk_value(location: Location, path: tuple[str, ...]) -> BulkValue:
    """Finds the value. Raises NotFound where the instance has no such element."""
    handle = blob_store().open(location.blob_key)
    try:
        offset, length, vr = InstanceReader(handle).locate(path)
    finally:
        handle.close()
    return BulkValue(location, offset, length, vr)


def bulk_bytes(location: Location, uri: str) -> bytes:
    """All bytes behind one of our own BulkDataURIs of the instance. Raises NotFound."""
    _, found, element = uri.partition("/bulkdata/")
    if not found:
        raise NotFound("A lookup table of this image is not stored here.")
    value = bulk_value(location, path_from(element))
    return b"".join(value.chunks(0, value.length))
