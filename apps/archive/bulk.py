"""Many rows of one table in one statement: written, read by a key, or held and written back.

The indexer does this for every batch. Building such a statement through the ORM takes ten times as
long as the database takes to run it; here its text is made once and is the same for any number of
rows, so that neither database's limit on parameters cuts it into pieces.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models

from apps.access.prepared import for_driver, rows_of, vendor

_NUMBERS: Final = re.compile(r"[0-9.]*").fullmatch  # as nearly all UIDs are
_Row = TypeVar("_Row", bound=models.Model)
Converter = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Table:
    """The names of a model as one database writes them."""

    name: str
    columns: Mapping[str, str]  # by attribute name
    fields: Mapping[str, Any]
    converters: tuple[tuple[int, Converter], ...]  # by position among the fields


@cache
def _table(model: type[models.Model], vendor: str) -> _Table:
    # `vendor` only tells apart what is remembered: a process may meet both databases in tests.
    connection = connections[DEFAULT_DB_ALIAS]
    assert connection.vendor == vendor
    quote = connection.ops.quote_name
    name = quote(model._meta.db_table)
    fields: dict[str, Any] = {each.attname: each for each in model._meta.concrete_fields}
    columns = {attname: f"{name}.{quote(each.column)}" for attname, each in fields.items()}
    converters = [
        (position, convert)
        for position, each in enumerate(fields.values())
        if (convert := _converter(each, connection)) is not None
    ]
    return _Table(name, columns, fields, tuple(converters))


def _converter(of: Any, connection: Any) -> Converter | None:
    """What the database's own values of a column go through; None where they are as they are."""
    column = of.get_col(of.model._meta.db_table)
    steps = [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)]
    if not steps:
        return None

    def convert(value: Any) -> Any:
        for each in steps:
            value = each(value, column, connections[DEFAULT_DB_ALIAS])
        return value

    return convert


def _among(column: str, vendor: str) -> str:
    """A condition with one parameter, whatever the number of keys (see `_keys`)."""
    if vendor == "postgresql":
        return f"{column} = ANY(%s)"
    return f"{column} IN (SELECT value FROM json_each(%s))"  # noqa: S608 - names from the model


def _keys(keys: Collection[str], vendor: str) -> list[str] | str:
    ordered = sorted(keys)
    if vendor == "postgresql":
        return ordered
    if ordered and all(map(_NUMBERS, ordered)):
        return '["' + '","'.join(ordered) + '"]'  # as below, in a tenth of the time
    return json.dumps(ordered)


def select_rows(
    model: type[models.Model], by: str, keys: Collection[str], *columns: str
) -> list[tuple[Any, ...]]:
    """The columns of the rows whose text column `by` is one of the keys.

    A column is an attribute name of the model, or one behind a foreign key: `study__patient_id`.
    Only of types that both databases give out as they are: texts, numbers, bytes.
    """
    if not keys:
        return []
    connection = connections[DEFAULT_DB_ALIAS]
    vendor = connection.vendor
    with connection.cursor() as cursor:
        cursor.execute(_selection(model, by, columns, vendor), [_keys(keys, vendor)])
        return list(cursor.fetchall())


@dataclass(frozen=True, slots=True)
class Selection:
    """What `select_rows` is asked for, of one model, but for the keys."""

    model: type[models.Model]
    by: str
    columns: tuple[str, ...]


Question = tuple[str, tuple[Any, ...]]
"""What `Prepared.question` gives."""


def select_together(
    asked: Sequence[tuple[Selection, Collection[str]]], questions: Sequence[Question] = ()
) -> tuple[list[list[tuple[Any, ...]]], list[bool]]:
    """What `select_rows` gives for each of the selections, and which questions have any answer.

    In one statement: a database takes longer to begin one than to find a few rows.
    """
    kind = vendor()
    selections = tuple(selection for selection, _ in asked)
    found: list[list[tuple[Any, ...]]] = [[] for _ in asked]
    answered = [False] * len(questions)
    parameters: list[Any] = [_keys(keys, kind) for _, keys in asked]
    for _, values in questions:
        parameters += values
    texts = tuple(text for text, _ in questions)
    for number, *row in rows_of(_selections(selections, texts, kind), parameters):
        if number < len(found):
            found[number].append(tuple(row[: len(selections[number].columns)]))
        else:
            answered[number - len(found)] = True
    return found, answered


@cache
def _selections(selections: tuple[Selection, ...], questions: tuple[str, ...], vendor: str) -> str:
    """Each row with the number of its selection before it, and behind it what makes them as long.

    Columns that stand at one place must be of one type; NULL is of any. A question that has an
    answer gives one row of its number alone.
    """
    longest = max(len(each.columns) for each in selections)
    texts = []
    for number, each in enumerate(selections):
        text = _selection(each.model, each.by, each.columns, vendor).removeprefix("SELECT ")
        columns, source = text.split(" FROM ", 1)
        padding = ", NULL" * (longest - len(each.columns))
        texts.append(f"SELECT {number}, {columns}{padding} FROM {source}")  # noqa: S608 - as below
    of_all = [for_driver(text, vendor) for text in texts]
    for number, text in enumerate(questions, start=len(texts)):
        of_all.append(f"SELECT {number}{', NULL' * longest} WHERE EXISTS ({text})")
    return " UNION ALL ".join(of_all)


@cache
def _selection(model: type[models.Model], by: str, columns: tuple[str, ...], vendor: str) -> str:
    table = _table(model, vendor)
    joins: dict[str, str] = {}
    wanted = []
    for each in columns:
        link, _, name = each.rpartition("__")
        if not link:
            wanted.append(table.columns[name])
            continue
        key: Any = model._meta.get_field(link)
        other = _table(key.related_model, vendor)
        wanted.append(other.columns[name])
        target = other.columns[key.target_field.attname]
        joins[link] = f" JOIN {other.name} ON {target} = {table.columns[key.attname]}"
    return (
        f"SELECT {', '.join(wanted)} FROM {table.name}{''.join(joins.values())} "  # noqa: S608 - names from the model
        f"WHERE {_among(table.columns[by], vendor)}"
    )


@dataclass(slots=True)
class HeldRows(Generic[_Row]):
    """Rows of a model by a unique key, locked until the transaction ends, to be written back."""

    model: type[_Row]
    by: str
    rows: dict[str, _Row] = field(default_factory=dict)
    _before: dict[str, list[Any]] = field(default_factory=dict)

    def hold(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        """Locks the rows in the order of their keys; makes the missing ones that have values."""
        found = self._read(wanted)
        missing = sorted(key for key, values in wanted.items() if values and key not in found)
        if missing:
            insert_rows(self.model, [wanted[key] for key in missing], ignore_conflicts=True)
            found = self._read(wanted)
        self.rows, self._before = {}, {}
        for key, values in found.items():
            self._before[key] = values
            self.rows[key] = self.model.from_db(DEFAULT_DB_ALIAS, self._names, values)

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(_table(self.model, connections[DEFAULT_DB_ALIAS].vendor).fields)

    def _read(self, keys: Collection[str]) -> dict[str, list[Any]]:
        connection = connections[DEFAULT_DB_ALIAS]
        vendor = connection.vendor
        with connection.cursor() as cursor:
            cursor.execute(_locking(self.model, self.by, vendor), [_keys(keys, vendor)])
            rows = [list(row) for row in cursor.fetchall()]
        table = _table(self.model, vendor)
        for row in rows:
            for position, convert in table.converters:
                row[position] = convert(row[position])
        at = self._names.index(self.by)
        return {row[at]: row for row in rows}

    def write(self) -> None:
        """Writes what was changed of the rows, in one statement."""
        names = self._names
        now = {key: [getattr(row, name) for name in names] for key, row in self.rows.items()}
        dirty = {key: values for key, values in now.items() if values != self._before[key]}
        changed = [
            position
            for position in range(len(names))
            if any(values[position] != self._before[key][position] for key, values in dirty.items())
        ]
        if not dirty:
            return
        connection = connections[DEFAULT_DB_ALIAS]
        table = _table(self.model, connection.vendor)
        quote = connection.ops.quote_name
        fields = [table.fields[names[position]] for position in changed]
        setting = ", ".join(f"{quote(each.column)} = %s" for each in fields)
        key_at = names.index(self.by)
        with connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {table.name} SET {setting} WHERE {table.columns[self.by]} = %s",  # noqa: S608 - names from the model
                [
                    [
                        *_prepared(fields, [values[position] for position in changed], connection),
                        values[key_at],
                    ]
                    for _, values in sorted(dirty.items())
                ],
            )
        self._before.update(dirty)


@cache
def _locking(model: type[models.Model], by: str, vendor: str) -> str:
    table = _table(model, vendor)
    lock = " FOR UPDATE" if vendor == "postgresql" else ""
    return (
        f"SELECT {', '.join(table.columns.values())} FROM {table.name} "  # noqa: S608 - names from the model
        f"WHERE {_among(table.columns[by], vendor)} ORDER BY {table.columns[by]}{lock}"
    )


def insert_rows(
    model: type[models.Model], rows: Sequence[Mapping[str, Any]], *, ignore_conflicts: bool = False
) -> None:
    """Inserts the rows, given by column attribute (`series_id`); all name the same columns.

    `ignore_conflicts` leaves out rows that break a unique constraint; every other violation is
    raised as IntegrityError.
    """
    if not rows:
        return
    # The connection itself: the proxy `connection` looks it up again at every touch.
    connection = connections[DEFAULT_DB_ALIAS]
    how = _insertion(model, tuple(rows[0]), ignore_conflicts, connection.vendor)
    prepared = [list(how.values_of(row)) for row in rows]
    for position, column in how.to_prepare:
        last, made = _NONE, None
        for values in prepared:
            if values[position] is not last:  # many rows have one and the same moment
                last = values[position]
                made = column.get_db_prep_save(last, connection)
            values[position] = made
    if how.defaults:
        beside = _prepared(how.defaults, [each.get_default() for each in how.defaults], connection)
        for values in prepared:
            values.extend(beside)
    with connection.cursor() as cursor:
        cursor.executemany(how.sql, prepared)


@dataclass(frozen=True, slots=True)
class _Insertion:
    """How rows that name the same columns are inserted."""

    sql: str
    values_of: Callable[[Mapping[str, Any]], Sequence[Any]]
    """The values of a row in the statement's order."""
    to_prepare: tuple[tuple[int, Any], ...]
    """Positions of the values that the driver does not take as they are, and their fields."""
    defaults: tuple[Any, ...]
    """The fields that stand behind those given: what a caller does not give has their default."""


@cache
def _insertion(
    model: type[models.Model], given: tuple[str, ...], ignore_conflicts: bool, vendor: str
) -> _Insertion:
    table = _table(model, vendor)
    fields = [table.fields[name] for name in given]
    defaults = [
        each for name, each in table.fields.items() if name not in given and not each.primary_key
    ]
    quote = connections[DEFAULT_DB_ALIAS].ops.quote_name
    columns = [quote(each.column) for each in (*fields, *defaults)]
    places = ", ".join(["%s"] * len(columns))
    conflict = " ON CONFLICT DO NOTHING" if ignore_conflicts else ""
    return _Insertion(
        f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({places}){conflict}",  # noqa: S608 - names from the model
        itemgetter(*given) if len(given) > 1 else lambda row: (row[given[0]],),
        tuple((at, each) for at, each in enumerate(fields) if not isinstance(each, _PLAIN)),
        tuple(defaults),
    )


def _prepared(fields: Sequence[Any], values: Sequence[Any], connection: Any) -> list[Any]:
    """The values of one row as the database's driver takes them."""
    return [
        value if isinstance(each, _PLAIN) else each.get_db_prep_save(value, connection)
        for each, value in zip(fields, values, strict=True)
    ]


_PLAIN: Final = (
    models.TextField,
    models.BigIntegerField,
    models.BinaryField,
    models.ForeignKey,
)
_NONE: Final = object()
