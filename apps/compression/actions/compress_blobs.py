"""compress_blobs: the walk of each rule over the stored instances, a batch at a time.

Each batch makes its blobs, proves them, and puts them into use in one transaction with the place of
the walk. A crash anywhere leaves instances with the blobs they had, and rows that name what was
made in vain; the next run removes that first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.archive.models import CompressedInstance, Instance
from apps.commitment import leases
from apps.commitment.actions.note_verdicts import note_verdicts
from apps.commitment.pace import Pace
from apps.compression.actions.use_compressed import ACTOR, use_compressed
from apps.compression.candidates import Asked, Candidate
from apps.compression.encoding import Compressed, OriginalDamaged, compress, discard
from apps.compression.models import CompressionRule, CompressionRun
from apps.compression.proof import NotTheSame
from apps.compression.selectors import compression_policy
from apps.dicom.part10 import Provenance
from apps.errors import (
    InvalidRequest,
    OutOfResources,
    PacsError,
    Unavailable,
    UnreadableInstance,
    UnsupportedPixels,
)
from apps.events.log import record
from apps.ingest.crash_points import crash_point
from apps.retrieve.locations import locations_by_key
from apps.retrieve.metadata import dicom_json_by_key
from apps.storage.capacity import capacity

logger = logging.getLogger(__name__)
State = CompressionRun.State

# Their metadata is in memory together, and that of one with many frames is megabytes.
_LOOKED_AT_ONCE: Final = 25
_BATCH_SECONDS: Final = 2.0
_RENEW_SECONDS: Final = 15.0


class _Stopped(Exception):
    """Somebody paused or cancelled the walk inside a large object."""


@dataclass(slots=True)
class _Batch:
    """What one batch did; `last` is how far the walk is."""

    last: int
    made: list[Compressed] = field(default_factory=list)
    looked_at: int = 0
    left_alone: int = 0
    refused: int = 0
    problem: str = ""


def compress_blobs(seconds: float) -> bool:
    """Goes on with the walk that has waited longest; True when there is more to do at once."""
    _begin_walks()
    rows = CompressionRun.objects.filter(
        leases.free(timezone.now()), state=State.RUNNING, rule__enabled=True
    )
    longest = F("worked_at").asc(nulls_first=True)  # a new one first, in either database
    run = rows.select_related("rule").order_by(longest, "pk").first()
    if run is None or not leases.take(CompressionRun.objects.filter(pk=run.pk)):
        return False
    run.refresh_from_db()
    try:
        return _work(run, time.monotonic() + seconds)
    except (Unavailable, OutOfResources, InvalidRequest) as error:
        _note(run, error)
    finally:
        CompressionRun.objects.filter(pk=run.pk).update(leased_until=None, worked_at=timezone.now())
    return False


def _note(run: CompressionRun, error: PacsError) -> None:
    logger.warning("Compression waits: %s", error.message)
    CompressionRun.objects.filter(pk=run.pk).update(problem=error.message[:200])


def _begin_walks() -> None:
    """A walk for each enabled rule; one whose rule says something else now begins anew."""
    for rule in CompressionRule.objects.filter(enabled=True).select_related("run"):
        asked = _asked(rule)
        run = getattr(rule, "run", None)
        if run is None:
            CompressionRun.objects.get_or_create(
                rule=rule, defaults={"asked": asked, "started_at": timezone.now()}
            )
        elif run.asked != asked:
            CompressionRun.objects.filter(pk=run.pk, asked=run.asked).update(asked=asked, cursor=0)


def _asked(rule: CompressionRule) -> str:
    values = (rule.sources, rule.conditions, rule.older_than_days, rule.smallest_kb)
    return "\n".join(map(str, values))


def _work(run: CompressionRun, until: float) -> bool:
    _clean_up(run.rule.name)
    asked = Asked.of(run.rule)
    goes_on = True
    pace = Pace(compression_policy().rate)
    while goes_on and time.monotonic() < until:
        if not capacity().accepts_associations:
            raise OutOfResources("There is too little room to keep compressed images beside.")
        try:
            goes_on = _batch(run, asked, pace, until)
        except _Stopped:
            return False
    return goes_on


def _clean_up(rule: str) -> None:
    """What a run made in vain; nobody else works on this rule while we hold its lease."""
    for row in CompressedInstance.objects.filter(state=CompressedInstance.State.MAKING, rule=rule):
        discard(row)


def _batch(run: CompressionRun, asked: Asked, pace: Pace, until: float) -> bool:
    """The next instances; False when none is old enough, or the walk is to stop."""
    candidates = _next(run.cursor, asked)
    if not candidates:
        return False
    batch = _Batch(run.cursor)
    spend = _Spending(run, pace)
    stop = min(until, time.monotonic() + _BATCH_SECONDS)
    try:
        for key, candidate in candidates:
            _look(batch, asked, candidate, run.rule.name, spend)
            batch.last = key
            if time.monotonic() >= stop:
                break
    except BaseException:
        for each in batch.made:
            discard(each.row)
        raise
    return _keep(run, batch)


def _next(cursor: int, asked: Asked) -> list[tuple[int, Candidate | None]]:
    """The next instances that are old enough, by primary key; None for what is gone by now."""
    rows = Instance.objects.filter(pk__gt=cursor).order_by("pk")
    fields = ("pk", "received_at", "source_ae_title", "source_address", "source_door")
    old = list(
        takewhile(
            lambda row: row[1] < asked.received_before, rows.values_list(*fields)[:_LOOKED_AT_ONCE]
        )
    )
    keys = [row[0] for row in old]
    restored = _restored(keys)
    documents = dicom_json_by_key(keys)
    locations = {each.key: each for each in locations_by_key(keys)}
    found: list[tuple[int, Candidate | None]] = []
    for pk, received_at, title, address, door in old:
        known = pk in locations and pk in documents and pk not in restored
        provenance = Provenance(door or "import", title, source_address=address)
        found.append(
            (
                pk,
                Candidate(locations[pk], documents[pk], provenance, received_at) if known else None,
            )
        )
    return found


def _restored(keys: Sequence[int]) -> set[int]:
    """Those whose original somebody brought back: that stays."""
    uids = dict(Instance.objects.filter(pk__in=keys).values_list("sop_instance_uid", "pk"))
    rows = CompressedInstance.objects.filter(
        sop_instance_uid__in=list(uids), state=CompressedInstance.State.RESTORED
    )
    return {uids[uid] for uid in rows.values_list("sop_instance_uid", flat=True)}


def _look(
    batch: _Batch, asked: Asked, candidate: Candidate | None, rule: str, spend: _Spending
) -> None:
    batch.looked_at += 1
    if candidate is None or asked.why_not(candidate):
        batch.left_alone += 1
        return
    try:
        batch.made.append(compress(candidate.location, candidate.provenance, rule, spend))
        crash_point("compressed")
    except (UnsupportedPixels, UnreadableInstance):
        batch.left_alone += 1
    except NotTheSame as error:
        batch.refused += 1
        batch.problem = f"{candidate.location.sop_instance_uid}: {error}"
        logger.warning("Not compressed, %s: %s", candidate.location.sop_instance_uid, error)
    except OriginalDamaged as error:
        batch.refused += 1
        with transaction.atomic():
            record(note_verdicts([(error.stored, error.verdict)], ACTOR))


def _keep(run: CompressionRun, batch: _Batch) -> bool:
    """Puts the blobs into use, and keeps the place of the walk; False when it is to stop."""
    crash_point("compression-proved")
    with transaction.atomic():
        current = CompressionRun.objects.select_for_update().get(pk=run.pk)
        left_over = use_compressed(batch.made) if batch.made else []
        used = [each.row for each in batch.made if each.row not in left_over]
        if current.asked == run.asked:
            current.cursor = batch.last
        current.looked_at += batch.looked_at
        current.left_alone += batch.left_alone + len(left_over)
        current.refused += batch.refused
        current.compressed += len(used)
        current.bytes_before += sum(row.original_size_bytes for row in used)
        current.bytes_after += sum(row.size_bytes for row in used)
        current.problem = batch.problem[:200]
        current.leased_until = timezone.now() + leases.LEASE
        current.save()
    crash_point("compression-switched")
    for row in left_over:
        discard(row)
    run.cursor, run.state = current.cursor, current.state
    return current.state == State.RUNNING and current.asked == run.asked


class _Spending:
    """Keeps the pace and the lease, also inside one very large object."""

    def __init__(self, run: CompressionRun, pace: Pace) -> None:
        self._run, self._pace = run, pace
        self._renewed = time.monotonic()

    def __call__(self, count: int) -> None:
        self._pace.spend(count)
        if time.monotonic() - self._renewed < _RENEW_SECONDS:
            return
        self._renewed = time.monotonic()
        renewed = CompressionRun.objects.filter(
            pk=self._run.pk, state=State.RUNNING, asked=self._run.asked
        ).update(leased_until=timezone.now() + leases.LEASE)
        if not renewed:
            raise _Stopped
