"""Query + entity map -> QuerySet, for every set of tables that answers DICOM queries.

`apps.dicom.matching` says the same in plain Python; property tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import F, Model, OrderBy, Q, QuerySet

from apps.dicom.attributes import BY_KEYWORD, Attribute, Entity, Matching, snake
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
)
from apps.dicom.query import Ordering
from apps.dicom.values import INTEGER_VRS
from apps.errors import InvalidRequest
from apps.indexing.moments import moment_condition, time_range
from apps.indexing.paths import owner_of

Rows = QuerySet[Any, Any]
Criteria = Iterable[tuple[Attribute, Criterion]]
_GROUPS = ("alphabetic", "ideographic", "phonetic")
_HIGHEST = 0x10FFFF
_EMPTY_VALUES = tuple("\\" * values for values in range(9))
"""Several values, none of which is one."""
_SURROGATES = range(0xD800, 0xE000)


@dataclass(frozen=True, slots=True)
class EntityMap:
    """Where the attributes of each entity are, seen from the rows that answer.

    `paths` gives the ORM prefix of each entity that a row reaches: `""` its own columns,
    `"study__"` those of the joined study. `named` overrides single attributes. `below` tells how
    to look for rows of entities further down. `offset` is the column of TimezoneOffsetFromUTC.
    `ordering` is the natural order, in which an index exists. `sounds` finds rows by words that
    are alike to those of a name.
    """

    model: type[Model]
    paths: Mapping[Entity, str]
    ordering: tuple[str, ...]
    offset: str
    named: Mapping[str, str] = field(default_factory=dict)
    below: Mapping[Entity, Descent] = field(default_factory=dict)
    sounds: Callable[[Attribute, tuple[str, ...]], Q] | None = None

    def path(self, attribute: Attribute) -> str:
        """The ORM path of the attribute's column."""
        named = self.named.get(attribute.keyword)
        return named or f"{self.paths[attribute.entity]}{snake(attribute.keyword)}"


@dataclass(frozen=True, slots=True)
class Descent:
    """The rows of an entity below, and their field that leads up to the row that answers."""

    rows: EntityMap
    link: str


def narrowed(rows: Rows, criteria: Criteria, entities: EntityMap) -> Rows:
    """`rows` that meet all criteria; those on entities below ask for one row that meets them all.

    Every value reaches the database as a parameter.
    """
    own: list[Q] = []
    below: list[tuple[Attribute, Criterion]] = []
    for attribute, criterion in criteria:
        if attribute.entity in entities.paths or attribute.keyword in entities.named:
            own.append(_condition(attribute, criterion, entities))
        else:
            below.append((attribute, criterion))
    if own:
        rows = rows.filter(reduce(and_, own))
    if below:
        rows = rows.filter(_has_below(below, entities))
    return rows


def scans(criteria: Criteria, entities: EntityMap) -> bool:
    """True where no index finds the rows: a leading wild card, or one of several values."""
    return any(_scans(attribute, criterion, entities) for attribute, criterion in criteria)


def _scans(attribute: Attribute, criterion: Criterion, entities: EntityMap) -> bool:
    if attribute.entity not in entities.paths:
        return False
    if attribute.multiple:
        return True
    match criterion:
        case Text(patterns):
            return any(pattern[0] in "*?" for pattern in patterns)
        case Every(parts):
            return any(_scans(attribute, part, entities) for part in parts)
        case Names(names):
            groups = (group for name in names for group in name.groups)
            return any(pattern[0] in "*?" for group in groups for pattern in group)
        case _:
            return False


def _has_below(criteria: list[tuple[Attribute, Criterion]], entities: EntityMap) -> Q:
    """By the keys of the rows below: a correlated EXISTS would make SQLite ask row by row."""
    order = list(Entity)
    deepest = max((attribute.entity for attribute, _ in criteria), key=order.index)
    descent = entities.below[deepest]
    inner = narrowed(descent.rows.model._default_manager.all(), criteria, descent.rows)
    return Q(pk__in=inner.order_by().values(descent.link))


def _condition(attribute: Attribute, criterion: Criterion, entities: EntityMap) -> Q:
    if isinstance(criterion, Empty):
        return without_value(attribute, entities.path(attribute))
    parts = criterion.parts if isinstance(criterion, Every) else (criterion,)
    return reduce(and_, (_met_by_one(attribute, part, entities) for part in parts))


def _met_by_one(attribute: Attribute, criterion: Criterion, entities: EntityMap) -> Q:
    path = entities.path(attribute)
    match criterion:
        case Text(patterns):
            return _text(path, patterns, several=attribute.multiple)
        case Uids(values) | Numbers(values):
            return _one_of(path, values, several=attribute.multiple)
        case Between(low, high):
            times = attribute.vr == "TM"
            return time_range(path, criterion) if times else between(path, low, high)
        case Names(names, words):
            return _names(attribute, names, words, entities)
        case Moment(time=time):
            model, offset = entities.model, entities.offset
            return moment_condition(model, path, entities.path(time), offset, criterion)
        case _:
            return Q()


def without_value(attribute: Attribute, path: str) -> Q:
    """Rows in whose column the attribute has no value."""
    if attribute.matching is Matching.COUNT or attribute.vr in INTEGER_VRS:
        return Q(**{f"{path}__isnull": True})
    if attribute.multiple:
        return Q(**{f"{path}__in": _EMPTY_VALUES})
    return Q(**{path: ""})


def _names(
    attribute: Attribute, names: tuple[Name, ...], words: tuple[str, ...], entities: EntityMap
) -> Q:
    """Literally, or by the sound of all words; without wild cards the second says it all."""
    path, model, several = entities.path(attribute), entities.model, attribute.multiple
    fuzzy = entities.sounds(attribute, words) if words and entities.sounds else None
    patterns = (each for name in names for group in name.groups for each in group)
    if fuzzy is not None and not any(letter in each for each in patterns for letter in "*?"):
        return fuzzy
    literal = reduce(or_, (_name(model, path, name, several=several) for name in names))
    return literal if fuzzy is None else literal | fuzzy


def between(path: str, low: str, high: str) -> Q:
    """Text from low to high, both included; `""` is an open end and never a value."""
    if low == high:
        return Q(**{path: low})
    lower = Q(**{f"{path}__gte": low}) if low else Q(**{f"{path}__gt": ""})
    return lower & Q(**{f"{path}__lte": high}) if high else lower


def _one_of(path: str, values: tuple[str, ...] | tuple[int, ...], *, several: bool) -> Q:
    if several:
        return reduce(or_, (Q(**{f"{path}__any_value": value}) for value in values))
    return Q(**{f"{path}__in": values}) if len(values) > 1 else Q(**{path: values[0]})


def _text(path: str, patterns: tuple[str, ...], *, several: bool) -> Q:
    return reduce(or_, (_pattern(path, pattern, several=several) for pattern in patterns))


def _pattern(path: str, pattern: str, *, several: bool) -> Q:
    """One pattern, by the cheapest means: equality, a range of text, and only then a scan."""
    wild = min((place for place in map(pattern.find, "*?") if place >= 0), default=-1)
    if several:
        lookup = "any_value" if wild < 0 else "any_wild"
        return Q(**{f"{path}__{lookup}": pattern})
    if wild < 0:
        return Q(**{path: pattern})
    if pattern[wild:] == "*":
        return prefix(path, pattern[:wild])
    # A pattern that is more than one star asks for a character, so it never matches empty text.
    exactly = Q(**{f"{path}__wild": pattern})
    return prefix(path, pattern[:wild]) & exactly if wild else exactly


def prefix(path: str, start: str) -> Q:
    """Text that begins with `start`, as a range an index can answer; any text if it is empty."""
    if not start:
        return Q(**{f"{path}__gt": ""})
    end = _after(start)
    condition = Q(**{f"{path}__gte": start})
    return condition & Q(**{f"{path}__lt": end}) if end else condition


def _after(start: str) -> str:
    """The first text behind all that begin with `start`, by code point; `""` if there is none."""
    kept = start.rstrip(chr(_HIGHEST))
    if not kept:
        return ""
    following = ord(kept[-1]) + 1
    if following in _SURROGATES:
        following = _SURROGATES.stop
    return kept[:-1] + chr(following)


def _name(model: type[Model], path: str, name: Name, *, several: bool) -> Q:
    columns = [f"{path}_{group}" for group in _GROUPS]
    if not name.anywhere:
        asked = zip(columns, name.groups, strict=True)
        return reduce(and_, (_text(each, group, several=several) for each, group in asked if group))
    patterns = name.groups[0]
    if several or any(pattern[0] in "*?" for pattern in patterns):
        return reduce(or_, (_text(each, patterns, several=several) for each in columns))
    # One look-up for each group and not an OR: two of them are mostly empty, and by the look of
    # their statistics a planner without histograms would rather read the whole table.
    row, owner, _ = owner_of(model, path)
    looked_up = (
        owner._default_manager.filter(_text(each.rpartition("__")[2], patterns, several=False))
        .order_by()
        .values("pk")
        for each in columns
    )
    first, *others = looked_up
    return Q(**{f"{row}__in": first.union(*others)})


def ordered(rows: Rows, ordering: tuple[Ordering, ...], entities: EntityMap) -> Rows:
    """Rows in a total order: as asked, or the natural one; the key decides between equals."""
    if not ordering:
        return rows.order_by(*entities.ordering)
    by: list[OrderBy] = []
    for each in ordering:
        attribute = BY_KEYWORD.get(each.keyword)
        if attribute is None or attribute.entity not in entities.paths:
            raise InvalidRequest(f"Results cannot be sorted by {each.keyword}.")
        path = entities.path(attribute)
        if attribute.vr == "PN":
            path = f"{path}_alphabetic"
        by.append(OrderBy(F(path), descending=each.descending))
    return rows.order_by(*by, OrderBy(F("pk"), descending=ordering[0].descending))
