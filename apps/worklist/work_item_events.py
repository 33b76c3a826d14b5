"""What subscribers of work items are told (PS3.4 CC.2.4), queued in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.utils import timezone

from apps.dicom import ups
from apps.dicom.data_sets import Document, items_at
from apps.dicom.mpps import tag_of
from apps.network.models import ApplicationEntity
from apps.worklist.event_reports import queue_reports
from apps.worklist.models import Delivery, WorkflowPeer, WorkItem, WorkItemSubscription

STATE_REPORT: Final = 1
CANCEL_REQUESTED: Final = 2
PROGRESS_REPORT: Final = 3
STATUS_CHANGE: Final = 4
ASSIGNED: Final = 5

_CANCELLATION: Final = (
    ups.REASON,
    ups.REASON_CODES,
    tag_of("ContactURI"),
    tag_of("ContactDisplayName"),
)


def moment() -> str:
    """Now, as a DT in UTC."""
    return f"{timezone.now():%Y%m%d%H%M%S.%f}+0000"


def state_report(document: Document) -> Document:
    """State and input readiness, and for a cancelled step why."""
    told = {tag: document[tag] for tag in (ups.STATE, ups.READINESS) if tag in document}
    for progress in items_at(document, ups.PROGRESS):
        told |= {t: progress[t] for t in (ups.REASON, ups.REASON_CODES) if t in progress}
    return told


def cancellation(information: Document, requesting: str) -> Document:
    """Who asks for the cancellation, and what was said with it."""
    told = {tag: information[tag] for tag in _CANCELLATION if tag in information}
    return {tag_of("RequestingAE"): {"vr": "AE", "Value": [requesting[:16]]}, **told}


def assignment(document: Document) -> Document:
    """Whom the work is assigned to; empty when to nobody."""
    present = (tag for tag in (ups.STATIONS, ups.PERFORMERS) if items_at(document, tag))
    return {tag: document[tag] for tag in present}


def going_down() -> Document:
    """SCP Status Change: nothing is told from now on."""
    return _status(SCPStatus="GOING DOWN")


def restarted() -> Document:
    """SCP Status Change: we are back, and kept all subscriptions and work items."""
    return _status(
        SCPStatus="RESTARTED",
        SubscriptionListStatus="WARM START",
        UnifiedProcedureStepListStatus="WARM START",
    )


def _status(**values: str) -> Document:
    return {tag_of(name): {"vr": "CS", "Value": [value]} for name, value in values.items()}


def changes_told(before: Document, after: Document) -> list[tuple[int, Document]]:
    """The events that an N-SET gives rise to, with what each says."""
    told: list[tuple[int, Document]] = []
    if before.get(ups.READINESS) != after.get(ups.READINESS):
        told.append((STATE_REPORT, state_report(after)))
    if before.get(ups.PROGRESS) != after.get(ups.PROGRESS):
        told.append((PROGRESS_REPORT, {ups.PROGRESS: after[ups.PROGRESS]}))
    if assignment(before) != assignment(after):
        told.append((ASSIGNED, assignment(after)))
    return told


def tell(item: WorkItem, events: Iterable[tuple[int, Document]]) -> None:
    """Every subscriber of the item that can be called."""
    receivers = WorkItemSubscription.objects.filter(work_item=item).values("receiver")
    tell_receivers(item, events, receivers)


def tell_receivers(
    item: WorkItem, events: Iterable[tuple[int, Document]], receivers: Iterable[object]
) -> None:
    """Those AE titles: over DIMSE whom we can call, over WebSocket who has a channel."""
    events = list(events)
    now = timezone.now()
    entities = ApplicationEntity.objects.filter(title__in=receivers, port__isnull=False)
    peers = [_peer(entity) for entity in entities.exclude(host="")]
    Delivery.objects.bulk_create(
        [
            Delivery(
                destination=peer,
                destination_title=peer.application_entity.title.strip(),
                kind=Delivery.Kind.EVENT,
                sop_instance_uid=item.sop_instance_uid,
                event_type=event_type,
                document=document,
                next_attempt_at=now,
            )
            for event_type, document in events
            for peer in peers
        ]
    )
    queue_reports(item.sop_instance_uid, events, receivers)


def _peer(entity: ApplicationEntity) -> WorkflowPeer:
    return WorkflowPeer.objects.get_or_create(application_entity=entity)[0]
