"""record(), feed(): the only channel between apps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
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
        Event.objects.bulk_create(
            [
                Event(
                    kind=each.kind,
                    occurred_at=now,
                    study_instance_uid=each.study_instance_uid[:256],
                    series_instance_uid=each.series_instance_uid[:256],
                    sop_instance_uid=each.sop_instance_uid[:256],
                    patient_key=each.patient_key,
                    actor_kind=each.actor.kind,
                    actor_name=each.actor.name[:256],
                    actor_address=each.actor.address[:64],
                    door=each.actor.door,
                    payload=each.payload,
                )
                for each in events
            ]
        )


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
