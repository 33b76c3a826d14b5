"""Dates and times that are matched together or in another zone, as SQL conditions (C.2.2.2.5)."""

from __future__ import annotations

from functools import reduce
from operator import or_

from django.db.models import Model, Q

from apps.dicom.criteria import Between, Moment
from apps.dicom.values import offset_minutes, shift
from apps.indexing.paths import owner_of

_MIDNIGHT = "000000"
_LAST_TIME = "235960.999999"


def moment_condition(model: type[Model], date: str, time: str, offset: str, asked: Moment) -> Q:
    """The rows whose date and time, seen in the query's zone, are asked for.

    Bounds are shifted, not rows: one condition for each offset that is stored, and stored offsets
    are few. `model` is what the paths start from.
    """
    here = offset_minutes(asked.offset) if asked.offset else None
    if here is None:
        return _condition(date, time, asked, 0)
    there = {text: offset_minutes(text) for text in _stored_offsets(model, offset)}
    shifted = {
        text: minutes - here
        for text, minutes in there.items()
        if minutes is not None and minutes != here
    }
    plain = ~Q(**{f"{offset}__in": list(shifted)}) & _condition(date, time, asked, 0)
    moved = (Q(**{offset: text}) & _shifted(date, time, asked, by) for text, by in shifted.items())
    return reduce(or_, moved, plain) if shifted else _condition(date, time, asked, 0)


def _stored_offsets(model: type[Model], path: str) -> list[str]:
    """The distinct stored offsets, one index look-up each."""
    _, model, name = owner_of(model, path)
    found: list[str] = []
    rows = model._default_manager.order_by(name).values_list(name, flat=True)
    while (
        offset := rows.filter(**{f"{name}__gt": found[-1] if found else ""}).first()
    ) is not None:
        found.append(offset)
    return found


def _range(path: str, between: Between | None) -> Q:
    if between is None:
        return Q()
    lower = Q(**{f"{path}__gte": between.low}) if between.low else Q(**{f"{path}__gt": ""})
    return lower & Q(**{f"{path}__lte": between.high}) if between.high else lower


def time_range(path: str, between: Between | None) -> Q:
    """The rows whose time lies between; it stands there as it was sent: `08`, `080000.000`."""
    if between is None:
        return Q()
    lower = _from_time(path, between.low) if between.low else Q(**{f"{path}__gt": ""})
    return lower & _until_time(path, between.high) if between.high else lower


def _from_time(path: str, low: str) -> Q:
    return Q(**{f"{path}__gte": _earliest_text(low)})


def _until_time(path: str, high: str) -> Q:
    return Q(**{f"{path}__lte": _latest_text(high)})


def _earliest_text(time: str) -> str:
    """The first in text order of all that a normalised time is written as: `08` for `080000`."""
    while len(time) > 2 and time.endswith("00"):  # noqa: PLR2004 the hours stay
        time = time[:-2]
    return time


def _latest_text(time: str) -> str:
    """The last in text order of all that a normalised time is written as: `080000.000000`."""
    if not time:
        return ""
    seconds, _, fraction = time.partition(".")
    return f"{seconds}.{fraction:0<6}"


def _condition(date: str, time: str, asked: Moment, by: int) -> Q:
    if by:
        return _shifted(date, time, asked, by)
    if not asked.combined:
        return _range(date, asked.dates) & time_range(time, asked.times)
    dates, times = asked.dates, asked.times
    assert dates is not None
    assert times is not None
    return _interval(date, time, (dates.low, times.low), (dates.high, times.high))


def _interval(date: str, time: str, low: tuple[str, str], high: tuple[str, str]) -> Q:
    """From one moment to another, both included; an empty date is an open end.

    The plain range on the date is implied; it is there for the index.
    """
    condition = Q(**{f"{date}__gt": ""})
    if low[0]:
        later = Q(**{f"{date}__gt": low[0]}) | _from_time(time, low[1])
        condition = Q(**{f"{date}__gte": low[0]}) & later
    if high[0]:
        earlier = Q(**{f"{date}__lt": high[0]}) | (
            _until_time(time, high[1]) & Q(**{f"{time}__gt": ""})
        )
        condition &= Q(**{f"{date}__lte": high[0]}) & earlier
    return condition


def _shifted(date: str, time: str, asked: Moment, by: int) -> Q:
    """Stored `by` minutes east of the query. Rows without a time keep their day."""
    dates, times = asked.dates, asked.times
    if asked.combined:
        assert dates is not None
        assert times is not None
        low = shift(dates.low, times.low, by) if dates.low else ("", "")
        high = shift(dates.high, times.high, by) if dates.high else ("", "")
        with_time = _interval(date, time, low, high) & Q(**{f"{time}__gt": ""})
        return with_time | (Q(**{time: ""}) & _condition(date, time, asked, 0))
    with_time = Q(**{f"{time}__gt": ""}) & _window(time, times, by)
    if dates is not None:
        low = shift(dates.low, _MIDNIGHT, by) if dates.low else ("", "")
        high = shift(dates.high, _LAST_TIME, by) if dates.high else ("", "")
        with_time &= _interval(date, time, low, high)
    if times is not None:
        return with_time
    return with_time | (Q(**{time: ""}) & _range(date, dates))


def _window(time: str, times: Between | None, by: int) -> Q:
    """A window of the day, shifted; it may run over midnight."""
    if times is None:
        return Q()
    _, low = shift("", times.low or _MIDNIGHT, by)
    _, high = shift("", times.high or _LAST_TIME, by)
    after, before = _from_time(time, low), _until_time(time, high)
    return after & before if low <= high else after | before
