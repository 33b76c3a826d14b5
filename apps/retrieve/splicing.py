"""Amended values put into a data set on its way out (`apps.dicom.amendments`).

Only the header up to Original Attributes Sequence (0400,0561) is walked. What is changed becomes
bytes of ours; everything else goes out as ranges of the stored object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from struct import Struct
from typing import Final

from apps.dicom.amendments import (
    CHARACTER_SET_TAG,
    MODIFIED_ATTRIBUTES,
    ORIGINAL_ATTRIBUTES,
    Layer,
)
from apps.dicom.character_sets import encode
from apps.dicom.element_shapes import KNOWN_VRS, PIXELS, SEQUENCE, SEQUENCE_END, Encoding
from apps.dicom.elements import ElementWalk
from apps.dicom.frames import RandomAccess
from apps.retrieve.explicit import LONG_VRS, Changes, Head, Range

_UNDEFINED: Final = 0xFFFFFFFF
Piece = bytes | Range
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


@dataclass(frozen=True, slots=True)
class _Place:
    """A top-level element: its first byte, its value, the byte behind it; `raw` where read.

    `delimited` is a sequence that ends with a delimiter of its own.
    """

    tag: int
    start: int
    value: int
    end: int
    vr: str
    raw: bytes | None = None
    delimited: bool = False


@dataclass(slots=True)
class Header:
    """The top-level elements up to Original Attributes Sequence, and where they end."""

    places: list[_Place] = field(default_factory=list)
    end: int = 0

    def at(self, tag: int) -> _Place | None:
        """The element; of two with the same tag the last one holds."""
        return next((each for each in reversed(self.places) if each.tag == tag), None)


def read_header(source: RandomAccess, start: int, encoding: Encoding) -> Header:
    """Walks the header once, values of sequences passed over."""
    walk = ElementWalk(source, start, encoding)
    found = Header(end=start)
    depth = 0
    opened = _Place(0, 0, 0, 0, "")
    for shape, offset, length, raw in walk:
        if not depth and (shape.tag > ORIGINAL_ATTRIBUTES or shape.role == PIXELS):
            break
        if shape.role == SEQUENCE:
            if not depth:
                undefined = length < 0
                opened = _Place(shape.tag, found.end, offset, 0, "SQ", None, undefined)
            depth += 1
        elif shape.role == SEQUENCE_END:
            depth -= 1
            if not depth:
                found.end = offset
                found.places.append(replace(opened, end=offset))
        elif not depth:
            end = offset + length
            vr = shape.vr if shape.vr in KNOWN_VRS else "UN"
            found.places.append(_Place(shape.tag, found.end, offset, end, vr, raw))
            found.end = end
    return found


@dataclass(frozen=True, slots=True)
class Writing:
    """How elements and structure are written in one encoding."""

    encoding: Encoding

    def head(self, tag: int, vr: str, length: int) -> bytes:
        """The header of an element (PS3.5 7.1.2, 7.1.3)."""
        order = ">" if self.encoding.big_endian else "<"
        group, element = tag >> 16, tag & 0xFFFF
        if self.encoding.implicit or tag >> 16 == _ITEM >> 16:
            return Struct(order + "HHI").pack(group, element, length)
        code = vr.encode("ascii")
        if vr in LONG_VRS:
            return Struct(order + "HH2sHI").pack(group, element, code, 0, length)
        return Struct(order + "HH2sH").pack(group, element, code, length)


def _previous(header: Header, layers: Sequence[Layer]) -> Iterator[dict[int, tuple[str, bytes]]]:
    """For each layer the values that it covers, as they were below it."""
    now: dict[int, tuple[str, bytes]] = {}
    for layer in layers:
        before: dict[int, tuple[str, bytes]] = {}
        for tag in layer.recorded:
            known = now.get(tag)
            place = header.at(tag)
            if tag in layer.withheld:
                before[tag] = (layer.elements[tag][0], b"")
            elif known is not None:
                before[tag] = known
            elif place is not None and place.raw is not None:
                before[tag] = (place.vr, place.raw)
            elif tag in layer.elements and tag != CHARACTER_SET_TAG:
                before[tag] = (layer.elements[tag][0], b"")
        yield before
        now |= layer.elements


def original_items(header: Header, layers: Sequence[Layer], head: Head) -> bytes:
    """The items of the Original Attributes Sequence for the layers, in order."""
    out = []
    for layer, before in zip(layers, _previous(header, layers), strict=True):
        out += [head(_ITEM, "", _UNDEFINED), head(MODIFIED_ATTRIBUTES, "SQ", _UNDEFINED)]
        out.append(head(_ITEM, "", _UNDEFINED))
        for tag, (vr, raw) in sorted(before.items()):
            even = raw + b" " * (len(raw) % 2)
            out += [head(tag, vr, len(even)), even]
        out += [head(_ITEM_END, "", 0), head(_SEQUENCE_END, "", 0)]
        for tag, vr, text in layer.circumstances.texts():
            raw = _written(text, vr)
            out += [head(tag, vr, len(raw)), raw]
        out.append(head(_ITEM_END, "", 0))
    return b"".join(out)


def _written(text: str, vr: str) -> bytes:
    """Our own words: ASCII, in any character set alike."""
    raw = encode(text.encode("ascii", "replace").decode("ascii"), (), vr)
    return raw + b" " * (len(raw) % 2)


def merged(layers: Sequence[Layer]) -> Mapping[int, tuple[str, bytes]]:
    """What the attributes are in the end."""
    return {tag: value for layer in layers for tag, value in layer.elements.items()}


def changes_of(header: Header, layers: Sequence[Layer], head: Head) -> tuple[Changes, bytes]:
    """For a data set that is rewritten anyway: new elements, and items for its own sequence.

    Where it has no Original Attributes Sequence the new one is among the elements, and no items
    are left to append.
    """
    changes: Changes = dict(merged(layers))
    items = original_items(header, layers, head)
    if header.at(ORIGINAL_ATTRIBUTES) is None:
        return changes | {ORIGINAL_ATTRIBUTES: ("SQ", items)}, b""
    return changes, items


def spliced(
    source: RandomAccess, start: int, encoding: Encoding, layers: Sequence[Layer]
) -> list[Piece]:
    """The data set from `start` on in its stored encoding, with the layers' values in place."""
    header = read_header(source, start, encoding)
    head = Writing(encoding).head
    written: dict[int, list[Piece]] = {
        tag: [head(tag, vr, len(raw)) + raw] for tag, (vr, raw) in merged(layers).items()
    }
    written[ORIGINAL_ATTRIBUTES] = _original_sequence(source, header, layers, head)
    waiting = sorted(written)
    out: list[Piece] = []
    at = start

    def kept(end: int) -> None:
        nonlocal at
        if end > at:
            out.append(Range(at, end - at))
        at = end

    for place in header.places:
        while waiting and waiting[0] < place.tag:
            kept(place.start)
            out += written[waiting.pop(0)]
        if place.tag in written:
            kept(place.start)
            at = place.end
            if waiting and waiting[0] == place.tag:
                out += written[waiting.pop(0)]
    kept(header.end)
    for tag in waiting:
        out += written[tag]
    kept(source.size)
    return _joined(out)


def _original_sequence(
    source: RandomAccess, header: Header, layers: Sequence[Layer], head: Callable[..., bytes]
) -> list[Piece]:
    """Items that were there are preserved (C.12.1.1.9); ours stand behind them."""
    place = header.at(ORIGINAL_ATTRIBUTES)
    out: list[Piece] = [head(ORIGINAL_ATTRIBUTES, "SQ", _UNDEFINED)]
    end = head(_SEQUENCE_END, "", 0)
    if place is not None and place.vr == "SQ":
        last = place.end - len(end)
        closed = place.delimited and last >= place.value
        stop = last if closed and source.read_at(last, len(end)) == end else place.end
        if stop > place.value:
            out.append(Range(place.value, stop - place.value))
    return [*out, original_items(header, layers, head), end]


def _joined(segments: list[Piece]) -> list[Piece]:
    """Without empty ranges, neighbouring bytes together."""
    out: list[Piece] = []
    for each in segments:
        if isinstance(each, bytes) and out and isinstance(out[-1], bytes):
            out[-1] += each
        else:
            out.append(each)
    return out
