"""Matching in plain Python (PS3.4 C.2.2.2): the oracle for the SQL, one record at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from apps.dicom.attributes import Attribute, Entity
from apps.dicom.criteria import (
    Between,
    Criterion,
    Empty,
    Every,
    Moment,
    Name,
    Names,
    Numbers,
    Text,
    Uids,
    Universal,
)
from apps.dicom.name_sounds import sounds_like
from apps.dicom.values import (
    DELIMITER,
    INTEGER_VRS,
    fold_name,
    normalise,
    offset_minutes,
    shift,
    split_values,
    utc_moment,
)


@dataclass(frozen=True, slots=True)
class Record:
    """One row as the oracle sees it: normalised text by keyword, with what it inherits.

    `attributes` holds the entity's own attributes and those of the entities above it; `offset` is
    the TimezoneOffsetFromUTC in force, `""` if none; `children` are the rows below.
    """

    entity: Entity
    attributes: Mapping[str, str]
    offset: str = ""
    children: Sequence[Record] = field(default_factory=tuple)


class Criteria(Protocol):
    """A query that was read and checked: `Plan`, `WorklistPlan`."""

    @property
    def criteria(self) -> tuple[tuple[Attribute, Criterion], ...]:
        """The attributes that narrow, and how."""
        ...


def matches(plan: Criteria, record: Record) -> bool:
    """True when the record answers the plan's criteria.

    Criteria on entities below ask for one row, of the lowest entity named, that meets them all.
    """
    order = list(Entity)
    depth = order.index(record.entity)
    own = [each for each in plan.criteria if order.index(each[0].entity) <= depth]
    below = [each for each in plan.criteria if order.index(each[0].entity) > depth]
    if not _all_met(own, record):
        return False
    if not below:
        return True
    lowest = max((attribute.entity for attribute, _ in below), key=order.index)
    return any(_all_met(below, row) for row in _descendants(record, lowest))


def _descendants(record: Record, entity: Entity) -> Iterator[Record]:
    for child in record.children:
        if child.entity is entity:
            yield child
        else:
            yield from _descendants(child, entity)


def _all_met(criteria: Sequence[tuple[Attribute, Criterion]], record: Record) -> bool:
    return all(_met(attribute, criterion, record) for attribute, criterion in criteria)


def _met(attribute: Attribute, criterion: Criterion, record: Record) -> bool:
    text = record.attributes.get(attribute.keyword, "")
    if isinstance(criterion, Moment):
        return _moment_met(criterion, text, record)
    return value_met(attribute.vr, criterion, text)


def value_met(vr: str, criterion: Criterion, text: str, zone: str = "") -> bool:
    """True when any value of stored, normalised `text` meets the criterion (C.2.2.3).

    A zero-length value meets only the universal and the empty one. `zone` holds for a DT without
    an offset.
    """
    if isinstance(criterion, Every):
        return all(value_met(vr, part, text, zone) for part in criterion.parts)
    values = [value for value in split_values(vr, text) if value]
    if isinstance(criterion, Empty):
        return not values or (vr in INTEGER_VRS and not _is_one_number(values))
    return _met_by_one(vr, criterion, text, values, zone)


def _is_one_number(values: Sequence[str]) -> bool:
    """What is no number, or several, cannot be found by a number and counts as no value."""
    return len(values) == 1 and re.fullmatch(r"[+-]?[0-9]+", values[0]) is not None


def _met_by_one(vr: str, criterion: Criterion, text: str, values: Sequence[str], zone: str) -> bool:
    match criterion:
        case Universal():
            return True
        case Names(names, words):
            literally = any(_name_met(name, text) for name in names)
            return literally or sounds_like(words, text)
        case Text(patterns):
            return any(like(pattern, value) for pattern in patterns for value in values)
        case Uids(uids):
            return any(value in uids for value in values)
        case Numbers(numbers):
            written = {str(number) for number in numbers}
            return any(normalise("IS", value) in written for value in values)
        case Between():
            moments = (utc_moment(value, zone) for value in values) if vr == "DT" else values
            return any(_within(criterion, value) for value in moments if value)
        case _:
            raise TypeError("a date and its time are two values")


def _within(between: Between, value: str) -> bool:
    return between.low <= value and (not between.high or value <= between.high)


def like(pattern: str, text: str) -> bool:
    """`*` is any run of characters, `?` any one; in time linear in the product of both lengths."""
    place = at = 0
    star, resume = -1, 0
    while at < len(text):
        if place < len(pattern) and pattern[place] == "*":
            star, resume = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in ("?", text[at]):
            place += 1
            at += 1
        elif star >= 0:
            resume += 1
            place, at = star + 1, resume
        else:
            return False
    return not pattern[place:].strip("*")


def _name_met(name: Name, text: str) -> bool:
    """Each group on its own; among several values any may answer for its group."""
    groups = fold_name(text)
    if name.anywhere:
        return any(_group_met(name.groups[0], group) for group in groups)
    asked = zip(name.groups, groups, strict=True)
    return all(_group_met(patterns, group) for patterns, group in asked if patterns)


def _group_met(patterns: tuple[str, ...], group: str) -> bool:
    values = [value for value in group.split(DELIMITER) if value]
    return any(like(pattern, value) for pattern in patterns for value in values)


def _moment_met(moment: Moment, date: str, record: Record) -> bool:
    time = record.attributes.get(moment.time.keyword, "")
    here, there = offset_minutes(moment.offset), offset_minutes(record.offset)
    if here is not None and there is not None and time:
        date, time = shift(date, time, here - there)
    if moment.combined:
        return _combined_met(moment, date, time)
    return all(
        between is None or (value != "" and _within(between, value))
        for between, value in ((moment.dates, date), (moment.times, time))
    )


def _combined_met(moment: Moment, date: str, time: str) -> bool:
    """One interval; on its first and last day a row without a time is not known to be inside."""
    dates, times = moment.dates, moment.times
    assert dates is not None
    assert times is not None
    if not date:
        return False
    begun = not dates.low or date > dates.low or (date == dates.low and time >= times.low)
    if not dates.high or date < dates.high:
        return begun
    return begun and date == dates.high and time != "" and time <= times.high
