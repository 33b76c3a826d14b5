"""Identifiers of queries: raw data sets to keys, answers to data sets (PS3.4 C.2.2, PS3.7 9.1.2).

Answers are written element by element from text, because a hundred thousand of them leave here in
one association and a data set object for each would cost more than the search.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from apps.dicom.character_sets import CharacterSet, character_set, encode
from apps.dicom.element_shapes import ITEM, ITEM_END, SEQUENCE, SEQUENCE_END, Encoding
from apps.dicom.elements import ElementWalk
from apps.dicom.in_memory import InMemory
from apps.dicom.json_model import ValueContext, plain_text
from apps.dicom.query import Key
from apps.dicom.stored_keys import text_of
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.errors import InvalidRequest, UnreadableInstance

SPECIFIC_CHARACTER_SET: Final = 0x00080005
_TRAILING_PADDING: Final = 0xFFFCFFFC
_UNICODE: Final = ("ISO_IR 192",)
_ENCODED_VRS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_LONG_VRS: Final = frozenset(
    {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
)
_NUMBERS: Final = {
    "US": "H",
    "SS": "h",
    "UL": "I",
    "SL": "i",
    "UV": "Q",
    "SV": "q",
    "FL": "f",
    "FD": "d",
}
_UNDEFINED: Final = 0xFFFFFFFF
_LONGEST_SHORT: Final = 0xFFFE
_ITEM_TAG: Final = 0xFFFEE000
_ITEM_END_TAG: Final = 0xFFFEE00D
_SEQUENCE_END_TAG: Final = 0xFFFEE0DD
_MOST_KEYS: Final = 1000


@dataclass(frozen=True, slots=True)
class Identifier:
    """A query's identifier, decoded. `texts` has the top level's values by tag, `""` for empty."""

    keys: tuple[Key, ...]
    texts: Mapping[int, str]
    character_set: tuple[str, ...]


def read_identifier(data: bytes, transfer_syntax_uid: str) -> Identifier:
    """Decodes an identifier. Raises InvalidRequest where it is none, naming the tags at fault."""
    syntax = transfer_syntax(transfer_syntax_uid)
    source = InMemory(data)
    walk = ElementWalk(source, 0, Encoding(syntax.implicit, syntax.big_endian))
    try:
        reading = _Reading(walk, source)
    except UnreadableInstance as error:
        raise InvalidRequest("The identifier cannot be read.") from error
    if walk.truncated_in is not None:
        raise InvalidRequest("The identifier is cut off.")
    return Identifier(tuple(reading.keys), reading.texts, reading.terms)


class _Reading:
    """One pass over an identifier."""

    def __init__(self, walk: ElementWalk, source: InMemory) -> None:
        self.keys: list[Key] = []
        self.texts: dict[int, str] = {}
        self.terms: tuple[str, ...] = ()
        self._walk = walk
        self._source = source
        self._context = ValueContext()
        self._outside: list[CharacterSet] = []
        self._path: tuple[int, ...] = ()
        self._items: list[int] = []
        for event in walk:
            self._take(*event)

    def _take(self, shape: Any, offset: int, length: int, raw: bytes | None) -> None:
        if shape.role == ITEM:
            self._outside.append(self._context.character_set)
            self._items[-1] += 1
            if self._items[-1] > 1:
                raise InvalidRequest(
                    "A sequence key has one item.", offending=(f"{self._path[0]:08X}",)
                )
        elif shape.role == ITEM_END:
            self._context.use(self._outside.pop())
        elif shape.role == SEQUENCE_END:
            self._leave_sequence()
        elif shape.role == SEQUENCE:
            self._path += (shape.tag,)
            self._items.append(0)
            self._note(Key(self._path, ()), "")
        elif shape.tag & 0xFFFF and not self._says_nothing(shape.tag):
            self._value(shape, self._source.read_at(offset, max(length, 0)) if raw is None else raw)

    def _leave_sequence(self) -> None:
        """A sequence with keys in its item is asked through them and not as a whole."""
        self._items.pop()
        if any(key.path[:-1] == self._path for key in self.keys):
            self.keys = [key for key in self.keys if key.path != self._path]
        self._path = self._path[:-1]

    def _value(self, shape: Any, raw: bytes) -> None:
        self._context.big_endian = self._walk.encoding.big_endian
        text = plain_text(raw, shape.vr, self._context)
        if shape.tag == SPECIFIC_CHARACTER_SET:
            terms = tuple(text.split("\\")) if text else ()
            self._context.use(character_set(terms))
            if not self._path:
                self.terms = terms
            return
        parts = tuple(text.split("\\")) if shape.vr == "UI" else (text,)
        values = tuple(part for part in parts if part)
        key = Key((*self._path, shape.tag), values, self._creator(shape.tag))
        self._note(key, text)

    def _note(self, key: Key, text: str) -> None:
        if len(self.keys) >= _MOST_KEYS:
            raise InvalidRequest("The identifier has too many keys.")
        self.keys.append(key)
        if len(key.path) == 1:
            self.texts[key.tag] = text

    def _creator(self, tag: int) -> str:
        """The Private Creator of a private element, or a mark that it has none (PS3.5 7.8.1)."""
        if not tag & 0x10000:
            return ""
        return self._walk.creators.get(tag >> 16 << 8 | tag >> 8 & 0xFF, "") or "?"

    @staticmethod
    def _says_nothing(tag: int) -> bool:
        """A Private Creator, or Data Set Trailing Padding (PS3.10 7.2)."""
        return tag == _TRAILING_PADDING or (bool(tag & 0x10000) and tag & 0xFF00 == 0)


# --- answers -----------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def vr_of(tag: int) -> str:
    """The VR by PS3.6, the first where it leaves a choice."""
    return str(dictionary_VR(tag)).split(" ")[0] if dictionary_has_tag(tag) else "UN"


class AnswerWriter:
    """Writes answers in one Transfer Syntax, in the querier's character set where that can be.

    What that has no letters for goes out as ISO_IR 192 (PS3.4 C.4.1.1.3.2).
    """

    def __init__(self, transfer_syntax_uid: str, terms: tuple[str, ...]) -> None:
        syntax = transfer_syntax(transfer_syntax_uid)
        self._implicit = syntax.implicit
        self._order = ">" if syntax.big_endian else "<"
        self._terms = terms if terms != ("",) else ()
        self._tag = struct.Struct(self._order + "HH")
        self._short = struct.Struct(self._order + "H")
        self._long = struct.Struct(self._order + "I")
        self._heads: dict[tuple[int, str], bytes] = {}

    def write(self, values: Mapping[int, str], items: Mapping[int, Mapping[str, Any]]) -> bytes:
        """`values`: tag to text; `items`: tag to an element of the DICOM JSON Model."""
        plain = all(text.isascii() for text in values.values()) and not items
        if plain and not self._terms:
            return self._data_set(values, items, ())
        for terms in (self._terms, _UNICODE):
            try:
                return self._data_set(values, items, terms)
            except (UnicodeEncodeError, LookupError):
                continue
        raise AssertionError("UTF-8 has every letter")

    def _data_set(
        self,
        values: Mapping[int, str],
        items: Mapping[int, Mapping[str, Any]],
        terms: tuple[str, ...],
    ) -> bytes:
        parts: list[bytes] = []
        if terms:
            text = "\\".join(terms)
            parts.append(self._element(SPECIFIC_CHARACTER_SET, "CS", text, ()))
        for tag in sorted({*values, *items}):
            if tag in items:
                parts.append(self._json(tag, items[tag], terms))
            else:
                parts.append(self._element(tag, vr_of(tag), values[tag], terms))
        return b"".join(parts)

    def _json(self, tag: int, element: Mapping[str, Any], terms: tuple[str, ...]) -> bytes:
        vr = str(element["vr"])
        if vr != "SQ":
            return self._element(tag, vr, text_of(dict(element), vr), terms)
        body = b"".join(self._item(item or {}, terms) for item in element.get("Value", ()))
        return self._head(tag, "SQ", _UNDEFINED) + body + self._delimiter(_SEQUENCE_END_TAG)

    def _item(self, item: Mapping[str, Any], terms: tuple[str, ...]) -> bytes:
        inside = {int(name, 16): element for name, element in item.items()}
        body = b"".join(self._json(tag, inside[tag], terms) for tag in sorted(inside))
        start = self._tag.pack(_ITEM_TAG >> 16, _ITEM_TAG & 0xFFFF) + self._long.pack(len(body))
        return start + body

    def _delimiter(self, tag: int) -> bytes:
        return self._tag.pack(tag >> 16, tag & 0xFFFF) + self._long.pack(0)

    def _element(self, tag: int, vr: str, text: str, terms: Iterable[str]) -> bytes:
        raw = self._value(vr, text, tuple(terms))
        return self._head(tag, vr, len(raw)) + raw

    def _head(self, tag: int, vr: str, length: int) -> bytes:
        if length > _LONGEST_SHORT and vr not in _LONG_VRS:
            vr = "UN"  # PS3.5 6.2.2: what does not fit into 16 bits of length
        start = self._heads.get((tag, vr))
        if start is None:
            start = self._tag.pack(tag >> 16, tag & 0xFFFF)
            if not self._implicit:
                start += vr.encode("ascii") + (b"\0\0" if vr in _LONG_VRS else b"")
            self._heads[tag, vr] = start
        if self._implicit or vr in _LONG_VRS:
            return start + self._long.pack(length)
        return start + self._short.pack(length)

    def _value(self, vr: str, text: str, terms: tuple[str, ...]) -> bytes:
        if not text:
            return b""
        if vr in _NUMBERS:
            return self._numbers(vr, text)
        if vr == "AT":
            tags = [int(each, 16) for each in text.split("\\")]
            return b"".join(self._tag.pack(each >> 16, each & 0xFFFF) for each in tags)
        raw = encode(text, terms, vr) if vr in _ENCODED_VRS else text.encode("ascii", "replace")
        return raw + (b"\0" if vr == "UI" else b" ") * (len(raw) % 2)

    def _numbers(self, vr: str, text: str) -> bytes:
        """Stored text as binary numbers; what is none, or too large, is left empty."""
        cast = float if vr in {"FL", "FD"} else int
        try:
            numbers = [cast(each) for each in text.split("\\")]
            return struct.pack(f"{self._order}{len(numbers)}{_NUMBERS[vr]}", *numbers)
        except (ValueError, struct.error, OverflowError):
            return b""
