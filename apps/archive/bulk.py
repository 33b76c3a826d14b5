"""Many rows of one table in one statement, without a model object per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models


def insert_rows(
    model: type[models.Model], rows: Sequence[Mapping[str, Any]], *, ignore_conflicts: bool = False
) -> None:
    """Inserts the rows, given by column attribute (`series_id`); all name the same columns.

    One prepared statement whatever the number of rows, so neither database's limit on
    parameters cuts it into pieces. `ignore_conflicts` leaves out rows that break a unique
    constraint; every other violation is raised as IntegrityError.
    """
    if not rows:
        return
    # The connection itself: the proxy `connection` looks it up again at every touch.
    connection = connections[DEFAULT_DB_ALIAS]
    fields: dict[str, Any] = {field.attname: field for field in model._meta.concrete_fields}
    # What a caller does not give has the field's own default.
    defaults = {
        name: field.get_default()
        for name, field in fields.items()
        if name not in rows[0] and not field.primary_key
    }
    names = [*rows[0], *defaults]
    values = _prepared([fields[name] for name in names], rows, [*defaults.values()], connection)
    quote = connection.ops.quote_name
    columns = ", ".join(quote(fields[name].column) for name in names)
    places = ", ".join(["%s"] * len(names))
    conflict = " ON CONFLICT DO NOTHING" if ignore_conflicts else ""
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ({places}){conflict}",  # noqa: S608 - names from the model
            values,
        )


def _prepared(
    fields: Sequence[Any], rows: Sequence[Mapping[str, Any]], defaults: list[Any], connection: Any
) -> list[list[Any]]:
    """The values of the rows as the database's driver takes them."""
    plain = [isinstance(field, _PLAIN) for field in fields]
    prepare = [field.get_db_prep_save for field in fields]
    return [
        [
            value if as_it_is else prepared(value, connection)
            for value, as_it_is, prepared in zip(
                [*row.values(), *defaults], plain, prepare, strict=True
            )
        ]
        for row in rows
    ]


_PLAIN = (models.TextField, models.BigIntegerField, models.ForeignKey)
