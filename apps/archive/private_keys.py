"""Keys of a query that are private and indexed: taken out of it, narrowing and answering apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from apps.archive.models import PrivateAttribute, PrivateValue
from apps.archive.private_values import names_it, searchable_attributes
from apps.archive.selected import Match
from apps.dicom.attributes import Entity, Matching
from apps.dicom.criteria import Criterion, Empty, Every, Universal, criterion_of
from apps.dicom.query import Key, Level, Query
from apps.dicom.stored_keys import PrivateAttribute as PrivateTag
from apps.dicom.values import DECIMAL_VRS, INTEGER_VRS
from apps.errors import InvalidRequest
from apps.indexing.compiler import EntityMap, Rows, narrowed

_CHUNK: Final = 500
_MOST_VALUES: Final = 1_000
_UNNAMED: Final = frozenset({"", "?"})
_OWNERS: Final = {Level.STUDY: "study", Level.SERIES: "series", Level.INSTANCE: "instance"}
_DOWNWARDS: Final = (Level.STUDY, Level.SERIES, Level.INSTANCE)


@dataclass(frozen=True)
class _Tag(PrivateTag):
    """The attribute as a key: its VR is what the administrator says it is."""

    indexed_vr: str = "LO"

    @property
    def vr(self) -> str:
        return self.indexed_vr

    @property
    def multiple(self) -> bool:
        """Each value is a row."""
        return False


@dataclass(frozen=True, slots=True)
class IndexedKey:
    """A private key, or a field to include, that an indexed attribute answers."""

    tag: int
    attribute: PrivateAttribute
    criterion: Criterion

    @property
    def level(self) -> Level:
        """Of what the attribute tells."""
        return Level(self.attribute.level)

    @property
    def owner(self) -> str:
        """The column of a value that names what it tells of."""
        return _OWNERS[self.level]

    @property
    def creator_tag(self) -> int:
        """Where the block that was asked for is reserved."""
        return self.tag & 0xFFFF0000 | self.tag >> 8 & 0xFF


@dataclass(frozen=True, slots=True)
class PrivatePart:
    """The indexed private keys of a query at `level`."""

    level: Level
    keys: tuple[IndexedKey, ...] = ()

    def narrow(self, rows: Rows) -> Rows:
        """`rows` of the level that have a value which each key matches."""
        for key in self.keys:
            link = "pk" if key.level is self.level else f"{key.owner}_id"
            match key.criterion:
                case Universal():
                    continue
                case Empty():
                    rows = rows.exclude(**{f"{link}__in": _with_value(key, Universal())})
                case Every(parts):
                    for part in parts:
                        rows = rows.filter(**{f"{link}__in": _with_value(key, part)})
                case criterion:
                    rows = rows.filter(**{f"{link}__in": _with_value(key, criterion)})
        return rows

    def answered(self, matches: Iterator[Match], rows: Rows) -> Iterator[Match]:
        """`matches` with what was asked for; a constant number of queries for each chunk."""
        if not self.keys:
            yield from matches
            return
        while chunk := list(islice(matches, _CHUNK)):
            items = self._items([match.pk for match in chunk], rows)
            for match in chunk:
                yield replace(match, items={**match.items, **items[match.pk]})

    def _items(self, pks: Sequence[int], rows: Rows) -> dict[int, dict[int, dict[str, Any]]]:
        found: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
        for key in self.keys:
            owners = self._owners(pks, key, rows)
            values = _values_of(key, set(owners.values()))
            for pk, owner in owners.items():
                found[pk][key.creator_tag] = {"vr": "LO", "Value": [key.attribute.creator]}
                found[pk][key.tag] = _element(key.attribute.vr, values.get(owner, []))
        return found

    def _owners(self, pks: Sequence[int], key: IndexedKey, rows: Rows) -> dict[int, int]:
        if key.level is self.level:
            return {pk: pk for pk in pks}
        table = rows.model._default_manager.filter(pk__in=pks)
        return dict(table.values_list("pk", f"{key.owner}_id"))


def _with_value(key: IndexedKey, criterion: Criterion) -> Rows:
    """Keys of those that have a value which meets the criterion; each value is a row."""
    values: Rows = PrivateValue.objects.filter(attribute=key.attribute)
    tag = _tag(key.tag, key.attribute)
    table = EntityMap(
        PrivateValue, {Entity.INSTANCE: ""}, ("pk",), "", named={tag.keyword: "value"}
    )
    owner = f"{key.owner}_id"
    found = narrowed(values, [(tag, criterion)], table)
    return found.filter(**{f"{owner}__isnull": False}).order_by().values(owner)


def _values_of(key: IndexedKey, owners: set[int]) -> dict[int, list[str]]:
    rows = PrivateValue.objects.filter(
        attribute=key.attribute, **{f"{key.owner}_id__in": owners}
    ).order_by(f"{key.owner}_id", "value")
    found: dict[int, list[str]] = defaultdict(list)
    for owner, value in rows.values_list(f"{key.owner}_id", "value").distinct():
        if len(found[owner]) < _MOST_VALUES:
            found[owner].append(value)
    return found


def _element(vr: str, values: Sequence[str]) -> dict[str, Any]:
    return {"vr": vr, "Value": [_value(vr, each) for each in values]} if values else {"vr": vr}


def _value(vr: str, text: str) -> Any:
    try:
        if vr in INTEGER_VRS:
            return int(text)
        return float(text) if vr in DECIMAL_VRS else text
    except ValueError:
        return text


def _tag(tag: int, attribute: PrivateAttribute) -> _Tag:
    return _Tag(f"{tag:08X}", Entity.INSTANCE, Matching.WILDCARD, "", "", indexed_vr=attribute.vr)


def private_part(query: Query) -> tuple[Query, PrivatePart]:
    """The query without the keys that indexed private attributes answer, and those.

    Reads nothing where the query names no private attribute. Raises InvalidRequest where a tag
    without its creator may mean several.
    """
    private = [key for key in query.keys if _is_private(key.path)]
    included = [tag for tag in sorted(query.include) if _is_private((tag,))]
    if query.level not in _OWNERS or not (private or included or query.include_all):
        return query, PrivatePart(query.level)
    reached = _DOWNWARDS[: _DOWNWARDS.index(query.level) + 1]
    known = [each for each in searchable_attributes() if Level(each.level) in reached]
    found: dict[int, IndexedKey] = {}
    for key in private:
        attribute = _meant(key, known)
        if attribute is not None:
            criterion = criterion_of(
                _tag(key.tag, attribute), key.values, empty=key.empty, every=key.every
            )
            found[key.tag] = IndexedKey(key.tag, attribute, criterion)
    for tag in included:
        attribute = _meant(Key((tag,), ()), known)
        if attribute is not None and tag not in found:
            found[tag] = IndexedKey(tag, attribute, Universal())
    if query.include_all:
        _include_all(found, known)
    left = tuple(key for key in query.keys if key not in private or key.tag not in found)
    return replace(query, keys=left), PrivatePart(query.level, tuple(found.values()))


def _is_private(path: Sequence[int]) -> bool:
    return len(path) == 1 and bool(path[0] & 0x10000) and path[0] & 0xFFFF >= 0x1000  # noqa: PLR2004 - the first element of a block


def _meant(key: Key, known: Sequence[PrivateAttribute]) -> PrivateAttribute | None:
    named = names_it(key.tag, known)
    if key.private_creator not in _UNNAMED:
        named = [each for each in named if each.creator.strip() == key.private_creator]
    if len(named) > 1:
        raise InvalidRequest(
            f"({key.tag:08X}) is used by several creators: name the one that is meant.",
            offending=(f"{key.tag:08X}",),
        )
    return named[0] if named else None


def _include_all(found: dict[int, IndexedKey], known: Sequence[PrivateAttribute]) -> None:
    """Each creator gets a block of its own, behind those that were asked for."""
    blocks = {(key.tag >> 16, key.attribute.creator): key.tag >> 8 & 0xFF for key in found.values()}
    answered = {key.attribute.pk for key in found.values()}
    for each in known:
        if each.pk in answered:
            continue
        group = int(each.group, 16)
        taken = {block for (of, _), block in blocks.items() if of == group}
        block = blocks.setdefault((group, each.creator), max(taken, default=0x0F) + 1)
        tag = group << 16 | block << 8 | int(each.element, 16)
        found.setdefault(tag, IndexedKey(tag, each, Universal()))
