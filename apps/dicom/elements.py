# ruff: noqa: PLR2004  byte values are what this module is about
"""The one pass over raw Data Elements (PS3.5 section 7): tag, VR, offset, length, bytes.

`ElementWalk` yields what stands in the data set, in file order, without interpreting values. The
instance scan, the header inspector and bulk data retrieval all stand on it, so there is one
opinion on every odd file. It reads through a small window; long binary values and Pixel Data are
hopped over, so memory stays flat at any object size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from apps.dicom.element_shapes import (
    IMPLICIT_FORM,
    ITEM,
    ITEM_END,
    ITEM_TAGS,
    LONG_FORM,
    PADDING,
    PASSAGE,
    PIXEL_REPRESENTATION,
    PIXELS,
    PRIVATE,
    SEQUENCE,
    SEQUENCE_END,
    SHAPES,
    SHORT_FORM,
    UNRESOLVED,
    Encoding,
    Shape,
    Shapes,
    encoding_inside,
    named,
    private_vr,
    public_vr,
    settled_choice,
)
from apps.dicom.frames import Fragments, RandomAccess, hop_fragments
from apps.dicom.passages import Passage
from apps.errors import UnreadableInstance

WINDOW: Final = 65536
_WINDOW_AFTER_HOP: Final = 4096
_PADDING: Final = b"\0" * 12
UNDEFINED: Final = 0xFFFFFFFF
MAXIMUM_DEPTH: Final = 64
BULK_LIMIT: Final = 1024
"""Values of binary VRs longer than this, in bytes, are not read into memory."""
INLINE_LIMIT: Final = 4 * 1024 * 1024
"""No value of any VR longer than this is read into memory."""
_WARNINGS: Final = 20

_IMPLICIT_LITTLE: Final = Encoding(implicit=True, big_endian=False)
_START_OF_ITEM: Final = Shape(0xFFFEE000, "", IMPLICIT_FORM, ITEM)
_END_OF_ITEM: Final = Shape(0xFFFEE00D, "", IMPLICIT_FORM, ITEM_END)
_END_OF_SEQUENCE: Final = Shape(0xFFFEE0DD, "", IMPLICIT_FORM, SEQUENCE_END)
_PASSAGE: Final = Shape(0, "", IMPLICIT_FORM, PASSAGE)

Event = tuple[Shape, int, int, bytes | None]
"""Shape, offset of the value, its length as stored, its bytes or None where they stay unread.

A sequence is yielded as its own shape, then for each item one of role ITEM, the item's elements
and one of role ITEM_END, and one of role SEQUENCE_END last; also where delimiters are missing.
"""


@dataclass(slots=True)
class _Level:
    """Where the walk is: a data set, a sequence or an item, and what holds inside it."""

    limit: int
    in_sequence: bool
    undefined: bool
    encoding: Encoding
    pixel_representation: int
    creators: dict[int, str]
    shapes: Shapes


class ElementWalk:
    """Walks a data set once, from `start` to the end of the source.

    `head` are bytes from the beginning of the source that somebody has read already.
    During and after the walk `fragments` holds those of the encapsulated value just yielded,
    `truncated_in` the tag the source ended in (None where it is whole), `pixel_data_seen` whether
    top-level Pixel Data has been passed, `warnings` plain sentences, `guesses` how many VRs were
    settled by context. Raises UnreadableInstance where sequences nest too deeply.

    Where one of `passages` (by the first bytes of each) stands at the top level, it comes as one
    event of role PASSAGE, with itself in `passage`.
    """

    def __init__(
        self, source: RandomAccess, start: int, encoding: Encoding, head: bytes = b""
    ) -> None:
        self._source = source
        self._size = source.size
        self._levels: list[_Level] = []
        self._level = _Level(self._size, False, True, encoding, 0, {}, SHAPES[encoding])
        self._position = start
        self._base = 0
        self._read = len(head)
        self._window = head + _PADDING if len(head) >= self._size else head
        self._next_read = WINDOW
        self.fragments: Fragments | None = None
        self.truncated_in: int | None = None
        self.pixel_data_seen = False
        self.warnings: list[str] = []
        self.guesses = 0
        self.passages: Mapping[bytes, Passage] = {}
        self.passage: Passage | None = None

    @property
    def creators(self) -> dict[int, str]:
        """Private creators of the data set the walk is in, by group and block (PS3.5 7.8)."""
        return self._level.creators

    @property
    def position(self) -> int:
        """Where the walk goes on: behind the element just yielded, unless it is a sequence."""
        return self._position

    @property
    def encoding(self) -> Encoding:
        """How the elements of the data set the walk is in are encoded."""
        return self._level.encoding

    def __iter__(self) -> Iterator[Event]:
        """The events, once; see Event."""
        while True:
            if not self._level.in_sequence:
                yield from self._plain_elements()
                if self._at_passage():
                    yield _PASSAGE, self._position, 0, None
                    continue
            left = self._level.limit - self._position
            if left < 8:
                self._stray_bytes(left)
                if not self._levels:
                    return
                yield self._leave()
            elif not self._window_moved():
                yield from self._special()

    def _plain_elements(self) -> Iterator[Event]:
        """Elements that need no more than their header, up to the first that does: the hot loop.

        Leaves `_position` on the element, or the place, that has to be looked at.
        """
        level = self._level
        shapes = level.shapes
        known, key_length = shapes.known.get, shapes.key_length
        short, long = shapes.short, shapes.long
        window, base = self._window, self._base
        fence = min(self._read, level.limit - base)
        stop = min(len(window) - 12, level.limit - base - 8)
        at = self._position - base
        top = not self._levels
        while 0 <= at <= stop:
            key = window[at : at + key_length]
            if top and key in self.passages:
                break
            shape = known(key) or shapes.learn(key)
            form = shape.form
            if form == SHORT_FORM:
                value = at + 8
                end = value + short(window, at + 6)[0]
            elif form == LONG_FORM:
                value = at + 12
                end = value + long(window, at + 8)[0]
            else:
                value = at + 8
                end = value + long(window, at + 4)[0]
            if shape.role or end > fence:
                break
            yield shape, base + value, end - value, window[value:end]
            at = end
        self._position = base + at

    def _at_passage(self) -> bool:
        """Steps over a passage of the top level, if one stands here."""
        if self._levels or not self.passages:
            return False
        at = self._position - self._base
        key = self._window[at : at + self._level.shapes.key_length]
        passage = self.passages.get(key)
        if passage is None or at + len(passage.raw) > self._read:
            return False
        if not self._window.startswith(passage.raw, at):
            return False
        self.passage = passage
        self._position += len(passage.raw)
        return True

    def _window_moved(self) -> bool:
        """Moves the window if the next header is not wholly in it; says whether it did."""
        at = self._position - self._base
        if at >= 0 and at + 12 <= len(self._window):
            return False
        self._move_window(self._position, self._next_read)
        return True

    def _move_window(self, offset: int, length: int) -> None:
        """Reads `length` bytes from `offset`; the end of the source is padded for short headers."""
        wanted = min(length, self._size - offset)
        window = self._source.read_at(offset, wanted)
        self._base = offset
        self._read = len(window)
        self._next_read = WINDOW
        if len(window) < wanted:  # the source is shorter than it said
            self._size = offset + len(window)
            for level in (*self._levels, self._level):
                level.limit = min(level.limit, self._size)
        self._window = window + _PADDING if offset + len(window) >= self._size else window

    def _special(self) -> Iterator[Event]:
        """The element at the position, which the hot loop would not take."""
        shape, offset, length = self._header()
        if self._level.in_sequence:
            yield from self._in_sequence(shape, offset, length)
            return
        stored = shape
        if shape.role == UNRESOLVED:
            shape = self._resolved(shape, offset, length)
        role = shape.role
        if role in (ITEM, ITEM_END, SEQUENCE_END):
            yield from self._misplaced(role, offset)
        elif role == PADDING and length == 0:
            self._stray_bytes(self._level.limit - self._position)
        elif role == SEQUENCE:
            yield self._enter_sequence(shape, stored, offset, length)
        elif role == PIXELS or length == UNDEFINED:
            yield self._pixels(shape, offset, length)
        elif offset + length > self._size:
            self._truncate(shape.tag)
        else:
            yield self._value(shape, offset, length)

    def _header(self) -> tuple[Shape, int, int]:
        """The element at the position: shape, offset of its value, length as stored."""
        shapes = self._level.shapes
        at = self._position - self._base
        window = self._window
        key = window[at : at + shapes.key_length]
        shape = shapes.known.get(key) or shapes.learn(key)
        if shape.form == SHORT_FORM:
            return shape, self._position + 8, shapes.short(window, at + 6)[0]
        if shape.form == LONG_FORM:
            return shape, self._position + 12, shapes.long(window, at + 8)[0]
        return shape, self._position + 8, shapes.long(window, at + 4)[0]

    def _resolved(self, shape: Shape, offset: int, length: int) -> Shape:
        """The shape with the VR that dictionary and context give where the element does not."""
        tag = shape.tag
        self.guesses += 1
        if tag & 0x10000:
            creator = self._level.creators.get(tag >> 16 << 8 | tag >> 8 & 0xFF, "")
            vr = private_vr(tag, creator) if creator else ""
        else:
            vr = public_vr(tag)
        signed = self._level.pixel_representation == 1
        vr = settled_choice(vr, signed=signed, length=length) or "UN"
        if length == UNDEFINED or (vr == "SQ" and not length):
            vr = "SQ"
        elif vr == "SQ" and self._bytes(offset, 4) not in ITEM_TAGS:
            vr = "UN"
        stored_vr = "" if shape.form == IMPLICIT_FORM else shape.stored_vr
        return self._level.shapes.variant(tag, vr, shape.form, stored_vr)

    def _bytes(self, offset: int, length: int) -> bytes:
        """Bytes of the source, through the window; fewer only at the end of the source."""
        at = offset - self._base
        if at < 0 or at + length > self._read:
            self._move_window(offset, max(length, WINDOW))
            at = 0
        return self._window[at : min(at + length, self._read)]

    def _value(self, shape: Shape, offset: int, length: int) -> Event:
        """An element with a value field of its own; long ones stay unread."""
        if offset + length > self._level.limit:
            self._warn(f"{named(shape.tag)} reaches beyond the end of its item.")
        raw = None
        if length <= (BULK_LIMIT if shape.binary else INLINE_LIMIT):
            raw = self._bytes(offset, length)
            if shape.role == PIXEL_REPRESENTATION:
                self._level.pixel_representation = raw[0] | raw[-1] if raw else 0
            elif shape.role == PRIVATE:
                block = shape.tag >> 16 << 8 | shape.tag & 0xFF
                self._level.creators[block] = raw.decode("latin-1").strip(" \0")
        self._hop_to(offset + length)
        return shape, offset, length, raw

    def _hop_to(self, position: int) -> None:
        if position - self._position > WINDOW:
            self._next_read = _WINDOW_AFTER_HOP
        self._position = position

    def _pixels(self, shape: Shape, offset: int, length: int) -> Event:
        """Pixel Data, native or encapsulated, at any depth: hopped over (PS3.5 8.2, A.4)."""
        self.fragments = None
        if length == UNDEFINED:
            if shape.form == IMPLICIT_FORM:  # fragments are bytes, whatever implicit VR would say
                shape = self._level.shapes.variant(shape.tag, "OB", IMPLICIT_FORM)
            self.fragments, end = hop_fragments(self._source, offset, self._size)
            whole = self.fragments.closed
        else:
            end = min(offset + length, self._size)
            whole = end == offset + length
        if not self._levels and shape.role == PIXELS:
            self.pixel_data_seen = True
        self._hop_to(end)
        if not whole:
            self._truncate(shape.tag)
        return shape, offset, -1 if length == UNDEFINED else length, None

    def _enter_sequence(self, shape: Shape, stored: Shape, offset: int, length: int) -> Event:
        """Opens a sequence; one that came as UN is implicit VR inside (PS3.5 6.2.2)."""
        if len(self._levels) >= 2 * MAXIMUM_DEPTH:
            raise UnreadableInstance(f"Sequences are nested deeper than {MAXIMUM_DEPTH} levels.")
        encoding = self._level.encoding
        if stored.vr == "UN" and stored.form == LONG_FORM:
            encoding = _IMPLICIT_LITTLE
        self._enter(offset, length, encoding, in_sequence=True, tag=shape.tag)
        return shape, offset, -1 if length == UNDEFINED else length, None

    def _enter(
        self, offset: int, length: int, encoding: Encoding, *, in_sequence: bool, tag: int
    ) -> None:
        above = self._level
        undefined = length == UNDEFINED
        limit = above.limit if undefined else offset + length
        if limit > self._size:
            limit = self._size
            self.truncated_in = self.truncated_in or tag
        self._levels.append(above)
        pixels = above.pixel_representation
        shapes = SHAPES[encoding]
        self._level = _Level(limit, in_sequence, undefined, encoding, pixels, {}, shapes)
        self._position = offset

    def _in_sequence(self, shape: Shape, offset: int, length: int) -> Iterator[Event]:
        """What stands where an item or the end of the sequence has to stand."""
        if shape.role == ITEM:
            inside = encoding_inside(self._bytes(offset, 8), self._level.encoding)
            self._enter(offset, length, inside, in_sequence=False, tag=shape.tag)
            yield _START_OF_ITEM, offset, -1 if length == UNDEFINED else length, None
        elif shape.role == ITEM_END:
            self._position = offset  # a delimiter after an item of stated length: harmless
        elif shape.role == SEQUENCE_END:
            self._position = offset
            yield self._leave()
        else:
            self._warn("A sequence holds something that is no item.")
            if not self._level.undefined:
                self._position = self._level.limit
            yield self._leave()

    def _misplaced(self, role: int, offset: int) -> Iterator[Event]:
        """A delimiter among elements: the usual end of an item, or one too few or too many."""
        if not self._levels:
            self._warn("A delimiter stands outside of any sequence.")
            self._position = offset
        elif role == ITEM_END:
            self._position = offset
            if self._level.undefined:
                yield self._leave()
        else:
            self._warn("An item is not closed.")
            yield self._leave()

    def _leave(self) -> Event:
        """Closes the present item or sequence and goes on behind it."""
        level = self._level
        self._level = self._levels.pop()
        if not level.undefined:
            self._position = max(self._position, level.limit)
        event = _END_OF_SEQUENCE if level.in_sequence else _END_OF_ITEM
        return event, self._position, 0, None

    def _stray_bytes(self, length: int) -> None:
        """Goes to the end of the level: what is left there is no element."""
        if length > 0:
            self._warn(f"{length} bytes behind the last element are no element.")
            self._position = self._level.limit
        if self._level.undefined and self._levels:
            self._warn("A sequence or item is not closed.")

    def _truncate(self, tag: int) -> None:
        """The source ends inside this element: everything open ends with it."""
        self.truncated_in = self.truncated_in or tag
        for level in (*self._levels, self._level):
            level.limit = min(level.limit, self._position)

    def _warn(self, sentence: str) -> None:
        if len(self.warnings) < _WARNINGS and sentence not in self.warnings:
            self.warnings.append(sentence)
