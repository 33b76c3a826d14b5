"""Whole instances in another Transfer Syntax than stored, Explicit VR Little Endian by default.

That is the default of WADO-RS (PS3.18 8.7.3.4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

from apps.dicom.amendments import ORIGINAL_ATTRIBUTES
from apps.dicom.deflated import InflatedSource
from apps.dicom.element_shapes import Encoding
from apps.dicom.frames import FrameTable
from apps.dicom.part10 import file_meta
from apps.dicom.pixels import PixelDescription, transcode_frame, transcoded
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from apps.errors import UnsupportedPixels
from apps.retrieve.encapsulation import EncapsulatedFrames, text_value
from apps.retrieve.explicit import (
    LONGEST_VALUE,
    Changes,
    Head,
    Pixels,
    PixelValue,
    Range,
    Segment,
    header,
    implicit_header,
    rewritten,
)
from apps.retrieve.frames import inflated_dataset, stored_frame
from apps.retrieve.instances import OutgoingInstance, Pending
from apps.retrieve.locations import Location
from apps.retrieve.splicing import Writing, changes_of, read_header
from apps.retrieve.transcoding import description_of
from apps.storage.stores import blob_store

_PHOTOMETRIC: Final = 0x00280004
_PLANAR: Final = 0x00280006
_BYTE: Final = 8
_OFFSET_TABLES: Final = (0x7FE00001, 0x7FE00002, 0x7FE00003)


def converted(location: Location, target_uid: str = EXPLICIT_VR_LITTLE_ENDIAN) -> OutgoingInstance:
    """The instance in the target Transfer Syntax; its length is known beforehand.

    An instance without pixels goes out in Explicit VR Little Endian whatever the target. Raises
    UnsupportedPixels where that cannot be done: no codec, a cut object, more than 4 GiB.
    """
    return conversion(location, target_uid).made()


def conversion(location: Location, target_uid: str) -> Pending:
    """The same, a step for each frame that is to be compressed; only the first is tried now."""
    table = location.frames
    if transfer_syntax(target_uid).encapsulated and table is not None and table.count:
        frames = EncapsulatedFrames(location, table, target_uid)
        return Pending(target_uid, _compressed(location, frames, target_uid))
    return Pending.none(_native(location))


def _native(location: Location) -> OutgoingInstance:
    head = _head(location, location.sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN)
    if transfer_syntax(location.transfer_syntax_uid).deflated and not location.layers:
        length = sum(map(len, inflated_dataset(location)))
        return _outgoing(head, length, inflated_dataset(location))
    return _assembled(location, head, EXPLICIT_VR_LITTLE_ENDIAN, _OutgoingFrames.of(location))


def converted_dataset(location: Location, target_uid: str) -> tuple[int, Iterator[bytes]]:
    """Length and chunks of the data set alone, in Explicit or Implicit VR Little Endian.

    Raises UnsupportedPixels like `converted`.
    """
    frames = _OutgoingFrames.of(location)
    head = implicit_header if transfer_syntax(target_uid).implicit else header
    segments = _segments(location, frames, head)
    return _length_of(segments), _chunks(location, segments, frames)


def encapsulated_dataset(
    location: Location, target_uid: str, told: Callable[[int], None]
) -> Iterator[bytes]:
    """The data set alone, its frames in an encapsulated Transfer Syntax, in chunks.

    `told` hears of each frame's stored bytes as it is done. Raises UnsupportedPixels like
    `converted`, and for an instance without frames.
    """
    table = location.frames
    if table is None or not table.count:
        raise UnsupportedPixels("This instance has no frames.")
    frames = EncapsulatedFrames(location, table, target_uid)
    for length in frames.make():
        told(length)
    return _chunks(location, _segments(location, frames, header), frames)


def _compressed(
    location: Location, frames: EncapsulatedFrames, target_uid: str
) -> Iterator[OutgoingInstance | None]:
    made = frames.make()
    next(made)  # the first was made before
    for _ in made:
        yield None
    head = _head(location, frames.sop_instance_uid, target_uid)
    yield _assembled(location, head, target_uid, frames)


def _head(location: Location, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    return file_meta(
        sop_class_uid=location.sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=transfer_syntax_uid,
        provenance=None,
    )


def _assembled(
    location: Location, head: bytes, transfer_syntax_uid: str, frames: _Frames | None
) -> OutgoingInstance:
    segments = _segments(location, frames, header)
    chunks = _chunks(location, segments, frames)
    return _outgoing(head, _length_of(segments), chunks, transfer_syntax_uid)


def _length_of(segments: list[Segment]) -> int:
    return sum(len(each) if isinstance(each, bytes) else each.length for each in segments)


def _outgoing(
    head: bytes,
    length: int,
    dataset: Iterator[bytes],
    transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN,
) -> OutgoingInstance:
    def chunks() -> Iterator[bytes]:
        yield head
        yield from dataset

    return OutgoingInstance(transfer_syntax_uid, len(head) + length, chunks())


def _segments(location: Location, frames: _Frames | None, head: Head) -> list[Segment]:
    stored = transfer_syntax(location.transfer_syntax_uid)
    with closing(blob_store().open(location.blob_key)) as handle:
        inflated = InflatedSource(handle, location.dataset_offset) if stored.deflated else None
        source, start = inflated or handle, 0 if inflated else location.dataset_offset
        encoding = Encoding(implicit=stored.implicit, big_endian=stored.big_endian)
        replaced: Changes = frames.replaced() if frames else {}
        items = b""
        if location.layers:
            writing = Writing(Encoding(implicit=head is implicit_header, big_endian=False))
            amended = read_header(source, start, encoding)
            changes, items = changes_of(amended, location.layers, writing.head)
            replaced = replaced | changes
        return _joined(
            rewritten(
                source,
                start,
                encoding,
                replaced=replaced,
                pixels=frames.value() if frames else None,
                head=head,
                appended={ORIGINAL_ATTRIBUTES: items},
            )
        )


def _joined(segments: Iterator[Segment]) -> list[Segment]:
    """Neighbouring written bytes as one: a header becomes a single chunk."""
    joined: list[Segment] = []
    written: list[bytes] = []
    for segment in segments:
        if isinstance(segment, bytes):
            written.append(segment)
            continue
        joined += [b"".join(written), segment]
        written.clear()
    joined.append(b"".join(written))
    return joined


def _chunks(location: Location, segments: list[Segment], frames: _Frames | None) -> Iterator[bytes]:
    deflated = transfer_syntax(location.transfer_syntax_uid).deflated
    for segment in segments:
        if isinstance(segment, bytes):
            yield segment
        elif isinstance(segment, Range):
            read = _inflated_range if deflated else _stored_range
            yield from read(location, segment)
        elif frames is not None:
            yield from frames.chunks(segment)


def _stored_range(location: Location, where: Range) -> Iterator[bytes]:
    return blob_store().stream(location.blob_key, where.offset, where.length)


def _inflated_range(location: Location, where: Range) -> Iterator[bytes]:
    with closing(blob_store().open(location.blob_key)) as handle:
        yield InflatedSource(handle, location.dataset_offset).read_at(where.offset, where.length)


class _OutgoingFrames:
    """The frames of an encapsulated or Big Endian instance on their way to Little Endian."""

    def __init__(self, location: Location, table: FrameTable) -> None:
        self._location = location
        self._table = table
        self._before = description_of(location)
        self._after = transcoded(self._before, EXPLICIT_VR_LITTLE_ENDIAN)
        self._check()
        # Decoded before the answer begins: it shows whether there can be one.
        self._first = self._frame(1)
        if len(self._first) != self._after.native_length:
            raise UnsupportedPixels("The frames are not as long as the header says.")

    @classmethod
    def of(cls, location: Location) -> _OutgoingFrames | None:
        """None where stored Pixel Data can go out as it is, or where there is none."""
        stored = transfer_syntax(location.transfer_syntax_uid)
        table = location.frames
        if table is None or table.count == 0 or not (stored.encapsulated or stored.big_endian):
            return None
        return cls(location, table)

    def _check(self) -> None:
        if self._table.count != self._before.number_of_frames:
            raise UnsupportedPixels("There are not as many frames as the header says.")
        if self._after.native_bits % 8 and self._table.count > 1:
            raise UnsupportedPixels("Frames that end inside a byte cannot be put together here.")
        if self._length > LONGEST_VALUE:
            raise UnsupportedPixels("Uncompressed, this object would exceed 4 GiB.")

    @property
    def _length(self) -> int:
        length = self._after.native_length * self._table.count
        return length + length % 2

    def _frame(self, number: int) -> bytes:
        return transcode_frame(
            stored_frame(self._location, self._table, number),
            self._before,
            EXPLICIT_VR_LITTLE_ENDIAN,
            bit_offset=self._table.bit_offset(number - 1),
        )

    def value(self) -> PixelValue:
        """VR and length of Pixel Data once it is native (PS3.5 A.2)."""
        described: PixelDescription = self._after
        if described.sample_format != "integer":
            return PixelValue("OF" if described.sample_format == "float" else "OD", self._length)
        return PixelValue("OW" if described.bits_allocated > _BYTE else "OB", self._length)

    def replaced(self) -> Changes:
        """The Image Pixel attributes that decoding changes."""
        changes: Changes = dict.fromkeys(_OFFSET_TABLES)
        if self._after.photometric_interpretation != self._before.photometric_interpretation:
            changes[_PHOTOMETRIC] = ("CS", text_value(self._after.photometric_interpretation))
        if self._after.samples_per_pixel > 1:
            planar = self._after.planar_configuration.to_bytes(2, "little")
            changes[_PLANAR] = ("US", planar)
        return changes

    def chunks(self, place: Pixels) -> Iterator[bytes]:
        """The frames one after another, padded to even length."""
        yield self._first
        for number in range(2, self._table.count + 1):
            yield self._frame(number)
        written = self._after.native_length * self._table.count
        if place.length > written:
            yield b"\0" * (place.length - written)


_Frames = _OutgoingFrames | EncapsulatedFrames
