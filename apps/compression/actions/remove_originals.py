"""remove_originals: after their time, blobs that compression has put out of use are removed.

An original goes only when the compressed blob was read back once more and is as it was proved. From
the moment its row says so nobody can bring it back; a crash in between repeats the removal.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.archive.models import CompressedInstance, Instance
from apps.commitment.actions.note_verdicts import note_verdicts
from apps.commitment.pace import Pace
from apps.commitment.verification import Verdict, blobs_of, read_back
from apps.compression.actions.use_compressed import ACTOR
from apps.compression.encoding import discard
from apps.compression.selectors import compression_policy
from apps.events.log import NewEvent, record
from apps.ingest.crash_points import crash_point
from apps.ingest.models import QuarantinedInstance
from apps.storage.stores import blob_store

logger = logging.getLogger(__name__)
State = CompressedInstance.State
_AT_ONCE: Final = 100
_LATER: Final = timedelta(days=1)


def remove_originals(seconds: float) -> int:
    """Works for about so many seconds; how many blobs went."""
    until = time.monotonic() + seconds
    for row in _made_in_vain():
        discard(row)
    pace = Pace(compression_policy().rate)
    due = CompressedInstance.objects.filter(removal_due_at__lte=timezone.now()).exclude(
        state=State.MAKING
    )
    removed = 0
    for row in due.order_by("removal_due_at")[:_AT_ONCE]:
        if time.monotonic() >= until:
            break
        removed += _remove(row, pace)
    return removed


def _made_in_vain() -> QuerySet[CompressedInstance]:
    """Left by a crash under a rule that was renamed or removed since, so that no walk finds it."""
    return CompressedInstance.objects.filter(
        state=State.MAKING, made_at__lt=timezone.now() - _LATER
    )


def _remove(row: CompressedInstance, pace: Pace) -> bool:
    if row.state == State.KEPT and not _still_good(row, pace):
        return False
    if row.state == State.KEPT and not _claimed(row):
        return False
    crash_point("original-removing")
    for key in (row.original_blob_key, row.blob_key):
        if not _in_use(key):
            blob_store().delete(key)
    crash_point("original-removed")
    with transaction.atomic():
        ended = State.REMOVED if row.state in (State.KEPT, State.REMOVING) else row.state
        CompressedInstance.objects.filter(pk=row.pk).update(state=ended, removal_due_at=None)
        told = {"sop_instance_uids": [row.sop_instance_uid], "blob": str(ended)}
        record([NewEvent("OtherBlobRemoved", ACTOR, row.study_instance_uid, payload=told)])
    return True


def _still_good(row: CompressedInstance, pace: Pace) -> bool:
    """Whether the compressed blob is in use and as it was proved; else its original stays."""
    stored = blobs_of([row.sop_instance_uid]).get(row.sop_instance_uid)
    if stored is not None and stored.blob_key == row.blob_key:
        verdict = read_back(stored, pace.spend)
        if verdict is Verdict.GOOD:
            return True
        with transaction.atomic():
            record(note_verdicts([(stored, verdict)], ACTOR))
        logger.error("The compressed blob of %s is %s", row.sop_instance_uid, verdict.label)
    CompressedInstance.objects.filter(pk=row.pk).update(removal_due_at=timezone.now() + _LATER)
    return False


def _claimed(row: CompressedInstance) -> bool:
    """False when somebody has brought the original back meanwhile."""
    rows = CompressedInstance.objects.filter(pk=row.pk, state=State.KEPT)
    return rows.update(state=State.REMOVING) == 1


def _in_use(key: str) -> bool:
    return (
        Instance.objects.filter(blob_key=key).exists()
        or QuarantinedInstance.objects.filter(blob_key=key).exists()
    )
