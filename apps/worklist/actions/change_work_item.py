"""change_work_item: what is known of a work item changes, and its state (UPS N-SET, N-ACTION)."""

from __future__ import annotations

import hmac
from typing import Final

from django.db import transaction

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.dicom import uids, ups
from apps.dicom.data_sets import Document, items_at, text_at
from apps.dicom.ups import Fault, UpsFault
from apps.errors import InvalidValue
from apps.events.log import NewEvent, record
from apps.worklist.actions.create_work_item import work_item_columns
from apps.worklist.models import WorkItem
from apps.worklist.work_item_events import (
    CANCEL_REQUESTED,
    STATE_REPORT,
    cancellation,
    changes_told,
    moment,
    state_report,
    tell,
)

_WARNINGS: Final = frozenset({Fault.ALREADY_CANCELED_WARNING, Fault.ALREADY_COMPLETED_WARNING})


def change_work_item(principal: Principal, sop_instance_uid: str, changes: Document) -> None:
    """N-SET (CC.2.6). One in progress takes the Transaction UID among the changes.

    Raises NotPermitted, UpsFault, InvalidValue, MissingValue.
    """
    permit(principal, Permission.PERFORM_STEPS)
    with transaction.atomic():
        item = _locked(sop_instance_uid)
        if item.state in ups.FINAL:
            raise UpsFault(Fault.NO_LONGER)
        given = text_at(changes, ups.TRANSACTION_UID)
        if item.state == ups.IN_PROGRESS and not _is_key(item, given):
            raise _fault(Fault.WRONG_TRANSACTION_UID, given)
        if item.state == ups.SCHEDULED and given:
            raise UpsFault(Fault.NOT_IN_PROGRESS)
        before = item.document
        _write(item, ups.modified(before, changes, moment()))
        tell(item, changes_told(before, item.document))
        payload = {"work_item": sop_instance_uid, "attributes": sorted(changes)}
        record([NewEvent("WorkItemChanged", actor_of(principal), payload=payload)])


def change_work_item_state(
    principal: Principal, sop_instance_uid: str, state: str, transaction_uid: str
) -> Fault | None:
    """N-ACTION Change UPS State (CC.2.1); a fault that is returned is a mere warning.

    Who makes it IN PROGRESS locks it with a Transaction UID of his own. Raises NotPermitted,
    UpsFault, InvalidValue.
    """
    permit(principal, Permission.PERFORM_STEPS)
    if state not in ups.STATES:
        raise InvalidValue("That is no state of a UPS.", offending=(ups.STATE,))
    with transaction.atomic():
        item = _locked(sop_instance_uid)
        taken = bool(item.transaction_uid)
        right = _is_key(item, transaction_uid) if taken else uids.is_valid(transaction_uid)
        fault = ups.next_state(item.state, state, uid_is_right=right)
        if fault in _WARNINGS:
            return fault
        if fault is not None:
            raise _fault(fault, transaction_uid)
        if state == ups.IN_PROGRESS:
            item.transaction_uid, item.performer = transaction_uid, principal.name
            _enter(item, ups.with_state(item.document, state, moment()))
        else:
            _enter(item, ups.finished(item.document, state, moment()))
        _record_state(principal, item)
    return None


def request_cancellation(
    principal: Principal, sop_instance_uid: str, information: Document
) -> Fault | None:
    """N-ACTION Request UPS Cancel (CC.2.2); a fault that is returned is a mere warning.

    What nobody has begun is cancelled; who performs it is asked. Raises NotPermitted, UpsFault.
    """
    permit(principal, Permission.MANAGE_WORKLIST)
    with transaction.atomic():
        item = _locked(sop_instance_uid)
        if item.state == ups.CANCELED:
            return Fault.ALREADY_CANCELED_WARNING
        if item.state == ups.COMPLETED:
            raise UpsFault(Fault.ALREADY_COMPLETED)
        if item.state == ups.SCHEDULED:
            _enter(item, ups.with_state(item.document, ups.IN_PROGRESS, moment()))
            _enter(item, ups.finished(_with_reason(item.document, information), ups.CANCELED,
                                      moment()))  # fmt: skip
            _record_state(principal, item)
            return None
        if not item.subscriptions.exists():
            raise UpsFault(Fault.PERFORMER_OUT_OF_REACH)
        tell(item, [(CANCEL_REQUESTED, cancellation(information, principal.name))])
        payload = {"work_item": sop_instance_uid}
        record([NewEvent("WorkItemCancelRequested", actor_of(principal), payload=payload)])
    return None


def _locked(sop_instance_uid: str) -> WorkItem:
    rows = WorkItem.objects.select_for_update()
    item = rows.filter(sop_instance_uid=sop_instance_uid).first()
    if item is None:
        raise UpsFault(Fault.UNKNOWN)
    return item


def _fault(fault: Fault, transaction_uid: str) -> UpsFault:
    missing = fault is Fault.WRONG_TRANSACTION_UID and not transaction_uid
    return UpsFault(fault, detail=ups.MISSING_KEY if missing else "")


def _is_key(item: WorkItem, transaction_uid: str) -> bool:
    """Compared in constant time: the Transaction UID is what locks others out."""
    return bool(transaction_uid) and hmac.compare_digest(
        item.transaction_uid.encode(), transaction_uid.encode()
    )


def _with_reason(document: Document, information: Document) -> Document:
    progress = (items_at(document, ups.PROGRESS) or [{}])[0]
    given = {t: information[t] for t in (ups.REASON, ups.REASON_CODES) if t in information}
    return {**document, ups.PROGRESS: {"vr": "SQ", "Value": [{**progress, **given}]}}


def _write(item: WorkItem, document: Document) -> None:
    item.document = document
    for name, value in work_item_columns(document).items():
        setattr(item, name, value)
    item.save()


def _enter(item: WorkItem, document: Document) -> None:
    """Another state, of which every subscriber hears."""
    _write(item, document)
    tell(item, [(STATE_REPORT, state_report(document))])


def _record_state(principal: Principal, item: WorkItem) -> None:
    payload = {"work_item": item.sop_instance_uid, "state": item.state}
    record([NewEvent("WorkItemStateChanged", actor_of(principal), payload=payload)])
