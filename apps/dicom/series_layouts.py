"""The data sets of a series as one sequence of bytes with a few gaps.

Instances of a series mostly have the same elements in the same order, and only the values of a
handful of them differ. Where an instance is exactly so, its scan is a comparison of bytes and the
reading of what stands in the gaps. Where it is not, nothing is known of it, and it is scanned as
ever.

Whatever decides how others are read (character set, private creators, pixel representation) must
be the same bytes; only elements of which nothing depends, and which depend on nothing, are gaps.
So what was made of the bytes between the gaps in a full scan is what another one would make.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from apps.dicom.character_sets import CharacterSet
from apps.dicom.element_shapes import (
    BINARY,
    IMPLICIT_FORM,
    LONG_FORM,
    PIXEL_DATA,
    PLAIN,
    SHAPES,
    SHORT_FORM,
    Encoding,
    Shape,
)
from apps.dicom.frames import (
    Fragments,
    RandomAccess,
    hop_fragments,
)
from apps.dicom.json_model import PIECE_BREAK, ValueContext, Writer, plain_text
from apps.dicom.lessons import BULK_GROUPS, Learnt
from apps.dicom.level_attributes import LEVEL_TAGS
from apps.dicom.pixel_layouts import PIXEL_KEYWORDS, PixelLayout

_LONGEST_GAP: Final = 1024
"""In bytes; longer values are not read, or must be paid for (`apps.dicom.scanning`)."""
_UNDEFINED: Final = 0xFFFFFFFF

Pixels = tuple[Shape, int, int, Fragments | None]
"""Shape, offset of the value, its length (-1 where it is undefined), its fragments."""


@dataclass(frozen=True, slots=True)
class _Gap:
    """An element whose value differs, and what stands before it.

    `fixed` ends with the tag, and the VR, of the element; `skip` is how far behind its first byte
    the value begins, `at` where its length stands.
    """

    fixed: bytes
    json: str
    key_length: int
    skip: int
    at: int
    length: Callable[[bytes, int], tuple[int, ...]]
    write: Writer
    prefix: str
    keyword: str
    vr: str

    def value(self, head: bytes, position: int) -> tuple[int, int] | None:
        """Where the value begins and ends, if the element and what is before it stand here."""
        if not head.startswith(self.fixed, position):
            return None
        element = position + len(self.fixed) - self.key_length
        begin = element + self.skip
        if begin > len(head):
            return None
        end = begin + self.length(head, element + self.at)[0]
        return (begin, end) if end <= len(head) and end - begin <= _LONGEST_GAP else None


@dataclass(frozen=True, slots=True)
class Filled:
    """What the data set of one instance says: text of its JSON object, attributes, Pixel Data."""

    json: str
    attributes: dict[str, str]
    pixels: Pixels | None


@dataclass(frozen=True, slots=True)
class SeriesLayout:
    """What the data sets of a series have in common; `of_levels` as `InstanceScan` has it."""

    encoding: Encoding
    character_set: CharacterSet
    attributes: Mapping[str, str]
    of_levels: str
    gaps: Sequence[_Gap]
    fixed: bytes
    """What stands behind the last gap, the header of Pixel Data included."""
    json: str
    pixels: tuple[Shape, int] | None
    """Shape and length of Pixel Data."""
    described: PixelLayout | None
    """What all of them say about their pixels; None where they differ."""

    def fill(
        self, head: bytes, start: int, source: RandomAccess, context: ValueContext
    ) -> Filled | None:
        """What an instance says, of which `head` are the first bytes; None where it is another.

        What gave a warning, which `context` has then, must be scanned.
        """
        context.use(self.character_set)
        attributes = dict(self.attributes)
        texts: list[str] = []
        position = start
        for gap in self.gaps:
            value = gap.value(head, position)
            if value is None:
                return None
            begin, end = value
            raw = head[begin:end]
            texts += gap.json, gap.write(gap.prefix, raw, context) if raw else gap.prefix + "}"
            if gap.keyword:
                attributes[gap.keyword] = plain_text(raw, gap.vr, context).replace("\0", "")
            position = end
        if context.warnings or not head.startswith(self.fixed, position):
            return None
        texts.append(self.json)
        pixels, end = self._pixels(position + len(self.fixed), source)
        return Filled("".join(texts), attributes, pixels) if end == source.size else None

    def _pixels(self, offset: int, source: RandomAccess) -> tuple[Pixels | None, int]:
        """Pixel Data, and where it ends; -1 where it is not whole."""
        if self.pixels is None:
            return None, offset
        shape, length = self.pixels
        if length >= 0:
            return (shape, offset, length, None), offset + length
        fragments, end = hop_fragments(source, offset, source.size)
        return (shape, offset, length, fragments), end if fragments.closed else -1


def layout_of(
    elements: Sequence[Learnt],
    stable: Collection[int],
    character_set: CharacterSet,
    encoding: Encoding,
    pixel_shape: Shape | None,
) -> SeriesLayout | None:
    """The layout of the instances that are like the one just scanned; None where there is none.

    `stable` are the tags of elements that were the same bytes in all instances so far.
    """
    last = None if pixel_shape is None else elements[-1]
    stretches = _stretches(elements if last is None else elements[:-1], stable, encoding)
    header = b"" if last is None else _pixel_header(last, encoding)
    if stretches is None or header is None:
        return None
    gaps, fixed, members, attributes = stretches
    pixels = described = None
    if pixel_shape is not None and last is not None:
        members.append(last.member)
        length = int.from_bytes(header[-4:], "little")
        pixels = pixel_shape, -1 if length == _UNDEFINED else length
        if not any(gap.keyword in PIXEL_KEYWORDS for gap in gaps):
            described = PixelLayout.of(attributes, pixel_shape.tag)
    json = _opening(gaps, members) + ",".join(members) + "}"
    return SeriesLayout(
        encoding, character_set, attributes, _of_levels(elements), gaps, fixed + header, json,
        pixels, described,
    )  # fmt: skip


def _stretches(
    elements: Sequence[Learnt], stable: Collection[int], encoding: Encoding
) -> tuple[list[_Gap], bytes, list[str], dict[str, str]] | None:
    """The gaps; bytes and members behind the last of them; attributes of all that is no gap."""
    gaps: list[_Gap] = []
    fixed = b""
    members: list[str] = []
    attributes: dict[str, str] = {}
    for each in elements:
        if each.tag in stable and each.raw and each.tag < BULK_GROUPS:
            fixed += each.raw
            members.append(each.member)
            attributes.update([each.attribute] if each.attribute else [])
            continue
        before = _opening(gaps, ["", *members]) + "".join(f"{member}," for member in members)
        gap = _gap(each, fixed, before, encoding)
        if gap is None:
            return None
        gaps.append(gap)
        fixed, members = b"", []
    return gaps, fixed, members, attributes


def _opening(gaps: Sequence[_Gap], members: Sequence[str]) -> str:
    """What stands before members of a JSON object behind these gaps, if there are any."""
    if not gaps:
        return "{"
    return "," if members else ""


def _of_levels(elements: Sequence[Learnt]) -> str:
    """As `InstanceScan` has it: none of these members is a gap."""
    members = [each.member for each in elements if each.tag in LEVEL_TAGS]
    return "{" + ",".join(members).replace(PIECE_BREAK, "") + "}" if members else ""


def _pixel_header(element: Learnt, encoding: Encoding) -> bytes | None:
    """Tag, VR and length of Pixel Data, if it is what the element begins with."""
    if element.tag not in PIXEL_DATA or not element.raw:
        return None
    shapes = SHAPES[encoding]
    key = element.raw[: shapes.key_length]
    shape = shapes.known.get(key) or shapes.learn(key)
    if shape.tag != element.tag or shape.form == SHORT_FORM:
        return None
    return element.raw[: 8 if shape.form == IMPLICIT_FORM else 12]


def _gap(element: Learnt, fixed: bytes, json: str, encoding: Encoding) -> _Gap | None:
    shapes = SHAPES[encoding]
    key = element.raw[: shapes.key_length]
    if not (element.lasting and element.tag not in LEVEL_TAGS):
        return None
    shape = shapes.known.get(key) or shapes.learn(key)
    # Where the element is not what its bytes begin with, one that is left out stands before it.
    if shape.tag != element.tag or shape.role not in (PLAIN, BINARY) or shape.write is None:
        return None
    skip, at, length = {
        SHORT_FORM: (8, 6, shapes.short),
        LONG_FORM: (12, 8, shapes.long),
        IMPLICIT_FORM: (8, 4, shapes.long),
    }[shape.form]
    return _Gap(
        fixed + key, json, len(key), skip, at, length,
        shape.write, shape.prefix, shape.keyword, shape.vr,
    )  # fmt: skip
