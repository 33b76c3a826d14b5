# ruff: noqa: PLR2004  byte values are what this module is about
"""Specific Character Set (0008,0005): bytes to text and back (PS3.5 6.1, PS3.3 C.12.1.1.2).

Code extensions follow ISO 2022 as PS3.5 6.1.2.5 restricts it: G0 and G1 are designated by escape
sequences and fall back to the initial state at every delimiter. Text is decoded before it is split
at backslashes, because the second byte of GB18030, GBK and JIS X 0208 may be 5C.

What cannot be decoded as declared is decoded by a fallback and flagged; the replacement character
U+FFFD is never produced, and the stored bytes stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

ESC: Final = 0x1B
_RESETS: Final = frozenset(b"\t\n\f\r\\")
_PN_RESETS: Final = _RESETS | frozenset(b"^=")
_FREE_TEXT_RESETS: Final = frozenset(b"\t\n\f\r")
_FREE_TEXT_VRS: Final = frozenset({"LT", "ST", "UT"})


@dataclass(frozen=True, slots=True)
class _CodeElement:
    """A graphic set: how its bytes become text, `width` bytes a character, in G0 or G1."""

    name: str
    escape: bytes
    half: int  # 0 designates G0, 1 designates G1
    width: int
    decode: Callable[[bytes], str]
    encode: Callable[[str], bytes]


def _plain(codec: str) -> tuple[Callable[[bytes], str], Callable[[str], bytes]]:
    return (lambda raw: raw.decode(codec)), (lambda text: text.encode(codec))


def _high_half(codec: str) -> tuple[Callable[[bytes], str], Callable[[str], bytes]]:
    """The upper half of an 8-bit or EUC codec; characters of its lower half are refused."""

    def encode(text: str) -> bytes:
        raw = text.encode(codec)
        if any(byte < 0x80 for byte in raw):
            raise UnicodeEncodeError(codec, text, 0, len(text), "not in the upper half")
        return raw

    return (lambda raw: raw.decode(codec)), encode


def _jis_x_0201(*, high: bool) -> tuple[Callable[[bytes], str], Callable[[str], bytes]]:
    def encode(text: str) -> bytes:
        raw = text.encode("shift_jis")
        if len(raw) != len(text) or any((byte >= 0x80) != high for byte in raw):
            raise UnicodeEncodeError("shift_jis", text, 0, len(text), "not in JIS X 0201")
        return raw

    return (lambda raw: raw.decode("shift_jis")), encode


def _shifted(codec: str, prefix: bytes) -> tuple[Callable[[bytes], str], Callable[[str], bytes]]:
    """A 94 x 94 set in G0: the bytes of an EUC code without their high bits."""

    def decode(raw: bytes) -> str:
        high = bytes(byte | 0x80 for byte in raw)
        if prefix:
            high = b"".join(prefix + high[at : at + 2] for at in range(0, len(high), 2))
        return high.decode(codec)

    def encode(text: str) -> bytes:
        out = bytearray()
        for letter in text:
            raw = letter.encode(codec)
            body = raw[len(prefix) :]
            if not raw.startswith(prefix) or len(body) != 2 or min(body) < 0xA1:
                raise UnicodeEncodeError(codec, text, 0, len(text), "not in the 94 x 94 set")
            out += bytes(byte & 0x7F for byte in body)
        return bytes(out)

    return decode, encode


# PS3.3 tables C.12-3 and C.12-4. The escape sequences are those of the tables.
_ASCII: Final = _CodeElement("ISO_IR 6", b"\x1b(B", 0, 1, *_plain("ascii"))
_ROMAJI: Final = _CodeElement("ISO_IR 14", b"\x1b(J", 0, 1, *_jis_x_0201(high=False))
_KATAKANA: Final = _CodeElement("ISO_IR 13", b"\x1b)I", 1, 1, *_jis_x_0201(high=True))
_KANJI: Final = _CodeElement("ISO_IR 87", b"\x1b$B", 0, 2, *_shifted("euc_jp", b""))
_MORE_KANJI: Final = _CodeElement("ISO_IR 159", b"\x1b$(D", 0, 2, *_shifted("euc_jp", b"\x8f"))
_HANGUL: Final = _CodeElement("ISO_IR 149", b"\x1b$)C", 1, 2, *_high_half("euc_kr"))
_HANZI: Final = _CodeElement("ISO_IR 58", b"\x1b$)A", 1, 2, *_high_half("gb2312"))

_EIGHT_BIT: Final = {
    "100": ("A", "latin_1"),
    "101": ("B", "iso8859_2"),
    "109": ("C", "iso8859_3"),
    "110": ("D", "iso8859_4"),
    "126": ("F", "iso8859_7"),
    "127": ("G", "iso8859_6"),
    "138": ("H", "iso8859_8"),
    "144": ("L", "iso8859_5"),
    "148": ("M", "iso8859_9"),
    "166": ("T", "tis_620"),
    "203": ("b", "iso8859_15"),
}
_EIGHT_BIT_ELEMENTS: Final = {
    number: _CodeElement(f"ISO_IR {number}", b"\x1b-" + final.encode(), 1, 1, *_high_half(codec))
    for number, (final, codec) in _EIGHT_BIT.items()
}
_EXTENSIONS: Final[dict[str, tuple[_CodeElement, ...]]] = {
    "6": (_ASCII,),
    "13": (_KATAKANA, _ROMAJI),
    "87": (_KANJI,),
    "159": (_MORE_KANJI,),
    "149": (_HANGUL,),
    "58": (_HANZI,),
    **{number: (element,) for number, element in _EIGHT_BIT_ELEMENTS.items()},
}
_BY_ESCAPE: Final[dict[bytes, _CodeElement]] = {
    element.escape: element for elements in _EXTENSIONS.values() for element in elements
} | {b"\x1b$@": _KANJI}  # JIS C 6226-1978, seen from old Japanese modalities

_STAND_ALONE: Final = {
    "ISO_IR 192": "utf-8",
    "GB18030": "gb18030",
    "GBK": "gbk",
    "ISO 2022 GBK": "gbk",
}
_SINGLE_BYTE: Final = {
    **{f"ISO_IR {number}": codec for number, (_, codec) in _EIGHT_BIT.items()},
    "ISO_IR 13": "shift_jis",
    "ISO_IR 6": "ascii",
    "": "ascii",
}
DEFINED_TERMS: Final = (
    *filter(None, _SINGLE_BYTE),
    *(f"ISO 2022 IR {number}" for number in _EXTENSIONS),
    *_STAND_ALONE,
)
"""Every defined term of Specific Character Set that is read (PS3.3 C.12.1.1.2)."""

# Spellings from the field, by what they must mean.
_MISSPELT: Final = {
    "ISO_IR6": "ISO_IR 6",
    "ISO IR 6": "ISO_IR 6",
    "ISO-IR 6": "ISO_IR 6",
    "ASCII": "ISO_IR 6",
    "US-ASCII": "ISO_IR 6",
    "UTF-8": "ISO_IR 192",
    "UTF8": "ISO_IR 192",
    "LATIN1": "ISO_IR 100",
    "LATIN-1": "ISO_IR 100",
    "8859/1": "ISO_IR 100",
    "ISO 8859-1": "ISO_IR 100",
    "ISO8859-1": "ISO_IR 100",
    "ISO_8859-1": "ISO_IR 100",
    "ISO 2022 58": "ISO 2022 IR 58",
    "SHIFT_JIS": "ISO_IR 13",
    "EUC-KR": "ISO 2022 IR 149",
    "GB2312": "GBK",
}


class CharacterSet:
    """What (0008,0005) says, made ready to decode: `codec` alone, or ISO 2022 state as well.

    `warnings` names values that are unknown or may not be combined (PS3.3 C.12.1.1.2).
    """

    __slots__ = ("_elements", "_g0", "_g1", "codec", "extended", "terms", "warnings")

    def __init__(self, terms: tuple[str, ...]) -> None:
        warnings: list[str] = []
        known = [_known_term(term, warnings) for term in terms] or [""]
        if len(known) > 1 and any(term in _STAND_ALONE for term in known):
            warnings.append("A character set that stands alone is combined with others.")
            known = [known[0]] if known[0] in _STAND_ALONE else _without_stand_alone(known)
        first = known[0]
        self.terms = tuple(known)
        self.warnings = tuple(warnings)
        self.extended = len(known) > 1 or first.startswith("ISO 2022")
        self.codec = _codec_of(first)
        self._elements = tuple(
            element for term in known for element in _EXTENSIONS.get(_number(term), ())
        )
        japanese = _number(first) == "13"
        self._g0 = _ROMAJI if japanese else _ASCII
        self._g1 = next((each for each in self._initial(first) if each.half == 1), None)

    def _initial(self, first: str) -> tuple[_CodeElement, ...]:
        return _EXTENSIONS.get(_number(first), ())

    def decode(self, raw: bytes, vr: str) -> str:
        """The text of a whole value field, delimiters included; raises UnicodeDecodeError."""
        if ESC not in raw and not self._needs_state(raw):
            return raw.decode(self.codec)
        return self._decode_extended(raw, _resets_of(vr))

    def _needs_state(self, raw: bytes) -> bool:
        return self.extended and not raw.isascii()

    def _decode_extended(self, raw: bytes, resets: frozenset[int]) -> str:
        out: list[str] = []
        g0, g1 = self._g0, self._g1
        at, end = 0, len(raw)
        while at < end:
            byte = raw[at]
            if byte == ESC:
                element, length = _designated(raw, at)
                g0, g1 = (element, g1) if element.half == 0 else (g0, element)
                at += length
            elif (byte in resets and g0.width == 1) or byte < 0x20:
                out.append(chr(byte))
                g0, g1 = (self._g0, self._g1) if byte in resets else (g0, g1)
                at += 1
            else:
                high = byte >= 0x80
                stop = _run_end(raw, at, resets if g0.width == 1 else frozenset(), high=high)
                out.append((self._implied(g1) if high else g0).decode(raw[at:stop]))
                at = stop
        return "".join(out)

    def _implied(self, g1: _CodeElement | None) -> _CodeElement:
        """G1, or the only set it can be where a sender forgot the escape sequence."""
        if g1 is not None:
            return g1
        candidates = [each for each in self._elements if each.half == 1]
        if not candidates:
            raise UnicodeDecodeError("ascii", b"", 0, 1, "no character set is designated for G1")
        return candidates[0]

    def encode(self, text: str, vr: str) -> bytes:
        """The bytes of a whole value field; raises UnicodeEncodeError what has no code."""
        if not self.extended or text.isascii():
            return text.encode(self.codec)
        resets = {chr(byte) for byte in _resets_of(vr)}
        out = bytearray()
        run = ""
        for letter in text:
            if letter in resets:
                out += self._encode_run(run) + letter.encode("ascii")
                run = ""
            else:
                run += letter
        return bytes(out + self._encode_run(run))

    def _encode_run(self, text: str) -> bytes:
        """Text without delimiters; ends with G0 as it was at the start (PS3.5 6.1.2.5.3)."""
        out = bytearray()
        g0, g1 = self._g0, self._g1
        for letter in text:
            element = self._element_for(letter, g0, g1)
            if element.half == 0 and element is not g0:
                out += element.escape
                g0 = element
            elif element.half == 1 and element is not g1:
                out += element.escape
                g1 = element
            out += element.encode(letter)
        if g0 is not self._g0:
            out += self._g0.escape
        return bytes(out)

    def _element_for(self, letter: str, g0: _CodeElement, g1: _CodeElement | None) -> _CodeElement:
        current = (g0, g1) if g1 is not None else (g0,)
        candidates: tuple[_CodeElement, ...] = (*current, self._g0, *self._elements)
        for element in candidates:
            try:
                element.encode(letter)
            except UnicodeEncodeError:
                continue
            return element
        raise UnicodeEncodeError("ISO 2022", letter, 0, 1, "in none of the declared sets")


def _resets_of(vr: str) -> frozenset[int]:
    if vr == "PN":
        return _PN_RESETS
    return _FREE_TEXT_RESETS if vr in _FREE_TEXT_VRS else _RESETS


def _run_end(raw: bytes, start: int, resets: frozenset[int], *, high: bool) -> int:
    """The end of the run of bytes of one half of the code table."""
    at = start + 1
    while at < len(raw):
        byte = raw[at]
        if (byte >= 0x80) != high or byte < 0x20 or byte in resets:
            break
        at += 1
    return at


def _designated(raw: bytes, at: int) -> tuple[_CodeElement, int]:
    """The set an escape sequence designates, and the length of the sequence in bytes."""
    for length in (3, 4):
        element = _BY_ESCAPE.get(raw[at : at + length])
        if element is not None:
            return element, length
    raise UnicodeDecodeError("ISO 2022", raw, at, at + 1, "unknown escape sequence")


def _number(term: str) -> str:
    return term.rpartition(" ")[2] if term else ""


def _without_stand_alone(terms: list[str]) -> list[str]:
    return [term for term in terms if term not in _STAND_ALONE]


def _codec_of(term: str) -> str:
    if term in _STAND_ALONE:
        return _STAND_ALONE[term]
    if term in _SINGLE_BYTE:
        return _SINGLE_BYTE[term]
    number = _number(term)
    if number in _EIGHT_BIT:
        return _EIGHT_BIT[number][1]
    return "shift_jis" if number == "13" else "ascii"


def _known_term(term: str, warnings: list[str]) -> str:
    """The defined term that `term` is, or must mean; an unknown one becomes the default."""
    term = term.strip(" \0")
    if term in _SINGLE_BYTE or term in _STAND_ALONE:
        return term
    upper = term.upper()
    if upper in _MISSPELT:
        meant = _MISSPELT[upper]
    else:
        number = upper.replace("_", " ").replace("-", " ").rpartition(" ")[2]
        number = number.removeprefix("IR")
        extension = "2022" in upper
        meant = f"ISO 2022 IR {number}" if extension else f"ISO_IR {number}"
        if number == "192":
            meant = "ISO_IR 192"
        elif number not in _EXTENSIONS:
            meant = ""
        elif not extension and meant not in _SINGLE_BYTE:
            meant = f"ISO 2022 IR {number}"
    if meant != term:
        warnings.append(
            f"The Specific Character Set {term!r} is unknown"
            + (f"; it is taken as {meant}." if meant else "; the default repertoire is used.")
        )
    return meant


@lru_cache(maxsize=256)
def character_set(specific_character_set: tuple[str, ...]) -> CharacterSet:
    """The prepared character set of the values of (0008,0005)."""
    return CharacterSet(specific_character_set)


DEFAULT: Final = character_set(())


def decode(raw: bytes, specific_character_set: tuple[str, ...], vr: str) -> str:
    """The text of a value field of VR `vr`; delimiters and padding stay in it.

    Never fails and never yields U+FFFD: see decode_flagged for what happens to wrong bytes.
    """
    return decode_flagged(raw, character_set(specific_character_set), vr)[0]


def decode_flagged(
    raw: bytes, declared: CharacterSet, vr: str, fallback: CharacterSet | None = None
) -> tuple[str, bool]:
    """The text, and whether the declared character set could not explain the bytes.

    Then the source's own `fallback` is tried, then UTF-8, which hardly ever fits by chance, then
    ISO_IR 100, which always fits.
    """
    try:
        return declared.decode(raw, vr), False
    except (UnicodeDecodeError, LookupError):
        pass
    if fallback is not None:
        try:
            return fallback.decode(raw, vr), True
        except (UnicodeDecodeError, LookupError):
            pass
    try:
        return raw.decode("utf-8"), True
    except UnicodeDecodeError:
        return raw.decode("latin_1"), True


def encode(text: str, specific_character_set: tuple[str, ...], vr: str) -> bytes:
    """The bytes of a value field; raises UnicodeEncodeError where the sets have no such letter.

    Escape sequences are written so that every delimiter finds the initial state.
    """
    return character_set(specific_character_set).encode(text, vr)
