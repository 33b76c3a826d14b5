# ruff: noqa: PLR2004  byte values are what this module is about
"""Frame tables: where each frame lies in the blob (PS3.5 8.2, A.4, PS3.3 C.7.6.3.1.8).

Native frames are a formula. Encapsulated ones are fragments, grouped to frames by the Extended
Offset Table, the Basic Offset Table, or, with neither, by what the codec's frames look like.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from struct import Struct
from typing import Final, Protocol

from apps.dicom.pixel_layouts import PixelLayout
from apps.dicom.transfer_syntaxes import TransferSyntax

_WINDOW: Final = 4096
_ITEM: Final = b"\xfe\xff\x00\xe0"
_DELIMITER: Final = b"\xfe\xff\xdd\xe0"
_LARGEST_TABLE: Final = 64 * 1024 * 1024
_ITEM_HEADER: Final = 8


class RandomAccess(Protocol):
    """What a reader reads from: `apps.storage.blobs.RandomAccess`, structurally."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`, fewer only at the end."""
        ...


@dataclass(slots=True)
class Fragments:
    """The items of an encapsulated value: `first` is the offset of the first item's header.

    `table` is the Basic Offset Table as it stands (32-bit, little endian), `lengths` those of the
    fragments in bytes. `closed` says whether the sequence delimiter was there.
    """

    first: int = 0
    table: bytes = b""
    lengths: array[int] = field(default_factory=lambda: array("I"))
    closed: bool = False

    def starts(self) -> list[int]:
        """Where each fragment's item header stands, in bytes from the first item's."""
        return list(accumulate((length + _ITEM_HEADER for length in self.lengths), initial=0))


def hop_fragments(source: RandomAccess, offset: int, end: int) -> tuple[Fragments, int]:
    """Goes from item header to item header; returns the fragments and where they end.

    Reads 8 bytes a fragment, in windows where fragments are small. A fragment that the source cuts
    off is kept with the length that is there.
    """
    fragments = Fragments()
    window, base = b"", offset
    position, table_read = offset, False
    while position + _ITEM_HEADER <= end:
        at = position - base
        if at < 0 or at + _ITEM_HEADER > len(window):
            window, base, at = source.read_at(position, min(_WINDOW, end - position)), position, 0
        tag = window[at : at + 4]
        length = int.from_bytes(window[at + 4 : at + 8], "little")
        if tag == _DELIMITER:
            fragments.closed = True
            return fragments, position + _ITEM_HEADER
        if tag != _ITEM:
            return fragments, position
        position += _ITEM_HEADER
        if table_read:
            fragments.lengths.append(min(length, end - position))
        else:
            table_read = True
            if length <= _LARGEST_TABLE:
                fragments.table = source.read_at(position, min(length, end - position))
            fragments.first = position + length
        position += length
    return fragments, min(position, end)


class FrameTable:
    """Where each frame of one instance lies; frames count from 0.

    `count` is how many frames can be told apart (1 for video, whose fragments are one stream).
    With `inflated` all offsets are into the inflated data set, else into the file.
    """

    count: int
    inflated: bool

    def fragments(self, frame: int) -> tuple[tuple[int, int], ...]:
        """Offset and length in bytes of each piece of the frame, in order.

        Raises IndexError outside 0 to count - 1. A frame the file cuts off comes short.
        """
        raise NotImplementedError

    def bit_offset(self, frame: int) -> int:
        """How many bits of the first byte belong to the frame before (0 to 7; PS3.5 8.1.1)."""
        raise NotImplementedError

    def is_cut(self, frame: int) -> bool:
        """Whether Pixel Data ends before the frame does; of native frames alone this is known."""
        self._check(frame)
        return False

    def whole_piece(self, frame: int) -> tuple[int, int] | None:
        """Offset and length in the file of a frame that is one piece of whole bytes, all there.

        None for every other frame, one that there is not included.
        """
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """The packed form for the database."""
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, packed: bytes) -> FrameTable:
        """The table that to_bytes packed; raises ValueError for anything else."""
        packed = bytes(packed)
        if packed[:1] == b"N":
            return NativeFrames.unpacked(packed)
        if packed[:1] == b"E":
            return EncapsulatedFrames.unpacked(packed)
        raise ValueError("these bytes are no frame table")

    def _check(self, frame: int) -> None:
        if not 0 <= frame < self.count:
            raise IndexError(f"frame {frame} of {self.count}")


_NATIVE: Final = Struct("<cBQQQQ")
_ENCAPSULATED: Final = Struct("<cBIIQ")
_INFLATED, _ONE_EACH = 1, 2


@dataclass(slots=True)
class NativeFrames(FrameTable):
    """Frames one after another, `frame_bits` each, in `length` bytes from `offset`.

    Not frozen: one is made for each frame that is sent, and would take three times as long.
    """

    count: int
    offset: int
    length: int
    frame_bits: int
    inflated: bool = False

    def fragments(self, frame: int) -> tuple[tuple[int, int], ...]:
        """One piece: whole bytes around the frame."""
        self._check(frame)
        first = frame * self.frame_bits
        start = min(first >> 3, self.length)
        end = min((first + self.frame_bits + 7) >> 3, self.length)
        return ((self.offset + start, end - start),)

    def bit_offset(self, frame: int) -> int:
        """Not 0 only where 1-bit frames do not fill whole bytes."""
        self._check(frame)
        return frame * self.frame_bits & 7

    def is_cut(self, frame: int) -> bool:
        """The end of the frame, to the bit."""
        self._check(frame)
        return (frame + 1) * self.frame_bits > self.length << 3

    def whole_piece(self, frame: int) -> tuple[int, int] | None:
        """What `fragments`, `bit_offset` and `is_cut` say together."""
        first = frame * self.frame_bits
        end = first + self.frame_bits
        if self.inflated or first & 7 or end > self.length << 3 or not 0 <= frame < self.count:
            return None
        return self.offset + (first >> 3), (end + 7 >> 3) - (first >> 3)

    def to_bytes(self) -> bytes:
        """34 bytes, however many frames."""
        flags = _INFLATED if self.inflated else 0
        return _NATIVE.pack(b"N", flags, self.count, self.offset, self.length, self.frame_bits)

    @classmethod
    def unpacked(cls, packed: bytes) -> NativeFrames:
        """Reads what to_bytes wrote."""
        _, flags, count, offset, length, frame_bits = _NATIVE.unpack(packed)
        return cls(count, offset, length, frame_bits, bool(flags & _INFLATED))


class EncapsulatedFrames(FrameTable):
    """Frames as groups of fragments; `first` is the offset of the first item's header.

    `lengths` are those of the fragments, `heads` the index of each frame's first fragment.
    """

    def __init__(
        self, first: int, lengths: array[int], heads: array[int], *, inflated: bool = False
    ) -> None:
        self.count = len(heads)
        self.inflated = inflated
        self._first = first
        self._lengths = lengths
        self._heads = heads
        self._starts: list[int] | None = None

    def fragments(self, frame: int) -> tuple[tuple[int, int], ...]:
        """The values of the frame's items, without the item headers."""
        self._check(frame)
        if self._starts is None:
            steps = (length + _ITEM_HEADER for length in self._lengths)
            self._starts = list(accumulate(steps, initial=self._first + _ITEM_HEADER))
        head = self._heads[frame]
        end = self._heads[frame + 1] if frame + 1 < self.count else len(self._lengths)
        return tuple((self._starts[at], self._lengths[at]) for at in range(head, end))

    def bit_offset(self, frame: int) -> int:
        """Always 0: a fragment begins at a byte."""
        self._check(frame)
        return 0

    def whole_piece(self, frame: int) -> tuple[int, int] | None:
        """The only fragment of a frame that has one."""
        if self.inflated or not 0 <= frame < self.count:
            return None
        pieces = self.fragments(frame)
        return pieces[0] if len(pieces) == 1 else None

    def to_bytes(self) -> bytes:
        """Lengths and, unless each fragment is a frame, heads; deflated."""
        one_each = self.count == len(self._lengths)
        flags = (_INFLATED if self.inflated else 0) | (_ONE_EACH if one_each else 0)
        body = _little(self._lengths) + (b"" if one_each else _little(self._heads))
        head = _ENCAPSULATED.pack(b"E", flags, self.count, len(self._lengths), self._first)
        return head + zlib.compress(body, 6)

    @classmethod
    def unpacked(cls, packed: bytes) -> EncapsulatedFrames:
        """Reads what to_bytes wrote."""
        _, flags, count, fragments, first = _ENCAPSULATED.unpack_from(packed)
        body = zlib.decompress(packed[_ENCAPSULATED.size :])
        lengths = _from_little(body[: 4 * fragments])
        heads = _from_little(body[4 * fragments :])
        if flags & _ONE_EACH:
            heads = array("I", range(count))
        return cls(first, lengths, heads, inflated=bool(flags & _INFLATED))


def _little(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def _from_little(raw: bytes) -> array[int]:
    numbers = array("I")
    numbers.frombytes(raw)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def native_frames(
    offset: int, length: int, layout: PixelLayout, *, inflated: bool, warnings: list[str]
) -> FrameTable | None:
    """The table of native Pixel Data of `length` bytes; None where the layout is not known.

    YBR_FULL_422 stores two samples a pixel (PS3.3 C.7.6.3.1.2), unless the length says three.
    """
    pixels = layout.rows * layout.columns * layout.bits_allocated
    if not pixels or not length:
        warnings.append("Pixel Data cannot be cut into frames: its size is not described.")
        return None
    samples = max(layout.samples_per_pixel, 1)
    count = layout.number_of_frames or 1
    whole = (pixels * samples * count + 7) >> 3
    if layout.photometric_interpretation.endswith("_422") and samples == 3 and length < whole:
        samples = 2
        whole = (pixels * samples * count + 7) >> 3
    if length < whole:
        warnings.append(f"Pixel Data has {length} of the {whole} bytes of its {count} frames.")
    return NativeFrames(count, offset, length, pixels * samples, inflated)


def encapsulated_frames(
    fragments: Fragments,
    source: RandomAccess,
    *,
    number_of_frames: int,
    syntax: TransferSyntax,
    extended_offsets: bytes = b"",
    warnings: list[str],
) -> FrameTable | None:
    """The table of encapsulated Pixel Data; None where it has no fragment at all.

    Offset tables are believed only where every offset is the start of a fragment.
    """
    total = len(fragments.lengths)
    if not total:
        warnings.append("Pixel Data has no fragments.")
        return None
    frames = number_of_frames or 1
    if syntax.video or total == 1:
        heads = [0]
    elif extended_offsets:
        heads = _heads_from(extended_offsets, "Q", fragments, warnings)
    elif fragments.table:
        heads = _heads_from(fragments.table, "I", fragments, warnings)
    else:
        heads = []
    if not heads or (len(heads) != frames and total == frames and not syntax.video):
        heads = _heads_guessed(fragments, source, frames, syntax, warnings)
    if len(heads) != frames and not syntax.video:
        warnings.append(f"Pixel Data holds {len(heads)} frames, Number of Frames says {frames}.")
    return EncapsulatedFrames(fragments.first, fragments.lengths, array("I", heads))


def _heads_from(table: bytes, code: str, fragments: Fragments, warnings: list[str]) -> list[int]:
    """Each frame's first fragment by an offset table; empty where the table is wrong."""
    size = 8 if code == "Q" else 4
    offsets = [
        int.from_bytes(table[at : at + size], "little")
        for at in range(0, len(table) - size + 1, size)
    ]
    by_start = {start: index for index, start in enumerate(fragments.starts()[:-1])}
    heads = [by_start.get(offset, -1) for offset in offsets]
    ascending = all(a < b for a, b in pairwise(heads))
    if not heads or heads[0] != 0 or not ascending:
        warnings.append("The offset table of Pixel Data does not fit its fragments.")
        return []
    return heads


def _heads_guessed(
    fragments: Fragments,
    source: RandomAccess,
    frames: int,
    syntax: TransferSyntax,
    warnings: list[str],
) -> list[int]:
    """Each frame's first fragment where no table tells (PS3.5 A.4)."""
    total = len(fragments.lengths)
    if frames == 1:
        return [0]
    if total == frames:
        return list(range(total))
    if syntax.codec in _ONE_FRAGMENT_CODECS:
        # Some writers close Pixel Data with an item of no length, which is nobody's frame.
        filled = [index for index, length in enumerate(fragments.lengths) if length]
        return filled if len(filled) == frames else list(range(total))
    heads = _heads_by_markers(fragments, source, frames)
    if heads:
        return heads
    warnings.append("Which fragments of Pixel Data belong to which frame cannot be told.")
    return list(range(min(total, frames)))


_ONE_FRAGMENT_CODECS: Final = frozenset({"rle", "uncompressed"})
_JPEG_START: Final = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\xff\x0a")
_BOX_START: Final = (b"\0\0\0\x0cjP  ", b"\0\0\0\x0cJXL ")
_JPEG_END: Final = b"\xff\xd9"


def _heads_by_markers(fragments: Fragments, source: RandomAccess, frames: int) -> list[int]:
    """Fragments that begin like a code stream, or else those behind one that ends like one."""
    starts = fragments.starts()
    begun = [
        index
        for index, start in enumerate(starts[:-1])
        if source.read_at(fragments.first + start + _ITEM_HEADER, 8).startswith(
            _JPEG_START + _BOX_START
        )
    ]
    if len(begun) == frames and begun[0] == 0:
        return begun
    ended = [
        index + 1
        for index, start in enumerate(starts[1:])
        if _JPEG_END in source.read_at(fragments.first + start - 10, 10)
    ]
    behind = [0, *ended[:-1]]
    return behind if len(ended) == frames and ended[-1] == len(starts) - 1 else []
