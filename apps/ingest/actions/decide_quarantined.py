"""What a person decides about a quarantined instance: keep aside, discard, retry.

Whatever is decided, no byte is removed: that is retention's business, and its alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.errors import InvalidRequest, NotFound
from apps.events.log import NewEvent, record
from apps.ingest import spool
from apps.ingest.actions.alert_studies import alert_studies
from apps.ingest.models import QuarantinedInstance
from apps.ingest.spool import SpoolName
from apps.storage.stores import blob_store

State = QuarantinedInstance.State
_UNDECIDED = (State.WAITING, State.KEPT)


def keep_quarantined(principal: Principal, quarantined_id: int) -> QuarantinedInstance:
    """Leaves it aside for good; it no longer waits for a decision."""
    with deciding(principal, quarantined_id, State.KEPT) as row:
        return row


def discard_quarantined(principal: Principal, quarantined_id: int) -> QuarantinedInstance:
    """Nobody needs it. Its bytes stay until retention removes them. Ask before calling this."""
    with deciding(principal, quarantined_id, State.DISCARDED) as row:
        return row


def retry_quarantined(principal: Principal, quarantined_id: int) -> QuarantinedInstance:
    """Hands the bytes to the indexer once more; if it fails again, it waits here again."""
    with deciding(principal, quarantined_id, State.RETRIED) as row:
        provenance = {
            "door": row.source_door,
            "source_ae_title": row.source_ae_title,
            "source_address": row.source_address,
        }
        spool.take_back(
            blob_store().stream(row.blob_key),
            SpoolName.mint(row.size_bytes, bytes(row.sha256).hex()),
            json.dumps(provenance),
        )
        return row


@contextmanager
def deciding(
    principal: Principal, quarantined_id: int, state: QuarantinedInstance.State
) -> Iterator[QuarantinedInstance]:
    """The locked row, in one transaction with its new state and the event that tells of it.

    Raises NotPermitted, NotFound, and InvalidRequest for what was decided otherwise before.
    """
    permit(principal, Permission.MANAGE_QUARANTINE)
    with transaction.atomic():
        row = QuarantinedInstance.objects.select_for_update().filter(pk=quarantined_id).first()
        if row is None:
            raise NotFound("There is no such quarantined instance.")
        if row.state not in _UNDECIDED:
            raise InvalidRequest(f"This instance was {row.get_state_display()} already.")
        yield row
        row.state = state
        row.decided_at = timezone.now()
        row.decided_by_id = principal.user_id
        row.save()
        alerts = alert_studies([row.study_instance_uid], actor_of(principal))
        record([_event(principal, row), *alerts])


_EVENTS = {
    State.KEPT: "QuarantinedInstanceKept",
    State.DISCARDED: "QuarantinedInstanceDiscarded",
    State.RETRIED: "QuarantinedInstanceRetried",
    State.REPLACED: "InstanceReplaced",
}


def _event(principal: Principal, row: QuarantinedInstance) -> NewEvent:
    return NewEvent(
        _EVENTS[State(row.state)],
        actor_of(principal),
        row.study_instance_uid,
        row.series_instance_uid,
        row.sop_instance_uid,
        payload={"quarantined": row.pk, "reason": row.reason},
    )
