"""record(), feed(): the only channel between apps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.utils import timezone

from apps.events.models import Event

# Any constant serves; it only has to be the same for every writer of the log.
_LOG_LOCK = 0x70616373


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it, in plain values; `apps.access` sits above this app and fills it."""

    kind: str
    name: str
    address: str = ""
    door: str = ""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """One thing that happened, before it has a sequence number. `kind` is past tense."""

    kind: str
    actor: Actor
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""
    patient_key: int | None = None
    payload: dict[str, Any] = field(default_factory=dict)


def record(events: Sequence[NewEvent]) -> None:
    """Appends the events; they commit with the change they tell of, or not at all.

    On PostgreSQL writers take one transaction-scoped lock, so that sequence numbers become visible
    in order and a feed that remembers the last one it saw never skips a row. Call it last in the
    transaction: the lock is held until the commit.
    """
    if not events:
        return
    now = timezone.now()
    # No savepoint: who records within a transaction keeps all of it or nothing.
    with transaction.atomic(savepoint=False):
        commit_in_order()
        _append([_row(each, now) for each in events])


def _row(event: NewEvent, now: datetime) -> tuple[Any, ...]:
    """The values of `_COLUMNS`."""
    return (
        event.kind,
        now,
        event.study_instance_uid[:256],
        event.series_instance_uid[:256],
        event.sop_instance_uid[:256],
        event.patient_key,
        event.actor.kind,
        event.actor.name[:256],
        event.actor.address[:64],
        event.actor.door,
        event.payload,
    )


_COLUMNS: Final = (
    "kind",
    "occurred_at",
    "study_instance_uid",
    "series_instance_uid",
    "sop_instance_uid",
    "patient_key",
    "actor_kind",
    "actor_name",
    "actor_address",
    "door",
    "payload",
)


def _append(rows: Sequence[tuple[Any, ...]]) -> None:
    """One statement for all, whose text is made once: every change of state comes by here."""
    fields: list[Any] = [Event._meta.get_field(name) for name in _COLUMNS]
    prepared = [
        [
            field.get_db_prep_save(value, connection)
            for field, value in zip(fields, row, strict=True)
        ]
        for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_statement(connection.vendor), prepared)


@cache
def _statement(vendor: str) -> str:
    """Of one vendor's: a process may meet both databases in tests."""
    database = connections[DEFAULT_DB_ALIAS]
    assert database.vendor == vendor
    quote = database.ops.quote_name
    fields: list[Any] = [Event._meta.get_field(name) for name in _COLUMNS]
    columns = ", ".join(quote(field.column) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    return f"INSERT INTO {quote(Event._meta.db_table)} ({columns}) VALUES ({places})"  # noqa: S608 - names from the model


def commit_in_order() -> None:
    """Makes this transaction commit after all that took a number in the log before it.

    For rows beside the log that are read the way it is: by the last number seen. Held until the
    commit, and nothing that others lock may be locked after it.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOG_LOCK])


def feed(after: int, *, kinds: Iterable[str] = (), limit: int = 500) -> list[Event]:
    """Events with a sequence above `after`, oldest first, at most `limit` of them."""
    rows = Event.objects.filter(sequence__gt=after).order_by("sequence")
    wanted = list(kinds)
    if wanted:
        rows = rows.filter(kind__in=wanted)
    return list(rows[:limit])


def latest_sequence() -> int:
    """The newest sequence number, 0 for an empty log."""
    newest = Event.objects.order_by("-sequence").values_list("sequence", flat=True).first()
    return newest or 0
