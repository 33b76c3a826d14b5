"""Elements for people (the header inspector) and by path (bulk data), over the one walk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pydicom.datadict import (
    dictionary_description,
    dictionary_keyword,
    private_dictionary_description,
)

from apps.dicom.character_sets import CharacterSet, character_set
from apps.dicom.element_shapes import (
    ITEM,
    ITEM_END,
    SEQUENCE,
    SEQUENCE_END,
    Encoding,
    Shape,
)
from apps.dicom.elements import ElementWalk, Event
from apps.dicom.frames import RandomAccess
from apps.dicom.json_model import ValueContext, plain_text
from apps.dicom.part10 import FileMeta
from apps.errors import NotFound

_SHORT: Final = 128
_BYTES_SHOWN: Final = 32
_CHARACTER_SET: Final = 0x00080005
_ITEM_TAG: Final = 0xFFFEE000


@dataclass(frozen=True, slots=True)
class Element:
    """One line of the header inspector.

    `depth` is 0 at the top level and grows by one with each item; `vr` and `length` are as stored
    (-1 for undefined length; implicit VR: from the dictionary); `offset` is that of the value in
    bytes. `value` is at most 128 characters, `full_value` all of it. `multiplicity` is the number
    of values. An item comes as an element of its own, tag (FFFE,E000).
    """

    depth: int
    tag: int
    vr: str
    length: int
    keyword: str
    name: str
    private_creator: str
    value: str
    full_value: str
    multiplicity: int
    offset: int

    @property
    def tag_hex(self) -> str:
        """Eight upper-case hexadecimal digits."""
        return f"{self.tag:08X}"


@dataclass(frozen=True, slots=True)
class _Head:
    """The beginning of a source, as a source."""

    source: RandomAccess
    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        return self.source.read_at(offset, max(0, min(length, self.size - offset)))


def listed_elements(
    source: RandomAccess, meta: FileMeta, walk: ElementWalk, fallback: tuple[str, ...]
) -> Iterator[Element]:
    """File Meta Information, then the data set of `walk`, depth first."""
    start = 132 if meta.has_preamble else 0
    if source.read_at(start, 2) == b"\x02\0":
        explicit = Encoding(implicit=False, big_endian=False)
        head = _Head(source, meta.dataset_offset)
        yield from _listed(ElementWalk(head, start, explicit), ())
    yield from _listed(walk, fallback)


def _listed(walk: ElementWalk, fallback: tuple[str, ...]) -> Iterator[Element]:
    context = ValueContext(character_set(fallback) if fallback else None)
    outside: list[CharacterSet] = []
    depth, numbers = 0, [0]
    for event in walk:
        shape, offset, length, _raw = event
        context.big_endian = walk.encoding.big_endian
        if shape.role == ITEM:
            numbers[-1] += 1
            yield _item(depth, numbers[-1], length, offset)
            depth += 1
            outside.append(context.character_set)
        elif shape.role == ITEM_END:
            depth -= 1
            context.use(outside.pop())
        elif shape.role == SEQUENCE_END:
            numbers.pop()
        else:
            yield _element(event, depth, walk, context)
            if shape.role == SEQUENCE:
                numbers.append(0)


def _item(depth: int, number: int, length: int, offset: int) -> Element:
    text = f"Item {number}"
    return Element(depth, _ITEM_TAG, "", length, "", "Item", "", text, text, 1, offset)


def _element(event: Event, depth: int, walk: ElementWalk, context: ValueContext) -> Element:
    shape, offset, length, raw = event
    creator = _creator(shape.tag, walk)
    name, keyword = _names(shape.tag, creator)
    text, multiplicity = _value(shape, length, raw, walk, context)
    if shape.tag == _CHARACTER_SET and raw is not None:
        context.use(character_set(tuple(text.split("\\")) if text else ()))
    short = text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"
    return Element(
        depth,
        shape.tag,
        shape.stored_vr,
        length,
        keyword,
        name,
        creator,
        short,
        text,
        multiplicity,
        offset,
    )


def _creator(tag: int, walk: ElementWalk) -> str:
    """The Private Creator that reserved the element's block (PS3.5 7.8.1)."""
    if not tag & 0x10000 or tag & 0xFF00 == 0:
        return ""
    return walk.creators.get(tag >> 16 << 8 | tag >> 8 & 0xFF, "")


@lru_cache(maxsize=16384)
def _names(tag: int, creator: str) -> tuple[str, str]:
    """Name and keyword from PS3.6, or the name the private dictionary gives."""
    try:
        if creator:
            return str(private_dictionary_description(tag, creator)), ""
        return str(dictionary_description(tag)), str(dictionary_keyword(tag))
    except KeyError:
        pass
    if tag & 0xFFFF == 0:
        return "Group Length", ""
    if tag & 0x10000 and tag & 0xFF00 == 0:
        return "Private Creator", ""
    return "", ""


def _value(
    shape: Shape, length: int, raw: bytes | None, walk: ElementWalk, context: ValueContext
) -> tuple[str, int]:
    """The value as text, and how many values it has."""
    if shape.role == SEQUENCE:
        return "", 1
    if raw is None:
        if length < 0 and walk.fragments is not None:
            return f"{len(walk.fragments.lengths)} fragments", 1
        return f"{length} bytes", 1 if length else 0
    if not raw:
        return "", 0
    if shape.binary:
        shown = raw[:_BYTES_SHOWN].hex(" ").upper()
        return shown + (" …" if len(raw) > _BYTES_SHOWN else ""), 1
    text = plain_text(raw, shape.vr, context)
    single = shape.vr in ("LT", "ST", "UT", "UR")
    return text, 1 if single else text.count("\\") + 1


def located(walk: ElementWalk, path: tuple[str, ...]) -> tuple[int, int, str]:
    """Offset, length and VR of the element at the path; see InstanceReader.locate."""
    wanted = _parsed(path)
    here: list[tuple[int, int]] = []  # the sequences around, with the number of the present item
    for shape, offset, length, _ in walk:
        if shape.role == ITEM:
            here[-1] = (here[-1][0], here[-1][1] + 1)
        elif shape.role == SEQUENCE_END:
            here.pop()
        elif shape.role == SEQUENCE:
            here.append((shape.tag, 0))
        elif shape.role != ITEM_END and shape.tag == wanted[-1] and _around(here) == wanted[:-1]:
            return offset, walk.position - offset if length < 0 else length, shape.vr
    raise NotFound("The instance has no bulk data at this path.", detail="/".join(path))


def _around(here: list[tuple[int, int]]) -> list[int]:
    return [number for pair in here for number in pair]


def _parsed(path: tuple[str, ...]) -> list[int]:
    """Tags and item numbers by turns; raises NotFound where the path is none."""
    try:
        numbers = [int(text, 16 if at % 2 == 0 else 10) for at, text in enumerate(path)]
    except ValueError:
        numbers = []
    if len(numbers) % 2 == 0:
        raise NotFound("This is no path to bulk data.", detail="/".join(path))
    return numbers
