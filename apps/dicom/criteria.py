"""What a key's text asks for, once read: the matching types of PS3.4 C.2.2.2 as plain data.

`criterion_of` reads a key; the compiler turns a criterion into SQL and `matching` into a yes or no.
A zero-length stored value matches the universal criterion alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from apps.dicom.attributes import Attribute, Matching
from apps.dicom.values import (
    DELIMITER,
    INTEGER_VRS,
    RANGE_VRS,
    WILDCARD_VRS,
    fold_text,
    is_value,
    name_groups,
    normalise,
    utc_moment,
)
from apps.errors import InvalidRequest

_LARGEST: Final = 2**63 - 1
_LONGEST_KEY: Final = 1024
_MOST_UIDS: Final = 10_000
_MOST_VALUES: Final = 100
_WILD: Final = re.compile(r"[*?]")
_NOTHING: Final = '""'
_EVERY_VRS: Final = frozenset({"AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"})
_STARS: Final = re.compile(r"\*{2,}")
_NAME_PIECES: Final = re.compile(r"([*?^])")
# What may follow a name without changing it: empty components, with or without wild cards.
_EMPTY_COMPONENTS: Final = re.compile(r"\^[\^*]*\Z")


@dataclass(frozen=True, slots=True)
class Universal:
    """Anything, also nothing (PS3.4 C.2.2.2.3)."""


@dataclass(frozen=True, slots=True)
class Empty:
    """No value: zero-length or absent (Empty Value Matching, PS3.4 C.2.2.2)."""


@dataclass(frozen=True, slots=True)
class Text:
    """Any of the patterns; in each, `*` is any run and `?` any one character (C.2.2.2.4)."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Uids:
    """Any of the UIDs (C.2.2.2.2)."""

    uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Any of the whole numbers, however they are written (C.2.2.2.1; IS by meaning)."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """Dates, times or moments from `low` to `high`, both included; `""` is an open end (C.2.2.2.5).

    A single value is `low == high`.
    """

    low: str
    high: str

    @property
    def single(self) -> bool:
        """True for one value and no range."""
        return self.low == self.high

    @property
    def reversed(self) -> bool:
        """True for a range that ends before it begins."""
        return bool(self.low and self.high) and self.low > self.high

    @property
    def form(self) -> tuple[bool, bool]:
        """Which ends are given."""
        return bool(self.low), bool(self.high)


@dataclass(frozen=True, slots=True)
class Name:
    """Folded patterns for the component groups of a PN (C.2.2.2.1.1, C.2.2.2.4).

    Each group is a list of patterns, any of which will do; an empty list asks nothing of its group.
    `anywhere`: the key had no `=`, and `groups[0]` may match any of the three groups.
    """

    groups: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    anywhere: bool


@dataclass(frozen=True, slots=True)
class Names:
    """Any of several name keys, or names whose words are alike to all of `words`.

    `words` are empty unless fuzzy matching was asked for.
    """

    names: tuple[Name, ...]
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """A date and its time taken together, in the zone of the query (C.2.2.2.5.4, C.2.2.2.5.2).

    `combined`: one interval from the first date and time to the last; else two windows, which only
    share the shift of the zone. `offset` is the query's, `""` where nothing is to be shifted.
    """

    time: Attribute
    dates: Between | None
    times: Between | None
    combined: bool
    offset: str


@dataclass(frozen=True, slots=True)
class Every:
    """All of them, each met by some value (Multiple Value Matching, PS3.4 C.2.2.2)."""

    parts: tuple[Text | Names, ...]


Criterion = Universal | Empty | Text | Uids | Numbers | Between | Names | Moment | Every


def is_universal(values: tuple[str, ...]) -> bool:
    """True for zero-length keys and for `*` alone (PS3.4 C.2.2.2.3, C.2.2.2.4)."""
    return all(set(value.strip(" \0")) <= {"*"} for value in values)


def asks_for_nothing(values: tuple[str, ...]) -> bool:
    """True for two quotation marks, which may have been agreed on to mean: without a value."""
    return [value.strip(" \0") for value in values] == [_NOTHING]


def criterion_of(
    attribute: Attribute,
    values: tuple[str, ...],
    zone: str = "",
    *,
    empty: bool = False,
    every: bool = False,
) -> Criterion:
    """Reads the key; raises InvalidRequest, naming the attribute, where the text makes no sense.

    `zone` is the offset in which a DT without one of its own is read. `empty` and `every` tell
    that Empty and Multiple Value Matching were agreed on; else one of several values will do.
    """
    if empty and asks_for_nothing(values):
        return Empty()
    criterion = _one_criterion(attribute, values, zone)
    if every and attribute.vr in _EVERY_VRS:
        match criterion:
            case Text(patterns) if len(patterns) > 1:
                return Every(tuple(Text((each,)) for each in patterns))
            case Names(names) if len(names) > 1:
                return Every(tuple(Names((each,)) for each in names))
            case _:
                pass
    return criterion


def _one_criterion(attribute: Attribute, values: tuple[str, ...], zone: str) -> Criterion:
    given = tuple(part for value in values for part in _parts(attribute.vr, value) if part)
    if is_universal(given):
        return Universal()
    if any(len(value) > _LONGEST_KEY for value in given):
        raise _invalid(attribute, "is longer than any value can be")
    if len(given) > (_MOST_VALUES if attribute.vr != "UI" or attribute.multiple else _MOST_UIDS):
        raise _invalid(attribute, "lists too many values")
    if attribute.vr == "PN":
        return _names(given)
    if attribute.vr in RANGE_VRS:
        return _range(attribute, given, zone)
    if attribute.matching is Matching.COUNT or attribute.vr in INTEGER_VRS:
        return _numbers(attribute, given)
    return _text(attribute, given)


def _parts(vr: str, value: str) -> tuple[str, ...]:
    text = normalise(vr, value)
    return tuple(text.split(DELIMITER)) if vr not in {"LT", "ST", "UT", "UR"} else (text,)


def _invalid(attribute: Attribute, what: str) -> InvalidRequest:
    return InvalidRequest(f"The key {attribute.keyword} {what}.", offending=(attribute.tag_hex,))


def _text(attribute: Attribute, given: tuple[str, ...]) -> Criterion:
    if attribute.vr not in WILDCARD_VRS and any(_WILD.search(value) for value in given):
        raise _invalid(attribute, "does not allow wild cards")
    if not all(is_value(attribute.vr, value) for value in given):
        raise _invalid(attribute, f"is no value of {attribute.vr}")
    if attribute.vr == "UI":
        return Uids(given)
    patterns = tuple(_STARS.sub("*", value) for value in given)
    return Universal() if "*" in patterns else Text(patterns)


def _numbers(attribute: Attribute, given: tuple[str, ...]) -> Criterion:
    try:
        numbers = tuple(int(normalise("IS", value)) for value in given)
    except ValueError:
        raise _invalid(attribute, "is no whole number") from None
    if any(abs(number) > _LARGEST for number in numbers):
        raise _invalid(attribute, "is larger than any number stored")
    return Numbers(numbers)


def _range(attribute: Attribute, given: tuple[str, ...], zone: str) -> Between:
    if len(given) > 1:
        raise _invalid(attribute, "takes one value or one range")
    low, dash, high = given[0].partition("-")
    if attribute.vr == "DT":
        end = high if dash else low
        between = Between(_moment(attribute, low, zone), _moment(attribute, end, zone, last=True))
    else:
        first = _bound(attribute, low)
        between = Between(first, _bound(attribute, high) if dash else first)
    if not between.low and not between.high:
        raise _invalid(attribute, "is a range without an end")
    if between.reversed and attribute.vr != "TM":
        raise _invalid(attribute, "is a range that ends before it begins")
    return between  # a time may end before it begins: on a later day, if that is asked with it


def check_time(attribute: Attribute, times: Between) -> None:
    """Raises InvalidRequest for a range across midnight without a date (C.2.2.2.5.3)."""
    if times.reversed:
        raise _invalid(attribute, "is a range that ends before it begins")


def _bound(attribute: Attribute, text: str) -> str:
    value = normalise(attribute.vr, text)
    if value and not is_value(attribute.vr, value):
        raise _invalid(attribute, f"is no value of {attribute.vr}")
    return value


def _moment(attribute: Attribute, text: str, zone: str, *, last: bool = False) -> str:
    """A bound of a DT key as UTC text; a hyphen is a range and never an offset (C.2.2.2.1.3)."""
    value = normalise("DT", text)
    bound = utc_moment(value, zone, last=last)
    if value and not bound:
        raise _invalid(attribute, "is no value of DT")
    return bound


# --- person names ------------------------------------------------------------------------------


def _names(given: tuple[str, ...]) -> Criterion:
    names = tuple(_name(value) for value in given)
    asks = all(any(name.groups) for name in names)
    return Names(names) if asks else Universal()


def _name(value: str) -> Name:
    if "=" not in value:
        return Name((_alternatives(fold_pattern(value)), (), ()), anywhere=True)
    alphabetic, ideographic, phonetic = (fold_pattern(group) for group in name_groups(value))
    # `*=*` is not universal (C.2.2.2.4): it asks for names that have an ideographic group.
    first = () if alphabetic == "*" else _alternatives(alphabetic)
    return Name((first, _alternatives(ideographic), _alternatives(phonetic)), anywhere=False)


def fold_pattern(text: str) -> str:
    """A name key folded like the names it is to match, its wild cards kept, trailing `^` trimmed.

    Wild cards are cut out first: unfolding a full-width `?` must not make a new one.
    """
    pieces = _NAME_PIECES.split(text)
    folded: list[str] = []
    for place, piece in enumerate(pieces):
        if place % 2:
            folded.append(piece)
            continue
        literal = _WILD.sub(" ", fold_text(piece))
        if place == 0 or pieces[place - 1] == "^":
            literal = literal.lstrip(" ")
        if place == len(pieces) - 1 or pieces[place + 1] == "^":
            literal = literal.rstrip(" ")
        folded.append(literal)
    return _STARS.sub("*", "".join(folded)).rstrip("^")


def _alternatives(pattern: str) -> tuple[str, ...]:
    """The pattern and, as `Yamada` is `Yamada^^^^`, what it asks of a name that ends earlier."""
    if not pattern:
        return ()
    shorter = _EMPTY_COMPONENTS.sub("", pattern)
    return (pattern,) if shorter in {pattern, ""} else (pattern, shorter)
