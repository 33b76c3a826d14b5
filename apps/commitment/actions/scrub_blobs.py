"""scrub_blobs: every stored blob is read back from time to time and compared with its hash.

A run walks the instances in the order they were stored and keeps its place, so that a restart
costs one batch. It reads slowly on purpose, and more slowly while instances arrive.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile
from typing import Final

from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from apps.access.principals import Permission, Principal, permit
from apps.archive.models import Instance, NonPatientInstance, Receipt
from apps.archive.selectors import study_of
from apps.commitment import leases
from apps.commitment.actions.note_verdicts import note_verdicts, note_verdicts_apart
from apps.commitment.models import ScrubRun
from apps.commitment.pace import Pace
from apps.commitment.selectors import commitment_policy, latest_scrub
from apps.commitment.verification import (
    StoredBlob,
    Verdict,
    blobs_apart,
    read_back,
    stored_blobs,
)
from apps.errors import Unavailable
from apps.events.log import Actor, NewEvent, record

logger = logging.getLogger(__name__)
State, Scope = ScrubRun.State, ScrubRun.Scope

_MOST_IN_A_BATCH: Final = 200
_BATCH_SECONDS: Final = 2.0
_RENEW_SECONDS: Final = 15.0
_SETTLED: Final = timedelta(seconds=60)
_ACTOR: Final = Actor("system", "scrub")


@dataclass(slots=True)
class _Batch:
    """What was looked at since the place was last kept."""

    verdicts: list[tuple[StoredBlob, Receipt.Verdict]]
    last: int
    bytes: int = 0


def start_scrub(principal: Principal, study_instance_uid: str = "") -> ScrubRun:
    """Begins a run over everything, or over one study; the one under way where there is one.

    One study may be checked by whoever may store, everything by administrators. Raises
    NotPermitted, and NotFound for a study that is not here.
    """
    alone = bool(study_instance_uid)
    permit(principal, Permission.STORE_INSTANCES if alone else Permission.ADMINISTER)
    if alone:
        study_of(study_instance_uid, principal)
    scope = Scope.STUDY if alone else Scope.ALL
    with transaction.atomic():
        under_way = (
            ScrubRun.objects.select_for_update()
            .filter(
                scope=scope,
                study_instance_uid=study_instance_uid,
                state__in=(State.RUNNING, State.PAUSED),
            )
            .first()
        )
        if under_way is not None:
            under_way.state = State.RUNNING
            under_way.save(update_fields=["state"])
            return under_way
        run = ScrubRun.objects.create(
            scope=scope,
            study_instance_uid=study_instance_uid,
            started_by=principal.name[:256],
            started_at=timezone.now(),
            up_to=_newest(_instances(study_instance_uid)),
        )
        record([_event("ScrubStarted", _actor_of(principal), run)])
    return run


def change_scrub(principal: Principal, run: ScrubRun, state: ScrubRun.State) -> bool:
    """Pauses, resumes or cancels a run; False for one that is over. Raises NotPermitted."""
    permit(principal, Permission.ADMINISTER)
    over = timezone.now() if state == State.CANCELLED else None
    with transaction.atomic():
        changed = ScrubRun.objects.filter(
            pk=run.pk, state__in=(State.RUNNING, State.PAUSED)
        ).update(state=state, finished_at=over)
        if changed:
            told: dict[str, object] = {"state": str(state)}
            record([_event("ScrubChanged", _actor_of(principal), run, told)])
    return bool(changed)


def begin_when_due(principal: Principal) -> None:
    """Starts the regular run when the last one began long enough ago."""
    policy = commitment_policy()
    if not policy.scrub:
        return
    last = latest_scrub()
    if last is None or (
        last.state in (State.DONE, State.CANCELLED)
        and timezone.now() - last.started_at >= timedelta(days=policy.scrub_every_days)
    ):
        start_scrub(principal)


def check_new_blobs(seconds: float, *, rate: float = 0) -> bool:
    """Goes on with what arrived a minute ago or earlier; True when it could go on now.

    What a commitment has read back already is passed over. On an archive that is older than this
    walk it begins with the next instance: the rest is the scrub's.
    """
    if not commitment_policy().check_new:
        return False
    run = ScrubRun.objects.filter(scope=Scope.NEW).first()
    if run is None:
        run, _ = ScrubRun.objects.get_or_create(
            scope=Scope.NEW,
            defaults={"started_at": timezone.now(), "cursor": _newest(Instance.objects.all())},
        )
    return scrub_blobs(seconds, run, rate=rate)


def scrub_blobs(seconds: float, run: ScrubRun | None = None, *, rate: float = 0) -> bool:
    """Goes on with a run, for about so many seconds; True when it could go on now.

    Without `run` it is one that is running and that nobody works on, a single study's first.
    `rate` in MB/s takes the place of the policy's.
    """
    until = time.monotonic() + seconds
    run = run or _waiting_run()
    if run is None or not leases.take(ScrubRun.objects.filter(pk=run.pk, state=State.RUNNING)):
        return False
    run.refresh_from_db()
    pace = Pace(rate or commitment_policy().scrub_rate)
    goes_on = True
    try:
        while goes_on and time.monotonic() < until:
            goes_on = _batch(run, pace, until)
    except Unavailable as error:
        goes_on = False
        logger.warning("The check of stored bytes waits: %s", error.message)
    finally:
        ScrubRun.objects.filter(pk=run.pk).update(leased_until=None)
    return goes_on


def _waiting_run() -> ScrubRun | None:
    rows = ScrubRun.objects.filter(leases.free(timezone.now()), state=State.RUNNING)
    return rows.exclude(scope=Scope.NEW).order_by("-study_instance_uid", "started_at").first()


def _instances(study_instance_uid: str) -> QuerySet[Instance]:
    if not study_instance_uid:
        return Instance.objects.all()
    return Instance.objects.filter(study__study_instance_uid=study_instance_uid)


def _newest(rows: QuerySet[Instance]) -> int:
    return rows.aggregate(newest=Max("pk"))["newest"] or 0


def _next(run: ScrubRun) -> tuple[list[StoredBlob], int]:
    """The next blobs to look at, and how far the walk is behind them; the same place at its end."""
    rows = _instances(run.study_instance_uid).filter(pk__gt=run.cursor).order_by("pk")
    if run.scope != Scope.NEW:
        found = list(stored_blobs(rows.filter(pk__lte=run.up_to)[:_MOST_IN_A_BATCH]))
        return found, found[-1].pk if found else run.cursor
    # Rows appear in the order of their keys but for a batch or two that are being written.
    settled = timezone.now() - _SETTLED
    ready = list(
        takewhile(
            lambda row: row[1] is None or row[1] < settled,
            rows.values_list("pk", "indexed_at", "receipt__verified_at")[:_MOST_IN_A_BATCH],
        )
    )
    fresh = [pk for pk, _, verified_at in ready if verified_at is None]
    found = list(stored_blobs(Instance.objects.filter(pk__in=fresh).order_by("pk")))
    return found, ready[-1][0] if ready else run.cursor


def _batch(run: ScrubRun, pace: Pace, until: float) -> bool:
    """Looks at the next instances and keeps the place; False when there is nothing more."""
    found, place = _next(run)
    if place != run.cursor:
        return _keep(run, _read(run, found, place, pace, until))
    apart = _apart(run)
    if apart:
        return _keep(run, _read(run, apart, apart[-1].pk, pace, until), apart=True)
    if run.scope != Scope.NEW:
        _finish(run)
    return False


def _apart(run: ScrubRun) -> list[StoredBlob]:
    """Instances of no patient come last, and only where everything is looked at."""
    if run.scope != Scope.ALL:
        return []
    rows = NonPatientInstance.objects.filter(pk__gt=run.apart_cursor).order_by("pk")
    return list(blobs_apart(rows[:_MOST_IN_A_BATCH]))


def _keep(run: ScrubRun, batch: _Batch, *, apart: bool = False) -> bool:
    """Writes what a batch found, and how far the walk is; False when it is to stop."""
    with transaction.atomic():
        current = ScrubRun.objects.select_for_update().get(pk=run.pk)
        if apart:
            events = note_verdicts_apart(batch.verdicts, _ACTOR)
            current.apart_cursor = batch.last
        else:
            events = note_verdicts(batch.verdicts, _ACTOR)
            current.cursor = batch.last
        current.worked_at = timezone.now()
        current.leased_until = timezone.now() + leases.LEASE
        current.checked += len(batch.verdicts)
        current.checked_bytes += batch.bytes
        current.missing += sum(verdict is Verdict.MISSING for _, verdict in batch.verdicts)
        current.altered += sum(verdict is Verdict.ALTERED for _, verdict in batch.verdicts)
        current.save()
        record(events)
    run.cursor, run.apart_cursor, run.state = current.cursor, current.apart_cursor, current.state
    return current.state == State.RUNNING


def _read(
    run: ScrubRun, found: Sequence[StoredBlob], place: int, pace: Pace, until: float
) -> _Batch:
    """As many as fit into a moment, one at least; `place` is where all of them end."""
    batch = _Batch([], place)
    stop = min(until, time.monotonic() + _BATCH_SECONDS)
    renewed = [time.monotonic()]

    def spend(count: int) -> None:
        batch.bytes += count
        pace.spend(count)
        if time.monotonic() - renewed[0] > _RENEW_SECONDS:  # inside one very large blob
            renewed[0] = time.monotonic()
            lease = timezone.now() + leases.LEASE
            ScrubRun.objects.filter(pk=run.pk).update(leased_until=lease)

    for stored in found:
        batch.verdicts.append((stored, read_back(stored, spend)))
        if time.monotonic() >= stop and stored is not found[-1]:
            batch.last = stored.pk
            break
    return batch


def _finish(run: ScrubRun) -> None:
    with transaction.atomic():
        current = ScrubRun.objects.select_for_update().get(pk=run.pk)
        if current.state != State.RUNNING:
            return
        current.state, current.finished_at = State.DONE, timezone.now()
        current.save()
        told: dict[str, object] = {
            "checked": current.checked,
            "missing": current.missing,
            "altered": current.altered,
        }
        record([_event("ScrubFinished", _ACTOR, current, told)])
    run.state = State.DONE


def _event(
    kind: str, actor: Actor, run: ScrubRun, told: dict[str, object] | None = None
) -> NewEvent:
    payload = {"run": run.pk, "scope": run.scope, **(told or {})}
    return NewEvent(kind, actor, run.study_instance_uid, payload=payload)


def _actor_of(principal: Principal) -> Actor:
    return Actor(principal.kind.value, principal.name, principal.address, principal.door)
