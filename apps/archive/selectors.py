"""Questions to the archive. Every one demands a principal and answers within its scope."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from typing import Any, Final

from django.db.models import Q, QuerySet

from apps.access.principals import Permission, Principal, permit
from apps.archive.by_uid import rows_by_uid
from apps.archive.entities import ENTITY_MAPS
from apps.archive.models import Instance, Series, Study
from apps.archive.private_keys import PrivatePart, private_part
from apps.archive.selected import Match
from apps.archive.stored_documents import documents_of
from apps.dicom.attributes import BY_KEYWORD, TIME_OF, Attribute, Entity
from apps.dicom.query import Key, Level, Plan, Query, plan
from apps.dicom.stored_keys import Node, answer, key_tree
from apps.dicom.values import offset_minutes, shift
from apps.errors import NotFound, OutOfResources
from apps.indexing.compiler import EntityMap, Rows, narrowed, ordered, scans

# More objects than this are not read for one query by keys without an index.
MOST_CANDIDATES: Final = 10_000
_CHUNK = 500
_FEW = 2_000
# SQLite takes 32,766 parameters; a page that long is a stream and no page.
_LONGEST_PAGE = 5_000
_TIMEZONE = 0x00080201


@dataclass(frozen=True, slots=True)
class SearchPage:
    """The answers to a query, from a streaming cursor: iterate once.

    `unsupported` keys were ignored in matching; a door has to admit it (C-FIND: FF01).
    """

    matches: Iterator[Match]
    unsupported: tuple[Key, ...]

    def __iter__(self) -> Iterator[Match]:
        return self.matches


def scope_of(principal: Principal, path: str = "") -> Q:  # noqa: ARG001 - see below
    """What of the archive this principal may know of, as a condition on the study at `path`.

    The one place where visibility will be narrowed: every selector already says by `path` where
    its rows have their study. Today who may view images may view all. Only the principal's own
    fields may decide: compiled queries are kept as long as the principal is the same.
    """
    permit(principal, Permission.VIEW_IMAGES)
    return Q()


def search(
    query: Query, principal: Principal, stopped: Callable[[], bool] = lambda: False
) -> SearchPage:
    """The rows that match, in a total order: by `query.ordering`, else the level's natural one.

    `stopped` is asked now and then while rows are read that may not match; True ends the answers.

    Raises InvalidRequest with the offending tags, NotPermitted, and OutOfResources where keys
    without an index leave too many candidates to read.
    """
    query, private = private_part(query)
    asked = plan(query)
    tree = key_tree(asked.stored, asked.offset)
    entities = ENTITY_MAPS[query.level]
    if not tree and not private.keys:
        found = rows_by_uid(asked, query, principal, _in_scope(asked, entities, principal))
        if found is not None:
            return SearchPage(_matches(found, asked, entities), asked.unsupported)
    rows = ordered(_rows(asked, entities, principal, private), query.ordering, entities)
    end = None if query.limit is None else query.offset + query.limit
    if _narrows(tree):
        _refuse_too_many(rows)
        candidates = takewhile(lambda _: not stopped(), _read(rows, asked, entities))
        page = islice(_with_stored(candidates, tree), query.offset, end)
        return SearchPage(private.answered(page, rows), asked.unsupported)
    if query.limit is not None and query.limit <= _LONGEST_PAGE:
        keys = _keys(rows, scans(asked.criteria, entities), query.offset, end)
        rows = entities.model._default_manager.filter(pk__in=keys)
        rows = ordered(rows, query.ordering, entities)
    elif query.offset or end is not None:
        rows = rows[query.offset : end]
    matches = _read(rows, asked, entities)
    matches = _with_stored(matches, tree) if tree else matches
    return SearchPage(private.answered(matches, rows), asked.unsupported)


def instances_matching(query: Query, principal: Principal) -> QuerySet[Instance]:
    """The instances whose indexed attributes match, in series and instance order.

    `query` is at instance level and holds no keys but indexed ones. Raises as `search` does.
    """
    asked = plan(query)
    assert query.level is Level.INSTANCE
    assert not asked.stored
    rows: QuerySet[Instance] = _rows(
        asked, ENTITY_MAPS[query.level], principal, PrivatePart(query.level)
    )
    return rows.order_by("study_id", "series__series_number", "series_id", "instance_number", "pk")


def count(query: Query, principal: Principal) -> int:
    """How many match in all, without regard to `limit` and `offset`. Raises as `search` does."""
    query, private = private_part(query)
    asked = plan(query)
    tree = key_tree(asked.stored, asked.offset)
    entities = ENTITY_MAPS[query.level]
    rows = _rows(asked, entities, principal, private)
    if not _narrows(tree):
        return rows.count()
    _refuse_too_many(rows)
    return sum(1 for _ in _with_stored(_read(rows, asked, entities), tree))


def _rows(asked: Plan, entities: EntityMap, principal: Principal, private: PrivatePart) -> Rows:
    rows = _in_scope(asked, entities, principal)
    return private.narrow(narrowed(rows, asked.criteria, entities))


def _in_scope(asked: Plan, entities: EntityMap, principal: Principal) -> Rows:
    path = entities.paths.get(Entity.STUDY, "studies__")
    rows = entities.model._default_manager.filter(scope_of(principal, path))
    if asked.level is Level.PATIENT:
        # Who has no study is no answer: that is what a merge leaves of its source.
        rows = rows.filter(number_of_patient_related_studies__gt=0)
    return rows


def _keys(rows: Rows, scanning: bool, offset: int, end: int | None) -> list[int]:
    """The keys of a page: read from the index, however deep the page.

    Where no index finds the rows, they are first looked for in any order: if that finds few, they
    are all there is to sort; if many, those in order are met soon.
    """
    if scanning:
        few = list(rows.order_by().values_list("pk", flat=True)[: _FEW + 1])
        if len(few) <= _FEW:
            rows = rows.model._default_manager.filter(pk__in=few).order_by(*rows.query.order_by)
    return list(rows.values_list("pk", flat=True)[offset:end])


def _narrows(tree: Mapping[int, Node]) -> bool:
    return any(node.narrows for node in tree.values())


def _refuse_too_many(rows: Rows) -> None:
    if rows.order_by()[: MOST_CANDIDATES + 1].count() > MOST_CANDIDATES:
        raise OutOfResources(
            f"A key that is not indexed would have to be looked for in more than "
            f"{MOST_CANDIDATES} objects. Narrow the search by other keys."
        )


def _read(rows: Rows, asked: Plan, entities: EntityMap) -> Iterator[Match]:
    paths = [entities.path(attribute) for attribute in asked.answered]
    extra = [entities.offset] if entities.offset else []
    columns = rows.values_list("pk", *paths, *extra)
    return _matches(columns.iterator(chunk_size=_CHUNK), asked, entities)


def _matches(rows: Iterable[tuple[Any, ...]], asked: Plan, entities: EntityMap) -> Iterator[Match]:
    """Of rows with the key, the answered columns and, where there is one, the offset."""
    tags = [attribute.tag for attribute in asked.answered]
    for pk, *found in rows:
        offset = found.pop() if entities.offset else ""
        values = {
            tag: "" if value is None else str(value) for tag, value in zip(tags, found, strict=True)
        }
        if asked.offset:
            _rebase(values, offset, asked.offset)
            offset = asked.offset
        if offset:
            values[_TIMEZONE] = offset
        yield Match(asked.level, pk, values, {})


def _with_stored(matches: Iterator[Match], tree: Mapping[int, Node]) -> Iterator[Match]:
    """Of `matches` those whose stored attributes match too, with what was asked of them."""
    while chunk := list(islice(matches, _CHUNK)):
        documents = documents_of(chunk[0].level, (match.pk for match in chunk))
        for match in chunk:
            zone = match.values.get(_TIMEZONE, "")
            items = answer(documents.get(match.pk, {}), tree, zone)
            if items is not None:
                found = {int(tag, 16): element for tag, element in items.items()}
                yield replace(match, items=found)


def _rebase(values: dict[int, str], stored: str, wanted: str) -> None:
    """Dates and times of an answer in the zone the query was asked in (PS3.4 C.2.2.2.5)."""
    there, here = offset_minutes(stored), offset_minutes(wanted)
    if there is None or here is None or there == here:
        return
    for date, time in _MOMENTS:
        day, moved = shift(values.get(date.tag, ""), values.get(time.tag, ""), here - there)
        if date.tag in values:
            values[date.tag] = day
        if time.tag in values:
            values[time.tag] = moved


_MOMENTS: tuple[tuple[Attribute, Attribute], ...] = tuple(
    (BY_KEYWORD[date], BY_KEYWORD[time]) for date, time in TIME_OF.items()
)


def study_of(study_uid: str, principal: Principal) -> Study:
    """The study; raises NotFound, also for what the principal may not know of."""
    try:
        return Study.objects.filter(scope_of(principal)).get(study_instance_uid=study_uid)
    except Study.DoesNotExist:
        raise NotFound("There is no such study here.") from None


def series_of(study_uid: str, series_uid: str, principal: Principal) -> Series:
    """The series, if it is in that study; raises NotFound."""
    try:
        return (
            Series.objects.filter(scope_of(principal, "study__"))
            .select_related("study")
            .get(series_instance_uid=series_uid, study__study_instance_uid=study_uid)
        )
    except Series.DoesNotExist:
        raise NotFound("There is no such series in this study.") from None


def instance_of(study_uid: str, series_uid: str, sop_uid: str, principal: Principal) -> Instance:
    """The instance, if it is in that series of that study; raises NotFound."""
    try:
        return (
            Instance.objects.filter(scope_of(principal, "study__"))
            .select_related("study", "series")
            .get(
                sop_instance_uid=sop_uid,
                series__series_instance_uid=series_uid,
                study__study_instance_uid=study_uid,
            )
        )
    except Instance.DoesNotExist:
        raise NotFound("There is no such instance in this series.") from None


def instances_of(
    principal: Principal,
    study_uid: str,
    series_uid: str | None = None,
    sop_uid: str | None = None,
) -> QuerySet[Instance]:
    """Instances of a study, series or single instance, in series and instance order.

    Empty where there are none: ask `study_of` or `series_of` to tell that from a wrong UID.
    """
    rows = Instance.objects.filter(
        scope_of(principal, "study__"), study__study_instance_uid=study_uid
    )
    if series_uid is not None:
        rows = rows.filter(series__series_instance_uid=series_uid)
    if sop_uid is not None:
        rows = rows.filter(sop_instance_uid=sop_uid)
    return rows.order_by("series__series_number", "series_id", "instance_number", "pk")
