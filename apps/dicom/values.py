"""Text forms of values: what a column holds, what a key is compared with (PS3.5 6.2).

Normal form is DICOM text that sorts as it means: dates `YYYYMMDD`, times `HHMMSS[.F…]`, whole
numbers without sign or zeros in front. Text that is no value of its VR stays as it came, trimmed,
so that nothing a sender wrote is lost. Every function here is idempotent on its own output.
"""

from __future__ import annotations

import re
import unicodedata
from calendar import IllegalMonthError, monthrange
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

from pydicom import config
from pydicom.valuerep import validate_value

DELIMITER: Final = "\\"

# A backslash is text in these, never a delimiter (PS3.5 6.2 and 6.4).
UNDIVIDED_VRS: Final = frozenset({"LT", "ST", "UT", "UR"})
WILDCARD_VRS: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
RANGE_VRS: Final = frozenset({"DA", "TM", "DT"})
INTEGER_VRS: Final = frozenset({"IS", "US", "UL", "UV", "SS", "SL", "SV"})
DECIMAL_VRS: Final = frozenset({"DS", "FL", "FD"})

_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
_OLD_DATE = re.compile(r"(\d{4})\.(\d{2})\.(\d{2})")
_TIME = re.compile(r"(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?")
_OLD_TIME = re.compile(r"(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?")
_DATETIME = re.compile(
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?)?)?)?"
    r"([+-]\d{4})?"
)
_INTEGER = re.compile(r"[+-]?\d+")
_UID = re.compile(r"[0-9.]{1,64}")
_LONGEST_ODD_UID: Final = 128
_DAYS_OF_MONTH: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def split_values(vr: str, text: str) -> tuple[str, ...]:
    """The values of multi-valued text; one value for VRs that know no delimiter."""
    return (text,) if vr in UNDIVIDED_VRS else tuple(text.split(DELIMITER))


def normalise(vr: str, text: str) -> str:
    """Normal form of `text`, value by value; `""` for a zero-length value."""
    form = _FORMS.get(vr, _trimmed)
    text = text.replace("\0", "")  # padding wherever it stands; no database keeps it in text
    if vr in UNDIVIDED_VRS or DELIMITER not in text:
        return form(text)
    return DELIMITER.join(form(value) for value in text.split(DELIMITER))


def is_value(vr: str, text: str) -> bool:
    """True when normalised, non-empty `text` is one well-formed value of a VR with a grammar."""
    check = _CHECKS.get(vr)
    return check is None or check(text)


def is_lawful(vr: str, value: str) -> bool:
    """Whether PS3.5 6.2 lets one non-empty value of this VR be written so."""
    if not value.isprintable() and vr not in UNDIVIDED_VRS:
        return False
    try:
        validate_value(vr, value, config.RAISE)
    except ValueError:
        return False
    return is_value(vr, value)


def _trimmed(text: str) -> str:
    return text.strip(" ")


def _trimmed_right(text: str) -> str:
    return text.rstrip(" ")


def _date(text: str) -> str:
    plain = _trimmed(text)
    old = _OLD_DATE.fullmatch(plain)
    return "".join(old.groups()) if old else plain


def is_date(text: str) -> bool:
    """True for `YYYYMMDD` with a month and a day that exist (29 February in any year)."""
    match = _DATE.fullmatch(text) if text.isascii() else None
    if match is None:
        return False
    month, day = int(match[2]), int(match[3])
    return 1 <= month <= 12 and 1 <= day <= _DAYS_OF_MONTH[month - 1]  # noqa: PLR2004


def _fraction(digits: str | None) -> str:
    kept = (digits or "").rstrip("0")
    return f".{kept}" if kept else ""


def _time(text: str) -> str:
    plain = _trimmed(text)
    match = _TIME.fullmatch(plain) or _OLD_TIME.fullmatch(plain)
    if match is None or not plain.isascii():
        return plain
    hour, minute, second, fraction = match.groups()
    return f"{hour}{minute or '00'}{second or '00'}{_fraction(fraction)}"


def is_time(text: str) -> bool:
    """True for a normalised time of day; a leap second counts (PS3.5 6.2, TM)."""
    match = _TIME.fullmatch(text) if text.isascii() else None
    if match is None or match[3] is None:
        return False
    return int(match[1]) < 24 and int(match[2]) < 60 and int(match[3]) <= 60  # noqa: PLR2004


def _datetime(text: str) -> str:
    plain = _trimmed(text)
    match = _DATETIME.fullmatch(plain) if plain.isascii() else None
    if match is None:
        return plain
    *parts, fraction, offset = match.groups()
    digits = "".join(part or "" for part in parts)
    return f"{digits}{_fraction(fraction)}{offset or ''}"


def _integer(text: str) -> str:
    plain = _trimmed(text)
    # No longer than Python converts at once; no IS has more than twelve bytes.
    usable = len(plain) <= 64 and plain.isascii() and _INTEGER.fullmatch(plain)  # noqa: PLR2004
    return str(int(plain)) if usable else plain


def _decimal(text: str) -> str:
    plain = _trimmed(text)
    try:
        number = Decimal(plain) if plain.isascii() and "_" not in plain else None
    except InvalidOperation:
        return plain
    if number is None or not number.is_finite() or abs(number.adjusted()) > 64:  # noqa: PLR2004
        return plain
    short = number.normalize()
    return "0" if short.is_zero() else f"{short:f}"


def _is_decimal(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def is_uid(text: str) -> bool:
    """True for digits and dots, at most 64; stored UIDs break finer rules too often to insist."""
    return _UID.fullmatch(text) is not None


def may_be_uid(text: str) -> bool:
    """True for what some senders use as a UID: it is kept as it is, and must be found (UID-02)."""
    return 0 < len(text) <= _LONGEST_ODD_UID and text.isprintable() and not {" ", "\\"} & set(text)


_FORMS: Final = {
    "DA": _date,
    "TM": _time,
    "DT": _datetime,
    "DS": _decimal,
    "FL": _decimal,
    "FD": _decimal,
    "LT": _trimmed_right,
    "ST": _trimmed_right,
    "UT": _trimmed_right,
    "UR": _trimmed_right,
    "UC": _trimmed_right,
} | dict.fromkeys(INTEGER_VRS, _integer)

_CHECKS: Final = {
    "DA": is_date,
    "TM": is_time,
    "DT": lambda text: utc_moment(text) != "",
    "UI": may_be_uid,
} | (
    dict.fromkeys(INTEGER_VRS, lambda text: _INTEGER.fullmatch(text) is not None)
    | dict.fromkeys(DECIMAL_VRS, _is_decimal)
)


# --- zones -------------------------------------------------------------------------------------

_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})")
_HOUR: Final = 60
_DAY: Final = 24 * _HOUR


def offset_minutes(text: str) -> int | None:
    """Minutes east of UTC of `&ZZXX`, from -1200 to +1400 (PS3.5 6.2); None for other text."""
    match = _OFFSET.fullmatch(text) if text.isascii() else None
    if match is None or int(match[3]) >= _HOUR:
        return None
    minutes = (int(match[2]) * _HOUR + int(match[3])) * (-1 if match[1] == "-" else 1)
    return minutes if -12 * _HOUR <= minutes <= 14 * _HOUR else None


def shift(date: str, time: str, minutes: int) -> tuple[str, str]:
    """A normalised date and time, `minutes` later; seconds, also leap seconds, stay as they are.

    Text that is no date or no time is not shifted; a time without a date goes round the day.
    """
    if not minutes or not is_time(time) or (date and not is_date(date)):
        return date, time
    days, minute = divmod(int(time[:2]) * _HOUR + int(time[2:4]) + minutes, _DAY)
    moved = f"{minute // _HOUR:02}{minute % _HOUR:02}{time[4:]}"
    if not date or not days:
        return date, moved
    return _day_after(date, days), moved


def _day_after(date: str, days: int) -> str:
    try:
        day = datetime(int(date[:4]), int(date[4:6]), int(date[6:])) + timedelta(days=days)
    except (ValueError, OverflowError):  # 29 February of no leap year, year 0000: no calendar day
        return date
    return f"{day.year:04}{day.month:02}{day.day:02}"


def utc_moment(text: str, zone: str = "", *, last: bool = False) -> str:
    """DT text as UTC `YYYYMMDDHHMMSS.FFFFFF`, for comparison; `""` for what is no DT.

    `zone` holds for text without an offset of its own. Missing parts are the first of their kind;
    with `last`, a DT that is no more precise than a day stands for the end of its period.
    """
    match = _DATETIME.fullmatch(text) if text.isascii() else None
    if match is None:
        return ""
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    end = last and hour is None
    month = month or ("12" if end else "01")
    try:
        day = day or (f"{monthrange(int(year), int(month))[1]:02}" if end else "01")
    except (ValueError, IllegalMonthError):
        return ""
    time = "235959" if end else f"{hour or '00'}{minute or '00'}{second or '00'}"
    east = offset_minutes(offset or zone or "+0000")
    if east is None or not is_date(f"{year}{month}{day}") or not is_time(time):
        return ""
    date, time = shift(f"{year}{month}{day}", time, -east)
    return f"{date}{time}.{'999999' if end else (fraction or '').ljust(6, '0')}"


# --- names -------------------------------------------------------------------------------------

_COMPONENT = "^"
_GROUP = "="
_GROUPS = 3
# Letters that carry their mark inside, so that Unicode does not take them apart.
_LETTERS: Final = str.maketrans(
    {
        "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ħ": "h",
        "\u0131": "i", "ŋ": "n", "ŧ": "t", "ĸ": "k",
        # apostrophes and hyphens, as word processors and keyboards write them
        "\u02bc": "'", "\u2018": "'", "\u2019": "'", "\u00b4": "'",
        "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-",
    }
)  # fmt: skip
# What a name or a key is cut at; unfolding a full-width character may bring one back.
_CUTS: Final = str.maketrans(dict.fromkeys("\\^=", " "))
_SPACES = re.compile(r"\s+")


def _is_accent(character: str) -> bool:
    """Marks above, below and through letters, Hebrew points and Arabic vowels.

    Not the voicing marks of kana (class 8), the virama (9), nor the vowel signs of Thai (103, 107),
    which make other letters and not other spellings.
    """
    kind = unicodedata.combining(character)
    return kind == 1 or 10 <= kind <= 36 or 200 <= kind <= 240  # noqa: PLR2004


def fold_text(text: str) -> str:
    """Without case, accents and width; white space runs become one space. Not trimmed."""
    if text.isascii():
        return _SPACES.sub(" ", text.lower())
    opened = unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS)
    # Folding case may compose again what was taken apart, as in the Turkish dotted I.
    bare = "".join(
        character
        for character in unicodedata.normalize("NFKD", opened)
        if not _is_accent(character)
    )
    return _SPACES.sub(" ", unicodedata.normalize("NFC", bare).translate(_CUTS))


def _fold_group(group: str) -> str:
    components = (fold_text(component).strip(" ") for component in group.split(_COMPONENT))
    return _COMPONENT.join(components).rstrip(_COMPONENT)


def name_groups(name: str) -> tuple[str, str, str]:
    """Alphabetic, ideographic and phonetic group of one PN value (PS3.5 6.2.1); `""` if absent."""
    groups = name.split(_GROUP, _GROUPS - 1)
    groups += [""] * (_GROUPS - len(groups))
    return groups[0], groups[1], groups[2]


@lru_cache(maxsize=1024)
def fold_name(pn: str) -> tuple[str, str, str]:
    """The three component groups of PN text, folded for matching.

    Trailing `^` are trimmed here and only here. Several values stay several, joined by a backslash
    in each group; a group that no value has is `""`.
    """
    folded = [
        tuple(_fold_group(group) for group in name_groups(value)) for value in pn.split(DELIMITER)
    ]
    alphabetic, ideographic, phonetic = (
        DELIMITER.join(groups) if any(groups) else "" for groups in zip(*folded, strict=True)
    )
    return alphabetic, ideographic, phonetic


# --- words for search as one types -------------------------------------------------------------

_LONGEST_TOKEN = 64
_WORD_CUT = re.compile(r"[\s^=,;]+")
_PART_CUT = re.compile(r"[^\w]+|_+")


def _words(text: str) -> set[str]:
    """Each word of folded text, and its parts where punctuation joins them."""
    found: set[str] = set()
    for word in _WORD_CUT.split(text):
        found.add(word)
        found.update(_PART_CUT.split(word))
    return found


def search_tokens(
    *,
    names: Iterable[str] = (),
    identifiers: Iterable[str] = (),
    descriptions: Iterable[str] = (),
) -> frozenset[str]:
    """The folded words by whose beginning a study is found as one types.

    `names` are PN texts, `identifiers` such as Patient ID and Accession Number, `descriptions`
    free text. Names in scripts without spaces also count as one word across their components.
    """
    found: set[str] = set()
    for group in (group for name in names for group in fold_name(name)):
        for value in group.split(DELIMITER):
            found |= _words(value)
            if not value.isascii():
                found.add(re.sub(r"[\s^]+", "", value))
    for identifier in identifiers:
        folded = fold_text(identifier).strip()
        parts = _words(folded) | {folded}
        found |= parts | {part.lstrip("0") for part in parts}
    for description in descriptions:
        found |= _words(fold_text(description))
    return frozenset(word[:_LONGEST_TOKEN] for word in found if word)


def search_words(text: str) -> tuple[str, ...]:
    """The folded words somebody typed, each of which must begin a token of a study found."""
    words = (word[:_LONGEST_TOKEN] for word in _WORD_CUT.split(fold_text(text)))
    return tuple(dict.fromkeys(word for word in words if word))


def days_around(first: str, last: str) -> str:
    """A date range one day wider on each side; `""` where either is no date."""
    ends = []
    for text, days in ((first, -1), (last, 1)):
        try:
            day = datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)
        except ValueError:
            return ""
        ends.append(f"{day + timedelta(days=days):%Y%m%d}")
    return "-".join(ends)
