"""Frames by range read: the bytes of a frame as stored, wherever the frame table says they lie."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from apps.dicom.frames import FrameTable
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.errors import InvalidRequest, NotFound, UnreadableInstance
from apps.retrieve.locations import Location
from apps.storage.blobs import BlobStore
from apps.storage.stores import blob_store


def frame_table_of(location: Location) -> FrameTable:
    """The instance's frame table. Raises NotFound where it has no pixel data."""
    table = location.frames
    if table is None or table.count == 0:
        raise NotFound("This instance has no frames.")
    return table


def check_frame_number(table: FrameTable, number: int) -> None:
    """Frames are counted from 1 (PS3.18 10.4). Raises InvalidRequest or NotFound."""
    if number < 1:
        raise InvalidRequest("Frames are counted from 1.", offending=("frames",))
    if number > table.count:
        raise NotFound(f"There is no frame {number}; this instance has {table.count}.")


def check_whole_frame(table: FrameTable, number: int) -> None:
    """The same; also NotFound for a frame whose end was not sent: it would be a wrong picture."""
    check_frame_number(table, number)
    if table.is_cut(number - 1):
        raise NotFound(
            f"Frame {number} is not whole: Pixel Data of this instance ends before it does."
        )


def stored_frame(location: Location, table: FrameTable, number: int) -> bytes:
    """Frame `number` (from 1) in its stored Transfer Syntax, fragments joined, no item tags."""
    check_frame_number(table, number)
    ranges = table.fragments(number - 1)
    if table.inflated:
        return b"".join(_inflated_range(location, offset, length) for offset, length in ranges)
    store = blob_store()
    if len(ranges) == 1:
        offset, length = ranges[0]
        # 8-bit samples in Big Endian words: the last one's word ends with the padding byte.
        words = transfer_syntax(location.transfer_syntax_uid).big_endian and table.count == 1
        return store.read_at(location.blob_key, offset, length + length % 2 * words)
    handle = store.open(location.blob_key)
    try:
        return b"".join(handle.read_at(offset, length) for offset, length in ranges)
    finally:
        handle.close()


def piece_between(
    store: BlobStore, location: Location, piece: tuple[int, int], before: bytes, after: bytes
) -> bytes:
    """`before`, a piece of the blob (offset and length) in its store, and `after`.

    Raises UnreadableInstance where the blob ends before the piece does.
    """
    content = store.read_between(location.blob_key, *piece, before, after)
    if content is None:
        raise UnreadableInstance("The stored bytes are not as many as were received.")
    return content


def fragments_between(
    location: Location, pieces: tuple[tuple[int, int], ...], start: int, end: int
) -> Iterator[bytes]:
    """Bytes `start` to `end` (exclusive) of the fragments joined, in chunks."""
    position = 0
    for offset, length in pieces:
        first, last = max(start - position, 0), min(end - position, length)
        if first < last:
            yield from blob_store().stream(location.blob_key, offset + first, last - first)
        position += length


def _inflated_range(location: Location, offset: int, length: int) -> bytes:
    """`length` bytes at `offset` of the inflated data set, in flat memory (PS3.5 A.5)."""
    wanted = bytearray()
    position = 0
    for chunk in inflated_dataset(location):
        end = position + len(chunk)
        if end > offset:
            start = max(offset - position, 0)
            wanted += chunk[start : start + length - len(wanted)]
        position = end
        if len(wanted) >= length:
            break
    return bytes(wanted)


def inflated_dataset(location: Location) -> Iterator[bytes]:
    """The data set of a deflated instance, inflated in chunks of at most 1 MiB."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for stored in blob_store().stream(location.blob_key, location.dataset_offset):
            chunk = inflater.decompress(stored, 1 << 20)
            while chunk:
                yield chunk
                chunk = inflater.decompress(inflater.unconsumed_tail, 1 << 20)
            if inflater.eof:
                return
        yield inflater.flush()
    except zlib.error:
        raise UnreadableInstance("The deflated data set of this instance is damaged.") from None
