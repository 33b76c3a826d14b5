"""Whole instances in Explicit VR Little Endian, the default of WADO-RS (PS3.18 8.7.3.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from apps.dicom.element_shapes import Encoding
from apps.dicom.frames import FrameTable
from apps.dicom.part10 import file_meta
from apps.dicom.pixels import PixelDescription, transcode_frame, transcoded
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from apps.errors import UnsupportedPixels
from apps.retrieve.explicit import LONGEST_VALUE, Pixels, PixelValue, Range, Segment, rewritten
from apps.retrieve.frames import inflated_dataset, stored_frame
from apps.retrieve.instances import OutgoingInstance
from apps.retrieve.locations import Location
from apps.retrieve.transcoding import description_of
from apps.storage.stores import blob_store

_PHOTOMETRIC: Final = 0x00280004
_PLANAR: Final = 0x00280006
_BYTE: Final = 8
_OFFSET_TABLES: Final = (0x7FE00001, 0x7FE00002, 0x7FE00003)


def converted(location: Location) -> OutgoingInstance:
    """The instance in Explicit VR Little Endian, pixels decoded; its length is known beforehand.

    Raises UnsupportedPixels where that cannot be done: no decoder, a cut object, more than 4 GiB.
    """
    head = file_meta(
        sop_class_uid=location.sop_class_uid,
        sop_instance_uid=location.sop_instance_uid,
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
        provenance=None,
    )
    if transfer_syntax(location.transfer_syntax_uid).deflated:
        length = sum(map(len, inflated_dataset(location)))
        return _outgoing(head, length, inflated_dataset(location))
    frames = _OutgoingFrames.of(location)
    segments = _segments(location, frames)
    length = sum(len(each) if isinstance(each, bytes) else each.length for each in segments)
    return _outgoing(head, length, _chunks(location, segments, frames))


def _outgoing(head: bytes, length: int, dataset: Iterator[bytes]) -> OutgoingInstance:
    def chunks() -> Iterator[bytes]:
        yield head
        yield from dataset

    return OutgoingInstance(EXPLICIT_VR_LITTLE_ENDIAN, len(head) + length, chunks())


def _segments(location: Location, frames: _OutgoingFrames | None) -> list[Segment]:
    stored = transfer_syntax(location.transfer_syntax_uid)
    handle = blob_store().open(location.blob_key)
    try:
        return _joined(
            rewritten(
                handle,
                location.dataset_offset,
                Encoding(implicit=stored.implicit, big_endian=stored.big_endian),
                replaced=frames.replaced() if frames else {},
                pixels=frames.value() if frames else None,
            )
        )
    finally:
        handle.close()


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


def _chunks(
    location: Location, segments: list[Segment], frames: _OutgoingFrames | None
) -> Iterator[bytes]:
    for segment in segments:
        if isinstance(segment, bytes):
            yield segment
        elif isinstance(segment, Range):
            yield from blob_store().stream(location.blob_key, segment.offset, segment.length)
        elif frames is not None:
            yield from frames.chunks(segment)


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

    def replaced(self) -> dict[int, tuple[str, bytes] | None]:
        """The Image Pixel attributes that decoding changes."""
        changes: dict[int, tuple[str, bytes] | None] = dict.fromkeys(_OFFSET_TABLES)
        if self._after.photometric_interpretation != self._before.photometric_interpretation:
            text = self._after.photometric_interpretation.encode("ascii", "replace")
            changes[_PHOTOMETRIC] = ("CS", text + b" " * (len(text) % 2))
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
