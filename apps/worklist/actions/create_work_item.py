"""create_work_item: work is put on the list (UPS N-CREATE, PS3.4 CC.2.5)."""

from __future__ import annotations

from django.db import transaction

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.dicom import uids, ups
from apps.dicom.data_sets import Document, text_at
from apps.dicom.mpps import tag_of
from apps.errors import AlreadyExists, InvalidValue
from apps.events.log import NewEvent, record
from apps.worklist.models import WorkItem, WorkItemSubscription
from apps.worklist.work_item_events import (
    ASSIGNED,
    STATE_REPORT,
    assignment,
    moment,
    state_report,
    tell,
)
from apps.worklist.work_item_search import WorkItemQuery, keys_of


def create_work_item(principal: Principal, sop_instance_uid: str, document: Document) -> WorkItem:
    """The work item, SCHEDULED; its UID is minted if `""`. Global subscribers are told.

    Raises NotPermitted, AlreadyExists, UpsFault, MissingAttribute, MissingValue, InvalidValue.
    """
    permit(principal, Permission.MANAGE_WORKLIST)
    uid = sop_instance_uid or uids.mint()
    if not uids.is_valid(uid) or uid in {ups.GLOBAL_SUBSCRIPTION, ups.FILTERED_SUBSCRIPTION}:
        raise InvalidValue("That is no UID for a work item.", offending=("00001000",))
    if WorkItem.objects.filter(sop_instance_uid=uid).exists():
        raise AlreadyExists("There is a work item with this UID already.")
    complete = ups.created(uid, document, moment())
    with transaction.atomic():
        item, new = WorkItem.objects.get_or_create(
            sop_instance_uid=uid, defaults={"document": complete, **work_item_columns(complete)}
        )
        if not new:
            raise AlreadyExists("There is a work item with this UID already.")
        _subscribe_globals(item)
        events = [(STATE_REPORT, state_report(complete))]
        if assignment(complete):
            events.append((ASSIGNED, assignment(complete)))
        tell(item, events)
        payload = {"work_item": uid, "state": item.state}
        record([NewEvent("WorkItemCreated", actor_of(principal), payload=payload)])
    return item


def work_item_columns(document: Document) -> dict[str, str]:
    """The columns of WorkItem that repeat its data set."""
    return {
        "state": text_at(document, ups.STATE),
        "label": text_at(document, tag_of("ProcedureStepLabel")),
        "worklist_label": text_at(document, tag_of("WorklistLabel")),
        "priority": text_at(document, ups.PRIORITY),
        "patient_id": text_at(document, tag_of("PatientID")),
        "patient_name": text_at(document, tag_of("PatientName")),
    }


def _subscribe_globals(item: WorkItem) -> None:
    """Who subscribed to all, or to all that match, has subscribed to this one (CC.2.3-2)."""
    subscriptions = WorkItemSubscription.objects.filter(work_item=None)
    WorkItemSubscription.objects.bulk_create(
        [
            WorkItemSubscription(
                receiver=each.receiver, work_item=item, deletion_lock=each.deletion_lock
            )
            for each in subscriptions
            if WorkItemQuery(keys_of(each.filter)).answer(item.document) is not None
        ]
    )
