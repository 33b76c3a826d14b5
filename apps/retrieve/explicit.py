"""A data set rewritten in Explicit or Implicit VR Little Endian (PS3.5 A.1, A.2), values untouched.

The walk over the stored elements becomes a list of segments: bytes we write, and ranges of the
blob that go out as they are. So the length is known before the first byte leaves, and memory stays
flat. Group lengths are left out; sequences and items get undefined length.
"""

from __future__ import annotations

import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from struct import pack
from types import MappingProxyType
from typing import Final

from apps.dicom.element_shapes import (
    ITEM,
    ITEM_END,
    KNOWN_VRS,
    PIXELS,
    SEQUENCE_END,
    Encoding,
    Shape,
)
from apps.dicom.elements import ElementWalk
from apps.dicom.frames import RandomAccess
from apps.errors import UnsupportedPixels

LONGEST_VALUE: Final = 0xFFFFFFFE
_LONGEST_SHORT: Final = 0xFFFE
_UNDEFINED: Final = 0xFFFFFFFF
LONG_VRS: Final = frozenset(
    {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
)
_ZERO_PADDED: Final = frozenset({"OB", "UI", "UN"})
_WORD_CODES: Final = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), "H"),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), "I"),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), "Q"),
}
_STRUCTURE: Final = {
    ITEM: pack("<HHI", 0xFFFE, 0xE000, _UNDEFINED),
    ITEM_END: pack("<HHI", 0xFFFE, 0xE00D, 0),
    SEQUENCE_END: pack("<HHI", 0xFFFE, 0xE0DD, 0),
}
_DEPTH: Final = {ITEM: 1, ITEM_END: -1}


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes of the blob that go out as they are."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Pixels:
    """The place of top-level Pixel Data: its value comes from elsewhere, frame by frame."""

    length: int


Segment = bytes | Range | Pixels


@dataclass(frozen=True, slots=True)
class PixelValue:
    """How top-level Pixel Data is to be written: VR and length in bytes, padding included.

    Encapsulated, the length is that of all items and the delimiter behind them (PS3.5 A.4).
    """

    vr: str
    length: int
    encapsulated: bool = False

    @property
    def stated_length(self) -> int:
        """What the element's header says: encapsulated Pixel Data has undefined length."""
        return _UNDEFINED if self.encapsulated else self.length


def header(tag: int, vr: str, length: int) -> bytes:
    """The header of an element in Explicit VR Little Endian (PS3.5 7.1.2)."""
    if vr in LONG_VRS:
        return pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode("ascii"), 0, length)
    return pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode("ascii"), length)


def implicit_header(tag: int, _vr: str, length: int) -> bytes:
    """The header of an element in Implicit VR Little Endian (PS3.5 7.1.3)."""
    return pack("<HHI", tag >> 16, tag & 0xFFFF, length)


Head = Callable[[int, str, int], bytes]
Changes = dict[int, tuple[str, bytes] | None]
"""New VR and value, or None to leave the element out, by top-level tag."""


def rewritten(
    source: RandomAccess,
    start: int,
    encoding: Encoding,
    *,
    replaced: Changes,
    pixels: PixelValue | None,
    head: Head = header,
    appended: Mapping[int, bytes] = MappingProxyType({}),
) -> Iterator[Segment]:
    """The data set from `start` on, as segments in order.

    What `replaced` names and the data set lacks is added in its place; `appended` are items for the
    end of the top-level sequence with that tag. With `pixels` Pixel Data becomes a header and a
    `Pixels` segment; without, its bytes go out as they are. Raises UnsupportedPixels.
    """
    walk = ElementWalk(source, start, encoding)
    waiting = sorted(tag for tag, change in replaced.items() if change is not None)
    depth = sequence = 0
    for shape, offset, length, raw in walk:
        depth += _DEPTH.get(shape.role, 0)
        if shape.role in _STRUCTURE:
            ends = not depth and shape.role == SEQUENCE_END
            yield (appended.get(sequence, b"") if ends else b"") + _STRUCTURE[shape.role]
            continue
        sequence = sequence if depth else shape.tag
        while waiting and not depth and waiting[0] <= shape.tag:
            yield from _changed((waiting.pop(0),), replaced, head)
        if not depth and shape.tag in replaced:
            continue
        if shape.vr == "SQ":
            yield head(shape.tag, "SQ", _UNDEFINED)
        elif shape.role == PIXELS and not depth and pixels is not None:
            yield head(shape.tag, pixels.vr, pixels.stated_length)
            yield Pixels(pixels.length)
        elif shape.tag & 0xFFFF:
            yield from _value(source, walk, shape, Range(offset, length), raw, head=head)
    if walk.truncated_in is not None:
        raise UnsupportedPixels("The object is cut off; it can be had as stored only.")
    yield from _changed(waiting, replaced, head)


def _changed(tags: Iterable[int], replaced: Changes, head: Head) -> Iterator[bytes]:
    for tag in tags:
        change = replaced[tag]
        if change is not None:
            yield head(tag, change[0], len(change[1]))
            yield change[1]


def _value(
    source: RandomAccess,
    walk: ElementWalk,
    shape: Shape,
    where: Range,
    raw: bytes | None,
    *,
    head: Head,
) -> Iterator[Segment]:
    if where.length < 0:
        raise UnsupportedPixels("An encapsulated value inside a sequence cannot be rewritten.")
    vr = shape.vr if shape.vr in KNOWN_VRS else "UN"
    if walk.encoding.big_endian and vr in _WORD_CODES:
        raw = _swapped(source.read_at(where.offset, where.length) if raw is None else raw, vr)
    length = where.length + where.length % 2
    if length > _LONGEST_SHORT and vr not in LONG_VRS:
        vr = "UN"  # PS3.5 6.2.2: what does not fit into 16 bits of length
    yield head(shape.tag, vr, length)
    yield where if raw is None else raw
    if where.length % 2:
        yield b"\0" if vr in _ZERO_PADDED else b" "


def _swapped(raw: bytes, vr: str) -> bytes:
    words = array.array(_WORD_CODES[vr])
    rest = len(raw) % words.itemsize
    words.frombytes(raw[: len(raw) - rest])
    words.byteswap()
    return words.tobytes() + raw[len(raw) - rest :]
