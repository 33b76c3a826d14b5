"""verify_requests: reads back what peers asked us to commit to, and decides instance by instance.

Progress is kept by the thousand instances, so that a worker's death costs no more than that.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone
from pydicom.uid import UID_dictionary

from apps.archive.models import Receipt
from apps.commitment import leases
from apps.commitment.actions.note_verdicts import note_verdicts
from apps.commitment.models import CommitmentRequest, RequestedReferences
from apps.commitment.pace import Pace
from apps.commitment.references import pack_outcomes, unpack_references
from apps.commitment.selectors import commitment_policy
from apps.commitment.verification import StoredBlob, Verdict, blobs_of, read_back
from apps.dicom import sop_classes
from apps.dicom.storage_commitment import FailureReason
from apps.errors import Unavailable
from apps.events.log import Actor, record
from apps.ingest import spool
from apps.ingest.models import QuarantinedInstance

logger = logging.getLogger(__name__)
State = CommitmentRequest.State

_ACTOR: Final = Actor("system", "storage commitment")
_AT_ONCE: Final = 500
_WAIT_FOR_INDEXER: Final = timedelta(seconds=1)
_STORAGE_PATIENCE: Final = timedelta(hours=24)
_RENEW_SECONDS: Final = 15.0
_REASONS: Final = {
    Verdict.GOOD: 0,
    Verdict.MISSING: FailureReason.NO_SUCH_INSTANCE,
    Verdict.ALTERED: FailureReason.PROCESSING_FAILURE,
}


class _StillArriving(Exception):
    """Something the peer asks about is in the inbox; what is in the index is not the answer."""


def verify_requests(seconds: float) -> bool:
    """Works on requests that are due for about so long; True when there is more to do now."""
    until = time.monotonic() + seconds
    pace = Pace(commitment_policy().verify_rate)
    while time.monotonic() < until:
        request = _next()
        if request is None:
            return False
        _verify(request, pace, until)
    return True


def _next() -> CommitmentRequest | None:
    """The oldest request that is due and free, taken."""
    now = timezone.now()
    rows = CommitmentRequest.objects.filter(leases.due(now), state=State.RECEIVED)
    for request in rows.filter(leases.free(now)).order_by("received_at", "pk")[:_AT_ONCE]:
        if leases.take(CommitmentRequest.objects.filter(pk=request.pk, state=State.RECEIVED)):
            return request
    return None


def _verify(request: CommitmentRequest, pace: Pace, until: float) -> None:
    """Chunk after chunk; gives the request back at the end, whatever happens."""
    later: timedelta | None = None
    try:
        while chunk := request.references.filter(outcomes=None).order_by("number").first():
            _verify_chunk(request, chunk, _Renewing(request, pace).spend)
            if time.monotonic() >= until:
                return
        _finish(request)
    except _StillArriving:
        later, request.problem = _WAIT_FOR_INDEXER, "Waits until the inbox is indexed."
    except Unavailable as error:
        request.attempts += 1
        later, request.problem = leases.back_off(request.attempts), error.message
        logger.warning("A storage commitment request waits: %s", error.message)
    finally:
        CommitmentRequest.objects.filter(pk=request.pk).update(
            leased_until=None,
            attempts=request.attempts,
            problem=request.problem,
            next_attempt_at=timezone.now() + later if later else None,
        )


class _Renewing:
    """A pace that also keeps the lease alive."""

    def __init__(self, request: CommitmentRequest, pace: Pace) -> None:
        self._request, self._pace = request, pace
        self._renewed = time.monotonic()

    def spend(self, count: int) -> None:
        self._pace.spend(count)
        if time.monotonic() - self._renewed > _RENEW_SECONDS:
            self._renewed = time.monotonic()
            CommitmentRequest.objects.filter(pk=self._request.pk).update(
                leased_until=timezone.now() + leases.LEASE
            )


def _verify_chunk(
    request: CommitmentRequest, chunk: RequestedReferences, spend: Callable[[int], None]
) -> None:
    pairs = unpack_references(bytes(chunk.packed))
    verdicts: list[tuple[StoredBlob, Receipt.Verdict]] = []
    failures = [0] * len(pairs)
    for start in range(0, len(pairs), _AT_ONCE):
        part = pairs[start : start + _AT_ONCE]
        failures[start : start + _AT_ONCE] = _judged(request, part, verdicts, spend)
    with transaction.atomic():
        events = note_verdicts(verdicts, _ACTOR)
        chunk.outcomes = pack_outcomes(failures)
        chunk.save(update_fields=["outcomes"])
        request.verified += len(pairs)
        request.failed += sum(map(bool, failures))
        request.problem = ""
        request.save(update_fields=["verified", "failed", "problem"])
        record(events)


def _judged(
    request: CommitmentRequest,
    pairs: Sequence[tuple[str, str]],
    verdicts: list[tuple[StoredBlob, Receipt.Verdict]],
    spend: Callable[[int], None],
) -> list[int]:
    """Failure reasons of some references, 0 for those we commit to."""
    uids = [instance for _, instance in pairs]
    arriving = _arriving(request)  # before we look: what is not waiting now is in the index then
    stored = blobs_of(uids)
    if arriving and len(stored) < len(set(uids)):
        raise _StillArriving
    undecided = set(
        QuarantinedInstance.objects.filter(
            sop_instance_uid__in=uids, state=QuarantinedInstance.State.WAITING
        ).values_list("sop_instance_uid", flat=True)
    )
    failures = []
    for sop_class, uid in pairs:
        failure = _objection(sop_class, stored.get(uid), quarantined=uid in undecided)
        if not failure:
            verdict = _verdict(request, stored[uid], spend)
            if verdict is not None and not stored[uid].apart:
                verdicts.append((stored[uid], verdict))
            failure = FailureReason.RESOURCE_LIMITATION if verdict is None else _REASONS[verdict]
        failures.append(failure)
    return failures


def _objection(sop_class: str, stored: StoredBlob | None, *, quarantined: bool) -> int:
    """What speaks against an instance before its bytes are looked at; 0 for nothing.

    Bytes in quarantine that nobody has decided on may be the ones the peer means: then ours are
    not what it would delete.
    """
    if quarantined:
        return FailureReason.PROCESSING_FAILURE
    if stored is None:
        row = sop_classes.BY_UID.get(sop_class)
        storable = row.storage if row else sop_class not in UID_dictionary
        return FailureReason.NO_SUCH_INSTANCE if storable else FailureReason.CLASS_NOT_SUPPORTED
    if stored.sop_class_uid != sop_class:
        return FailureReason.CLASS_INSTANCE_CONFLICT
    return 0


def _verdict(
    request: CommitmentRequest, stored: StoredBlob, spend: Callable[[int], None]
) -> Receipt.Verdict | None:
    """None when the store has not answered for so long that the peer should hear of it."""
    try:
        return read_back(stored, spend)
    except Unavailable:
        if timezone.now() - request.received_at > _STORAGE_PATIENCE:
            return None
        raise


def _arriving(request: CommitmentRequest) -> bool:
    """Whether something acknowledged before the request is not indexed yet."""
    waiting = spool.waiting()
    return bool(waiting) and waiting[0].received_at <= request.received_at


def _finish(request: CommitmentRequest) -> None:
    """Everything is decided: the report may go."""
    CommitmentRequest.objects.filter(pk=request.pk).update(
        state=State.VERIFIED, verified_at=timezone.now()
    )
    request.attempts, request.problem = 0, ""
