# ruff: noqa: PLR2004  byte values are what this module is about
"""What tag and VR say about a Data Element before its value is looked at (PS3.5 7.1, PS3.6).

A shape is looked up once per tag, VR and encoding and then kept by the element's first bytes as
they stand in the file: the reader's hot loop is one dictionary look-up per element.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import Any, Final

from pydicom.datadict import (
    dictionary_description,
    dictionary_VR,
    private_dictionary_VR,
)

BINARY_VRS: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_LONG_FORM_VRS: Final = BINARY_VRS | {"SQ", "SV", "UC", "UR", "UT", "UV"}
KNOWN_VRS: Final = _LONG_FORM_VRS | frozenset(
    {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL"}
    | {"SS", "ST", "TM", "UI", "UL", "US"}
)
UNSAID_VRS: Final = frozenset({"  ", "??"})
"""What some write where they do not know the VR; a 16-bit length follows."""
PIXEL_DATA: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
CHARACTER_SET: Final = 0x00080005
PIXEL_REPRESENTATION_TAG: Final = 0x00280103
ITEM_TAGS: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
"""How an item begins, in either byte order."""
_KEPT_SHAPES: Final = 50_000

# How the header of an element is laid out (PS3.5 7.1.2, 7.1.3).
SHORT_FORM, LONG_FORM, IMPLICIT_FORM = 0, 1, 2

# What the walk has to look at; 0 is an element like any other.
(
    PLAIN,
    SEQUENCE,
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    PIXELS,
    PIXEL_REPRESENTATION,
    PRIVATE,
    UNRESOLVED,
    PADDING,
    BINARY,
    PASSAGE,
) = range(12)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are encoded: implicit or explicit VR, byte order."""

    implicit: bool
    big_endian: bool


def encoding_inside(head: bytes, encoding: Encoding) -> Encoding:
    """The encoding of an item, told by its first eight bytes: some writers change it there."""
    letters = head[4:6].decode("latin-1")
    if len(head) < 8 or head[:2] in (b"\xfe\xff", b"\xff\xfe"):
        return encoding
    if letters in KNOWN_VRS:
        return Encoding(implicit=False, big_endian=encoding.big_endian)
    if letters in UNSAID_VRS or (letters.isalpha() and letters.isupper()):
        return encoding
    return Encoding(implicit=True, big_endian=encoding.big_endian)


class Shape:
    """All that tag, VR and encoding say about an element.

    `role` is what the walk has to do about it, `form` the layout of its header. `vr` is what holds,
    `stored_vr` what the element says where that differs. `prefix`, `write` and `keyword` are
    furnished and used by the DICOM JSON writer.
    """

    __slots__ = ("binary", "form", "keyword", "prefix", "role", "stored_vr", "tag", "vr", "write")

    def __init__(self, tag: int, vr: str, form: int, role: int, stored_vr: str = "") -> None:
        self.tag = tag
        self.vr = vr
        self.stored_vr = stored_vr or vr
        self.form = form
        self.role = role
        self.binary = vr in BINARY_VRS
        self.prefix = ""
        self.keyword = ""
        self.write: Callable[[str, bytes, Any], str] | None = None


_STRUCTURE: Final = {
    0xFFFEE000: Shape(0xFFFEE000, "", IMPLICIT_FORM, ITEM),
    0xFFFEE00D: Shape(0xFFFEE00D, "", IMPLICIT_FORM, ITEM_END),
    0xFFFEE0DD: Shape(0xFFFEE0DD, "", IMPLICIT_FORM, SEQUENCE_END),
}


@lru_cache(maxsize=65536)
def public_vr(tag: int) -> str:
    """The VR PS3.6 gives a tag, choices such as `US or SS` included; "" where it has none."""
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UL" if tag & 0xFFFF == 0 else ""


@lru_cache(maxsize=65536)
def private_vr(tag: int, creator: str) -> str:
    """The VR the private dictionary gives; "" where it does not know tag and creator."""
    try:
        return str(private_dictionary_VR(tag, creator))
    except KeyError:
        return ""


@lru_cache(maxsize=4096)
def named(tag: int) -> str:
    """`(0010,0010) Patient's Name`: how messages speak of an element."""
    try:
        name = " " + str(dictionary_description(tag))
    except KeyError:
        name = ""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X}){name}"


def settled_choice(vr: str, *, signed: bool, length: int) -> str:
    """The VR where PS3.6 leaves a choice and the element does not say (PS3.5 A.1)."""
    if vr == "US or SS":
        return "SS" if signed else "US"
    if vr in ("US or OW", "US or SS or OW"):
        return "US" if length == 2 else "OW"
    return "OW" if vr == "OB or OW" else vr


class Shapes:
    """The shapes of one encoding, kept by the first bytes of the element as they stand."""

    def __init__(self, encoding: Encoding) -> None:
        order = ">" if encoding.big_endian else "<"
        self._encoding = encoding
        self._tag = Struct(order + "HH").unpack
        self.key_length = 4 if encoding.implicit else 6
        self.short = Struct(order + "H").unpack_from
        self.long = Struct(order + "I").unpack_from
        self.known: dict[bytes, Shape] = {}
        self._variants: dict[tuple[int, str, int, str], Shape] = {}

    def learn(self, key: bytes) -> Shape:
        """Looks a new key (tag, and VR if explicit) up in the dictionary and keeps it."""
        group, element = self._tag(key[:4])
        tag = group << 16 | element
        shape = _STRUCTURE.get(tag)
        if shape is None:
            implicit = self._encoding.implicit
            shape = self._implicit(tag) if implicit else self._explicit(tag, key[4:6])
        if len(self.known) >= _KEPT_SHAPES:
            self.known.clear()
        self.known[key] = shape
        return shape

    def _implicit(self, tag: int) -> Shape:
        if is_creator(tag):
            return self.variant(tag, "LO", IMPLICIT_FORM)
        if tag in PIXEL_DATA:
            return self.variant(tag, "OW", IMPLICIT_FORM)
        vr = public_vr(tag)
        if not vr or " " in vr:
            return Shape(tag, "UN", IMPLICIT_FORM, UNRESOLVED)
        return self.variant(tag, vr, IMPLICIT_FORM)

    def _explicit(self, tag: int, letters: bytes) -> Shape:
        vr = letters.decode("latin-1")
        if vr == "UN" and is_creator(tag):
            return self.variant(tag, "LO", LONG_FORM, "UN")
        if vr == "SQ" and tag in PIXEL_DATA:
            return Shape(tag, "UN", LONG_FORM, PIXELS, vr)  # it is hopped over, and no sequence
        if vr == "UN" or vr in UNSAID_VRS:
            role = PIXELS if tag in PIXEL_DATA else UNRESOLVED
            return Shape(tag, "UN", LONG_FORM if vr == "UN" else SHORT_FORM, role, vr)
        if vr in KNOWN_VRS:
            return self.variant(tag, vr, LONG_FORM if vr in _LONG_FORM_VRS else SHORT_FORM)
        if vr.isascii() and vr.isalpha() and vr.isupper():
            return self.variant(
                tag, "UN", LONG_FORM, vr
            )  # a VR of the future is laid out like this
        return self._implicit(tag)

    def variant(self, tag: int, vr: str, form: int, stored_vr: str = "") -> Shape:
        """The shape of a tag with a settled VR."""
        stored_vr = stored_vr or vr
        shape = self._variants.get((tag, vr, form, stored_vr))
        if shape is None:
            if len(self._variants) >= _KEPT_SHAPES:
                self._variants.clear()
            shape = Shape(tag, vr, form, _role(tag, vr), stored_vr)
            self._variants[tag, vr, form, stored_vr] = shape
        return shape


def _role(tag: int, vr: str) -> int:
    if tag in PIXEL_DATA:
        return PIXELS
    if vr == "SQ":
        return SEQUENCE
    if tag == PIXEL_REPRESENTATION_TAG:
        return PIXEL_REPRESENTATION
    if tag == 0:
        return PADDING
    if is_creator(tag):
        return PRIVATE
    return BINARY if vr in BINARY_VRS else PLAIN


def is_creator(tag: int) -> bool:
    """Whether this reserves a block of private elements (PS3.5 7.8.1)."""
    return tag & 0x10000 != 0 and 0x10 <= tag & 0xFFFF <= 0xFF


SHAPES: Final = {
    encoding: Shapes(encoding)
    for encoding in (Encoding(implicit, big) for implicit in (True, False) for big in (True, False))
}
