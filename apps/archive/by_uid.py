"""Searches by UIDs alone, whose questions are compiled once: the ones that viewers ask.

The ORM takes four times as long to build such a question as the database takes to answer it.
Everything else, and whatever the driver gives otherwise than the ORM, goes through the ORM.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connection

from apps.access.prepared import Prepared
from apps.access.principals import Principal
from apps.archive.entities import ENTITY_MAPS
from apps.dicom.attributes import UNIQUE_KEYS
from apps.dicom.criteria import Uids
from apps.dicom.query import Level, Plan, Query
from apps.indexing.compiler import Rows, narrowed, ordered

# What stands for the UIDs in the compiled query, in the order of the criteria.
_MARKS: Final = ("0.0.1", "0.0.2", "0.0.3")
_UNIQUE: Final = frozenset(UNIQUE_KEYS.values())
# So many rows are held at once. A study has as many series as it has; its instances are many.
_LONGEST: Final = 500
_FEW: Final = frozenset({Level.STUDY, Level.SERIES})


def rows_by_uid(
    asked: Plan, query: Query, principal: Principal, scope: Rows
) -> list[tuple[Any, ...]] | None:
    """The key, the answered columns and the offset of what matches; None for other searches.

    `scope` are the rows that the principal may know of. Rows are in natural order.
    """
    uids = _uids(asked)
    few = asked.level in _FEW or (query.limit is not None and query.limit <= _LONGEST)
    if not uids or not few or query.limit == 0 or query.offset or query.ordering:
        return None
    shape = _Shape(principal, asked, query.limit, scope)
    question = _compiled(shape)
    return None if question is None else question.rows(*uids)


def _uids(asked: Plan) -> list[str]:
    """One UID for each criterion, or nothing where another kind of key narrows."""
    entities = ENTITY_MAPS[asked.level]
    found = []
    for attribute, criterion in asked.criteria:
        if attribute.keyword not in _UNIQUE or attribute.entity not in entities.paths:
            return []
        if not isinstance(criterion, Uids) or len(criterion.uids) != 1:
            return []
        found.append(criterion.uids[0])
    return found


class _Shape:
    """What a question is compiled for: all but the UIDs. `scope` follows from the principal."""

    def __init__(self, principal: Principal, asked: Plan, limit: int | None, scope: Rows) -> None:
        self.level, self.limit, self.scope = asked.level, limit, scope
        self.narrowing = tuple(attribute for attribute, _ in asked.criteria)
        self.answered = asked.answered
        self._key = (principal, self.level, limit, self.narrowing, self.answered, connection.vendor)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shape) and self._key == other._key


@lru_cache(maxsize=256)
def _compiled(shape: _Shape) -> Prepared | None:
    entities = ENTITY_MAPS[shape.level]
    marks = _MARKS[: len(shape.narrowing)]
    criteria = [(each, Uids((mark,))) for each, mark in zip(shape.narrowing, marks, strict=True)]
    rows = ordered(narrowed(shape.scope, criteria, entities), (), entities)
    paths = [entities.path(attribute) for attribute in shape.answered]
    extra = [entities.offset] if entities.offset else []
    columns = rows.values_list("pk", *paths, *extra)[: shape.limit]
    return None if _is_converted(columns) else Prepared(columns, marks)


def _is_converted(rows: Rows) -> bool:
    """Whether the ORM would make other values of some column than the driver gives."""
    compiler = rows.query.get_compiler(DEFAULT_DB_ALIAS)
    compiler.pre_sql_setup()
    return bool(compiler.get_converters([column for column, *_ in compiler.select]))
