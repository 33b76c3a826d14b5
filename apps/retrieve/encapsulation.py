"""Frames of an instance on their way into an encapsulated Transfer Syntax (PS3.5 A.4).

How long compressed frames will be is known only when they are made. So all are made before the
first byte is sent, into a file that has no name and vanishes with the answer; memory stays flat.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from struct import pack
from typing import Final

from apps.dicom import uids
from apps.dicom.frames import FrameTable
from apps.dicom.pixels import lossy_attributes, transcode_frame, transcoded
from apps.errors import UnsupportedPixels
from apps.retrieve.explicit import Changes, Pixels, PixelValue
from apps.retrieve.frames import stored_frame
from apps.retrieve.locations import Location
from apps.retrieve.metadata import dicom_json_of
from apps.retrieve.transcoding import description_of
from apps.storage.scratch import scratch_file

_ITEM: Final = 0xE000
_SEQUENCE_END: Final = 0xE0DD
_CHUNK: Final = 1 << 20
_LONGEST_ITEM: Final = 0xFFFFFFFE
LONGEST_OFFSET: Final = 0xFFFFFFFF
_ITEM_HEADER: Final = 8
_PHOTOMETRIC, _PLANAR, _SOP_INSTANCE = 0x00280004, 0x00280006, 0x00080018
_OFFSET_TABLES: Final = (0x7FE00001, 0x7FE00002, 0x7FE00003)
_LOSSY, _RATIO, _METHOD = 0x00282110, 0x00282112, 0x00282114


def text_value(text: str, padding: bytes = b" ") -> bytes:
    """An ASCII value of even length."""
    raw = text.encode("ascii", "replace")
    return raw + padding * (len(raw) % 2)


class EncapsulatedFrames:
    """All frames in the target Transfer Syntax, spooled; one fragment each.

    The first is made at once: it shows whether there can be an answer. All else may be asked when
    `make` has come to its end.
    """

    def __init__(self, location: Location, table: FrameTable, target_uid: str) -> None:
        self._location = location
        self._table = table
        self._before = description_of(location)
        self._after = transcoded(self._before, target_uid)
        if table.count != self._before.number_of_frames:
            raise UnsupportedPixels("There are not as many frames as the header says.")
        # Closed by `chunks`, or where the making ends early.
        self._spool = scratch_file()
        self._offsets: list[int] = []
        with self._else_closed():
            self._first = self._make(1)

    def make(self) -> Iterator[int]:
        """Makes the frames; of each, when it is done, the length of its stored bytes. Once."""
        with self._else_closed():
            yield self._first
            for number in range(2, self._table.count + 1):
                yield self._make(number)
        self._size = self._spool.tell()
        self._lossy = lossy_attributes(
            self._before,
            self._after.transfer_syntax_uid,
            max(1, self._size // max(1, self._table.count)),
        )

    @contextmanager
    def _else_closed(self) -> Iterator[None]:
        """A frame that cannot be made, or nobody who waits for more, ends it all."""
        try:
            yield
        except BaseException:
            self._spool.close()
            raise

    def _make(self, number: int) -> int:
        stored = stored_frame(self._location, self._table, number)
        target, bit_offset = self._after.transfer_syntax_uid, self._table.bit_offset(number - 1)
        self._add(transcode_frame(stored, self._before, target, bit_offset=bit_offset))
        return len(stored)

    def _add(self, frame: bytes) -> None:
        if len(frame) > _LONGEST_ITEM:
            raise UnsupportedPixels("A frame is too long for one fragment.")
        self._offsets.append(self._spool.tell())
        self._spool.write(pack("<HHI", 0xFFFE, _ITEM, len(frame)))
        self._spool.write(frame)

    @property
    def sop_instance_uid(self) -> str:
        """Compressed with loss it is another instance, the same one each time (C.7.6.1.1.5)."""
        if not self._lossy:
            return self._location.sop_instance_uid
        return uids.derived(
            "lossy", self._location.sop_instance_uid, self._after.transfer_syntax_uid
        )

    @property
    def _beyond_32_bits(self) -> bool:
        return self._offsets[-1] > LONGEST_OFFSET

    def _extended_offset_table(self) -> Changes:
        """Offsets and lengths of the frames, 64 bits each (PS3.3 C.7.6.3.1.8)."""
        ends = [*self._offsets[1:], self._size]
        lengths = [end - at - _ITEM_HEADER for at, end in zip(self._offsets, ends, strict=True)]
        count = len(self._offsets)
        return {
            _OFFSET_TABLES[0]: ("OV", pack(f"<{count}Q", *self._offsets)),
            _OFFSET_TABLES[1]: ("OV", pack(f"<{count}Q", *lengths)),
        }

    def _offset_table(self) -> bytes:
        """The Basic Offset Table, empty where 32 bits do not hold the offsets."""
        if self._beyond_32_bits:
            return pack("<HHI", 0xFFFE, _ITEM, 0)
        length = 4 * len(self._offsets)
        return pack(f"<HHI{len(self._offsets)}I", 0xFFFE, _ITEM, length, *self._offsets)

    def value(self) -> PixelValue:
        """VR and length of Pixel Data with its items (PS3.5 A.4)."""
        return PixelValue("OB", len(self._offset_table()) + self._size + 8, encapsulated=True)

    def replaced(self) -> Changes:
        """The attributes that compression changes."""
        changes: Changes = dict.fromkeys(_OFFSET_TABLES)
        if self._beyond_32_bits:
            changes |= self._extended_offset_table()
        changes[_PHOTOMETRIC] = ("CS", text_value(self._after.photometric_interpretation))
        if self._after.samples_per_pixel > 1:
            changes[_PLANAR] = ("US", self._after.planar_configuration.to_bytes(2, "little"))
        if self._lossy:
            changes |= self._admitted_loss()
        return changes

    def _admitted_loss(self) -> Changes:
        """Ours behind those of earlier losses (PS3.3 C.7.6.1.1.5)."""
        dataset = dicom_json_of(self._location.key)

        def appended(tag: int, value: str) -> bytes:
            earlier = dataset.get(f"{tag:08X}", {}).get("Value") or []
            return text_value("\\".join([*(str(each) for each in earlier), value]))

        return {
            _SOP_INSTANCE: ("UI", text_value(self.sop_instance_uid, b"\0")),
            _LOSSY: ("CS", text_value(self._lossy["LossyImageCompression"])),
            _RATIO: ("DS", appended(_RATIO, self._lossy["LossyImageCompressionRatio"])),
            _METHOD: ("CS", appended(_METHOD, self._lossy["LossyImageCompressionMethod"])),
        }

    def chunks(self, _place: Pixels) -> Iterator[bytes]:
        """Offset table, frames and delimiter; may be read once."""
        try:
            yield self._offset_table()
            self._spool.seek(0)
            while chunk := self._spool.read(_CHUNK):
                yield chunk
            yield pack("<HHI", 0xFFFE, _SEQUENCE_END, 0)
        finally:
            self._spool.close()
