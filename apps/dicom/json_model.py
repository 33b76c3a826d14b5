# ruff: noqa: PLR2004  byte values are what this module is about
"""DICOM JSON Model (PS3.18 Annex F) straight from raw elements.

One writer per VR turns the bytes of a value into the text of one JSON member. DS and IS are JSON
numbers wherever the text is one, digit for digit: `1.50` stays `1.50`, `+7` becomes `7`, `.5`
becomes `0.5`; text that is no number stays a string (F.2.3, note). NaN and infinities become the
strings "NaN", "Infinity" and "-Infinity", because JSON has no such numbers.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from json.encoder import encode_basestring as quoted
from math import isfinite
from struct import unpack
from typing import Final

from apps.dicom import attributes
from apps.dicom.character_sets import DEFAULT, CharacterSet, character_set, decode_flagged
from apps.dicom.element_shapes import Shape

PIECE_BREAK: Final = "\0"
"""Stands where the base URL belongs; JSON text itself never holds it."""

_STRING_VRS: Final = frozenset({"AE", "AS", "CS", "DA", "DT", "TM", "UI"})
_DECODED_STRING_VRS: Final = frozenset({"LO", "SH"})
_TEXT_VRS: Final = frozenset({"LT", "ST", "UT"})
_NUMBERS: Final = {
    "US": ("H", 2),
    "SS": ("h", 2),
    "UL": ("I", 4),
    "SL": ("i", 4),
    "UV": ("Q", 8),
    "SV": ("q", 8),
    "FL": ("f", 4),
    "FD": ("d", 8),
}
_SWAP_WIDTH: Final = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_ALLOWED: Final = 20

_LITERAL = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_ARE_LITERALS = re.compile(rf"{_LITERAL}(?:\\{_LITERAL})*").fullmatch
_DECIMAL = re.compile(
    r"(?=[+-]?\.?[0-9])([+-]?)0*([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?"
).fullmatch


class ValueContext:
    """What the writers need to know about the data set they are in, and what they noticed.

    `character_set` changes at (0008,0005) and is put back by the caller when an item ends.
    """

    __slots__ = ("_flagged", "big_endian", "character_set", "codec", "fallback", "warnings")

    def __init__(self, fallback: CharacterSet | None = None) -> None:
        self.big_endian = False
        self.fallback = fallback
        self.warnings: list[str] = []
        self._flagged: set[int] = set()
        self.use(DEFAULT)

    def use(self, declared: CharacterSet) -> None:
        """Makes `declared` the character set of the text that follows."""
        self.character_set = declared
        self.codec = "" if declared.extended else declared.codec

    def text(self, raw: bytes, vr: str) -> str:
        """The decoded value field; what does not fit the declared set is decoded by a fallback."""
        if self.codec:
            try:
                return str(raw, self.codec)
            except UnicodeDecodeError:
                pass
        text, flagged = decode_flagged(raw, self.character_set, vr, self.fallback)
        if flagged:
            self.warn("Text does not fit the Specific Character Set; a fallback was used.")
        return text

    def warn(self, sentence: str) -> None:
        """Keeps a plain sentence once, and not more than a few."""
        if sentence not in self.warnings and len(self.warnings) < _ALLOWED:
            self.warnings.append(sentence)


Writer = Callable[[str, bytes, ValueContext], str]


def furnish(shape: Shape) -> None:
    """Gives a shape its JSON prefix, its writer and, for an indexed attribute, its keyword."""
    shape.prefix = f'"{shape.tag:08X}":{{"vr":"{shape.vr}"'
    shape.keyword = _KEYWORDS.get(shape.tag, "")
    shape.write = _write_character_set if shape.tag == 0x00080005 else WRITERS[shape.vr]


def furnish_sequence(shape: Shape) -> None:
    """Gives the shape of a sequence its JSON prefix; it has no writer."""
    shape.prefix = f'"{shape.tag:08X}":{{"vr":"SQ"'


def kept(attributes: dict[str, str]) -> dict[int, tuple[str, str]]:
    """Keyword and text of those attributes by tag."""
    return {tag: (key, attributes[key]) for tag, key in _KEYWORDS.items() if key in attributes}


def sequence(prefix: str, items: list[str]) -> str:
    """The member of a sequence from the JSON objects of its items."""
    return _array(prefix, ",".join(items)) if items else prefix + "}"


# Of the top level, for the index; the last two only for the frame table.
_KEYWORDS: Final = {
    row.tag: row.keyword
    for row in attributes.TABLE
    if row.matching is not attributes.Matching.COUNT and not row.from_children
} | {
    0x00080005: "SpecificCharacterSet",
    0x00080201: "TimezoneOffsetFromUTC",
    0x00280002: "SamplesPerPixel",
    0x7FE00001: "ExtendedOffsetTable",
}
KEYWORDS: Final = frozenset(_KEYWORDS.values())


def _array(prefix: str, members: str) -> str:
    return f'{prefix},"Value":[{members}]}}'


def _strings(prefix: str, text: str) -> str:
    if "\\" not in text:
        text = text.strip(" \0")
        return f'{prefix},"Value":[{quoted(text)}]}}' if text else prefix + "}"
    values = [value.strip(" \0") for value in text.split("\\")]
    return _array(prefix, ",".join([quoted(value) if value else "null" for value in values]))


def _write_strings(prefix: str, raw: bytes, _context: ValueContext) -> str:
    return _strings(prefix, str(raw, "latin-1"))


def _write_decoded_strings(prefix: str, raw: bytes, context: ValueContext) -> str:
    return _strings(prefix, context.text(raw, "LO"))


def _write_unlimited(prefix: str, raw: bytes, context: ValueContext) -> str:
    """UC: several values, leading spaces are part of them (PS3.5 6.2)."""
    values = [value.rstrip(" \0") for value in context.text(raw, "UC").split("\\")]
    if values == [""]:
        return prefix + "}"
    return _array(prefix, ",".join([quoted(value) if value else "null" for value in values]))


def _write_text(prefix: str, raw: bytes, context: ValueContext) -> str:
    text = context.text(raw, "LT").rstrip(" \0")
    return f'{prefix},"Value":[{quoted(text)}]}}' if text else prefix + "}"


def _write_uri(prefix: str, raw: bytes, _context: ValueContext) -> str:
    text = str(raw, "latin-1").rstrip(" \0")
    return _array(prefix, quoted(text)) if text else prefix + "}"


def _write_names(prefix: str, raw: bytes, context: ValueContext) -> str:
    text = context.text(raw, "PN").rstrip(" \0")
    if not text:
        return prefix + "}"
    names = [_name(value) for value in text.split("\\")]
    return prefix + "}" if names == ["null"] else _array(prefix, ",".join(names))


_GROUPS: Final = ('"Alphabetic":', '"Ideographic":', '"Phonetic":')


def _name(value: str) -> str:
    """One Person Name (F.2.2); component groups beyond the third are none (PS3.5 6.2.1)."""
    if "=" not in value:
        value = value.strip(" \0")
        return f'{{"Alphabetic":{quoted(value)}}}' if value else "null"
    groups = [group.strip(" \0") for group in value.split("=")]
    members = [key + quoted(group) for key, group in zip(_GROUPS, groups, strict=False) if group]
    return "{" + ",".join(members) + "}" if members else "null"


def _write_numeric_strings(prefix: str, raw: bytes, context: ValueContext) -> str:
    text = str(raw, "latin-1").strip(" \0")
    if _ARE_LITERALS(text):
        return f'{prefix},"Value":[{text.replace(chr(92), ",")}]}}'
    if not text:
        return prefix + "}"
    return _array(prefix, ",".join([_number(value, context) for value in text.split("\\")]))


def _number(text: str, context: ValueContext) -> str:
    """One DS or IS as a JSON number with the same digits, or as the string it is."""
    text = text.strip(" \0")
    if not text:
        return "null"
    if _ARE_LITERALS(text):
        return text
    match = _DECIMAL(text)
    if match is None:
        context.warn("A number (DS or IS) is no number.")
        return quoted(text)
    sign, whole, fraction, exponent = match.groups()
    literal = ("-" if sign == "-" else "") + (whole or "0")
    return literal + ("." + fraction if fraction else "") + ("e" + exponent if exponent else "")


def _unpacked(raw: bytes, vr: str, context: ValueContext) -> tuple[int | float, ...]:
    code, size = _NUMBERS[vr]
    count, odd = divmod(len(raw), size)
    if odd:
        context.warn(f"A value of VR {vr} is not a multiple of {size} bytes long.")
    order = ">" if context.big_endian else "<"
    return unpack(f"{order}{count}{code}", raw[: count * size])


def _write_us(prefix: str, raw: bytes, context: ValueContext) -> str:
    if len(raw) == 2:
        low, high = (raw[1], raw[0]) if context.big_endian else (raw[0], raw[1])
        return f'{prefix},"Value":[{high << 8 | low}]}}'
    return _write_integers(prefix, raw, context, "US")


def _write_integers(prefix: str, raw: bytes, context: ValueContext, vr: str) -> str:
    values = _unpacked(raw, vr, context)
    return _array(prefix, ",".join(map(str, values))) if values else prefix + "}"


def _write_floats(prefix: str, raw: bytes, context: ValueContext, vr: str) -> str:
    values = _unpacked(raw, vr, context)
    members = ",".join(map(repr, values))
    if "n" in members:
        members = ",".join([_finite(value) for value in values])
    return _array(prefix, members) if values else prefix + "}"


def _finite(value: float) -> str:
    if isfinite(value):
        return repr(value)
    if value != value:  # noqa: PLR0124  only NaN is not itself
        return '"NaN"'
    return '"Infinity"' if value > 0 else '"-Infinity"'


def _integers(vr: str) -> Writer:
    return lambda prefix, raw, context: _write_integers(prefix, raw, context, vr)


def _floats(vr: str) -> Writer:
    return lambda prefix, raw, context: _write_floats(prefix, raw, context, vr)


def _tags(raw: bytes, context: ValueContext) -> list[str]:
    count = len(raw) // 4
    order = ">" if context.big_endian else "<"
    halves = unpack(f"{order}{count * 2}H", raw[: count * 4])
    return [f"{halves[at]:04X}{halves[at + 1]:04X}" for at in range(0, count * 2, 2)]


def _write_tags(prefix: str, raw: bytes, context: ValueContext) -> str:
    tags = _tags(raw, context)
    return _array(prefix, ",".join(map(quoted, tags))) if tags else prefix + "}"


def little_endian(raw: bytes, vr: str) -> bytes:
    """A binary value stored big endian in the byte order DICOM JSON and bulk data have (F.2.7)."""
    width = _SWAP_WIDTH.get(vr, 1)
    if width == 1:
        return raw
    whole = len(raw) - len(raw) % width
    swapped = bytearray(raw)
    for at in range(width):
        swapped[at:whole:width] = raw[width - 1 - at : whole : width]
    return bytes(swapped)


def _binary(vr: str) -> Writer:
    def write(prefix: str, raw: bytes, context: ValueContext) -> str:
        if context.big_endian:
            raw = little_endian(raw, vr)
        return f'{prefix},"InlineBinary":"{b64encode(raw).decode("ascii")}"}}'

    return write


def _write_character_set(prefix: str, raw: bytes, context: ValueContext) -> str:
    """(0008,0005): what follows is decoded by it, and the JSON says UTF-8 (F.2.1)."""
    text = str(raw, "latin-1").strip(" \0")
    declared = character_set(tuple(text.split("\\"))) if text else DEFAULT
    for sentence in declared.warnings:
        context.warn(sentence)
    context.use(declared)
    return _array(prefix, '"ISO_IR 192"')


WRITERS: Final[dict[str, Writer]] = {
    **dict.fromkeys(_STRING_VRS, _write_strings),
    **dict.fromkeys(_DECODED_STRING_VRS, _write_decoded_strings),
    **dict.fromkeys(_TEXT_VRS, _write_text),
    "UC": _write_unlimited,
    "UR": _write_uri,
    "PN": _write_names,
    "DS": _write_numeric_strings,
    "IS": _write_numeric_strings,
    "US": _write_us,
    **{vr: _integers(vr) for vr in ("SS", "UL", "SL", "UV", "SV")},
    **{vr: _floats(vr) for vr in ("FL", "FD")},
    "AT": _write_tags,
    **{vr: _binary(vr) for vr in ("OB", "OD", "OF", "OL", "OV", "OW", "UN")},
}


def plain_text(raw: bytes, vr: str, context: ValueContext) -> str:
    """A value as text: values joined by backslashes, padding stripped; "" for binary VRs."""
    if vr in _NUMBERS:
        return "\\".join(map(str, _unpacked(raw, vr, context)))
    if vr in _TEXT_VRS:
        return context.text(raw, vr).rstrip(" \0")
    if vr == "AT":
        return "\\".join(_tags(raw, context))
    if vr in _SWAP_WIDTH or vr in ("OB", "UN", "SQ"):
        return ""
    decoded = vr in _DECODED_STRING_VRS or vr in ("PN", "UC")
    text = context.text(raw, vr) if decoded else str(raw, "latin-1")
    return "\\".join([value.strip(" \0") for value in text.split("\\")])


def bulk(prefix: str, path: str) -> str:
    """A member whose value is fetched on its own (F.2.6); the URL's beginning is left open."""
    return f'{prefix},"BulkDataURI":"{PIECE_BREAK}{path}"}}'


def in_order(members: list[str], tags: list[int]) -> list[str]:
    """Members in ascending order of tag; of two with the same tag the last one holds."""
    by_tag = dict(zip(tags, members, strict=True))
    return [by_tag[tag] for tag in sorted(by_tag)]


def skipped(tag: int) -> bool:
    """Group lengths and the groups of commands, directories' meta and delimiters stay out."""
    return tag & 0xFFFF == 0 or tag >> 16 in (0x0000, 0x0002)
