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
from typing import Final

from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from apps.access.principals import Permission, Principal, permit
from apps.archive.models import Instance, Receipt, Study
from apps.commitment import leases
from apps.commitment.actions.note_verdicts import note_verdicts
from apps.commitment.models import ScrubRun
from apps.commitment.pace import Pace
from apps.commitment.selectors import commitment_policy, latest_scrub
from apps.commitment.verification import StoredBlob, Verdict, read_back, stored_blobs
from apps.errors import NotFound, Unavailable
from apps.events.log import Actor, NewEvent, record

logger = logging.getLogger(__name__)
State = ScrubRun.State

_MOST_IN_A_BATCH: Final = 200
_BATCH_SECONDS: Final = 2.0
_RENEW_SECONDS: Final = 15.0
_ACTOR: Final = Actor("system", "scrub")


@dataclass(slots=True)
class _Batch:
    """What was looked at since the place was last kept."""

    verdicts: list[tuple[StoredBlob, Receipt.Verdict]]
    last: int
    bytes: int = 0


def start_scrub(principal: Principal, study_instance_uid: str = "") -> ScrubRun:
    """Begins a run over everything, or over one study; the one under way where there is one.

    Raises NotPermitted, and NotFound for a study that is not here.
    """
    permit(principal, Permission.ADMINISTER)
    if (
        study_instance_uid
        and not Study.objects.filter(study_instance_uid=study_instance_uid).exists()
    ):
        raise NotFound("There is no such study here.")
    with transaction.atomic():
        open_run = (
            ScrubRun.objects.select_for_update()
            .filter(study_instance_uid=study_instance_uid, state__in=(State.RUNNING, State.PAUSED))
            .first()
        )
        if open_run is not None:
            open_run.state = State.RUNNING
            open_run.save(update_fields=["state"])
            return open_run
        run = ScrubRun.objects.create(
            study_instance_uid=study_instance_uid,
            started_by=principal.name[:256],
            started_at=timezone.now(),
            up_to=_instances(study_instance_uid).aggregate(newest=Max("pk"))["newest"] or 0,
        )
        actor = Actor(principal.kind.value, principal.name, principal.address, principal.door)
        record([NewEvent("ScrubStarted", actor, study_instance_uid, payload={"run": run.pk})])
    return run


def change_scrub(principal: Principal, run: ScrubRun, state: ScrubRun.State) -> None:
    """Pauses, resumes or cancels a run that is not over; anything else changes nothing."""
    permit(principal, Permission.ADMINISTER)
    actor = Actor(principal.kind.value, principal.name, principal.address, principal.door)
    with transaction.atomic():
        changed = ScrubRun.objects.filter(
            pk=run.pk, state__in=(State.RUNNING, State.PAUSED)
        ).update(state=state, finished_at=timezone.now() if state == State.CANCELLED else None)
        if changed:
            told = {"run": run.pk, "state": str(state)}
            record([NewEvent("ScrubChanged", actor, run.study_instance_uid, payload=told)])


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


def scrub_blobs(seconds: float, run: ScrubRun | None = None, *, rate: float = 0) -> bool:
    """Goes on with a run, for about so many seconds; True when it could go on now.

    Without `run` it is one that is running and that nobody works on, a single study's first.
    `rate` in MB/s takes the place of the policy's.
    """
    until = time.monotonic() + seconds
    run = (
        run
        or ScrubRun.objects.filter(leases.free(timezone.now()), state=State.RUNNING)
        .order_by("-study_instance_uid", "started_at")
        .first()
    )
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


def _instances(study_instance_uid: str) -> QuerySet[Instance]:
    if not study_instance_uid:
        return Instance.objects.all()
    return Instance.objects.filter(study__study_instance_uid=study_instance_uid)


def _batch(run: ScrubRun, pace: Pace, until: float) -> bool:
    """Looks at the next instances and keeps the place; False when the run is over."""
    rows = _instances(run.study_instance_uid).filter(pk__gt=run.cursor, pk__lte=run.up_to)
    found = list(stored_blobs(rows.order_by("pk")[:_MOST_IN_A_BATCH]))
    if not found:
        _finish(run)
        return False
    batch = _read(run, found, pace, until)
    with transaction.atomic():
        current = ScrubRun.objects.select_for_update().get(pk=run.pk)
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
    run.cursor, run.state = current.cursor, current.state
    return current.state == State.RUNNING


def _read(run: ScrubRun, found: Sequence[StoredBlob], pace: Pace, until: float) -> _Batch:
    """As many as fit into a moment, one at least."""
    batch = _Batch([], run.cursor)
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
        batch.last = stored.pk
        if time.monotonic() >= stop:
            break
    return batch


def _finish(run: ScrubRun) -> None:
    with transaction.atomic():
        current = ScrubRun.objects.select_for_update().get(pk=run.pk)
        if current.state != State.RUNNING:
            return
        current.state, current.finished_at = State.DONE, timezone.now()
        current.save()
        told = {
            "run": run.pk,
            "checked": current.checked,
            "missing": current.missing,
            "altered": current.altered,
        }
        record([NewEvent("ScrubFinished", _ACTOR, current.study_instance_uid, payload=told)])
    run.state = State.DONE
