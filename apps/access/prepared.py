"""Questions that are asked with every request, compiled once and asked with other values.

Django's ORM builds an SQL text in some 300 microseconds, which the database answers in 20. What
decides about a request has to be asked afresh each time, so here the text is kept, never an answer.
It goes to the driver itself: Django's cursor costs four times what such a question costs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet


class _Here(threading.local):
    """This thread's connection: Django's own look-up costs as much as a question."""

    database: BaseDatabaseWrapper | None = None


_here = _Here()


def _database() -> BaseDatabaseWrapper:
    if _here.database is None:
        _here.database = connections[DEFAULT_DB_ALIAS]
    return _here.database


class Prepared:
    """A `values_list()` query set whose `marks` stand where values come later.

    Rows come as the driver gives them: plain texts and numbers, binary columns as bytes-like.
    """

    def __init__(self, rows: QuerySet[Any, Any], marks: Sequence[str | int | datetime]) -> None:
        self._rows = rows
        self._marks = marks
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, *values: object) -> list[tuple[Any, ...]]:
        """What the database answers now, with the values in the order of the marks.

        A moment is given as `adapted` makes it. Raises what Django's cursor raises.
        """
        database = _here.database or _database()
        return _rows(database, *self._question(database, values))

    def question(self, *values: object) -> tuple[str, tuple[Any, ...]]:
        """The text as this database's driver wants it, and its parameters: to be a part of more."""
        return self._question(_here.database or _database(), values)

    def _question(
        self, database: BaseDatabaseWrapper, values: tuple[object, ...]
    ) -> tuple[str, tuple[Any, ...]]:
        compiled = self._compiled.get(database.vendor)
        if compiled is None:
            compiled = self._compiled[database.vendor] = _compile(self._rows, self._marks)
        return compiled.sql, compiled.parameters(values)


def rows_of(sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
    """What the database answers to a text that `for_driver` made. Raises what Django's cursor does.

    Rows come as the driver gives them, see `Prepared`.
    """
    return _rows(_database(), sql, parameters)


def _rows(
    database: BaseDatabaseWrapper, sql: str, parameters: Sequence[object]
) -> list[tuple[Any, ...]]:
    if database.connection is None:
        database.ensure_connection()
    try:
        found: list[tuple[Any, ...]] = database.connection.execute(sql, parameters).fetchall()
    except Exception:
        with database.wrap_database_errors:
            raise
    return found


def for_driver(sql: str, kind: str) -> str:
    """Django's text, without a literal per cent sign, as this kind of database's driver has it."""
    assert "%%" not in sql, "a literal per cent sign is written differently per driver"
    return sql.replace("%s", "?") if kind == "sqlite" else sql


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The text as the driver wants it, and what goes with it."""

    sql: str
    number: int
    """Of the values that are given with each question."""
    fixed: tuple[Any, ...]
    """Those that are the same each time."""
    pick: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    """Picks the parameters, in the text's order, from the given and the fixed values."""

    def parameters(self, values: tuple[object, ...]) -> tuple[Any, ...]:
        if len(values) != self.number:
            raise ValueError(f"{self.number} values belong to this question, not {len(values)}")
        return self.pick(values + self.fixed)


def _compile(rows: QuerySet[Any, Any], marks: Sequence[str | int | datetime]) -> _Compiled:
    sql, found = rows.query.sql_with_params()
    sql = for_driver(sql, connection.vendor)
    wanted = [adapted(mark) if isinstance(mark, datetime) else mark for mark in marks]
    assert all(mark in found for mark in wanted), "a mark is not among the query's parameters"
    fixed = tuple(value for value in found if value not in wanted)
    rest = iter(range(len(wanted), len(wanted) + len(fixed)))
    order = [wanted.index(value) if value in wanted else next(rest) for value in found]
    return _Compiled(sql, len(wanted), fixed, _picker(order))


def _picker(order: list[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """`itemgetter`, which makes a tuple of two items and more only."""
    if len(order) > 1:
        return itemgetter(*order)
    return lambda values: tuple(values[at] for at in order)


def vendor() -> str:
    """Django's name of the kind of database."""
    return _database().vendor


def adapted(moment: datetime) -> object:
    """The moment as this database has it in its columns."""
    return connection.ops.adapt_datetimefield_value(moment)
