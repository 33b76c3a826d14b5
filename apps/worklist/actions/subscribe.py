"""subscribe: who is told of changes to work items (UPS N-ACTION, PS3.4 CC.2.3)."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, PrincipalKind, permit
from apps.dicom import ups
from apps.dicom.data_sets import Document
from apps.dicom.ups import Fault, UpsFault
from apps.errors import InvalidValue, NotPermitted
from apps.events.log import NewEvent, record
from apps.network.models import ApplicationEntity
from apps.worklist.actions.event_channels import channel_of, may_use
from apps.worklist.models import EventChannel, WorkItem, WorkItemSubscription
from apps.worklist.work_item_events import STATE_REPORT, state_report, tell_receivers
from apps.worklist.work_item_search import WorkItemQuery, keys_of

_GLOBAL: Final = frozenset({ups.GLOBAL_SUBSCRIPTION, ups.FILTERED_SUBSCRIPTION})


def check_receiver(receiver: str) -> None:
    """Raises UpsFault for an AE that we could not call."""
    known = ApplicationEntity.objects.filter(title=receiver, port__isnull=False, enabled=True)
    if not receiver or not known.exclude(host="").exists():
        raise UpsFault(Fault.UNKNOWN_RECEIVER)


def subscribe(
    principal: Principal,
    sop_instance_uid: str,
    receiver: str,
    *,
    deletion_lock: bool = False,
    match: Document | None = None,
    by_channel: bool = False,
) -> None:
    """To one work item, or with a well-known UID to all, now and later.

    `match` has the keys of a filter, as an identifier in the DICOM JSON Model; `by_channel`: the
    reports wait for the principal's event channel. Work items are never deleted, so every deletion
    lock is granted. Raises NotPermitted, UpsFault, InvalidRequest.
    """
    permit(principal, Permission.VIEW_WORKLIST)
    with transaction.atomic():
        if by_channel:
            channel_of(principal, receiver)
        if sop_instance_uid in _GLOBAL:
            filtered = sop_instance_uid == ups.FILTERED_SUBSCRIPTION
            wanted = match or {} if filtered else {}
            others = WorkItemSubscription.objects.filter(receiver=receiver, work_item=None)
            if others.exclude(filter=wanted).exists():
                _check_speaks_for(principal, receiver)
            _to_all(receiver, wanted, deletion_lock=deletion_lock)
        else:
            item = _item(sop_instance_uid)
            WorkItemSubscription.objects.update_or_create(
                receiver=receiver, work_item=item, defaults={"deletion_lock": deletion_lock}
            )
            tell_receivers(item, [(STATE_REPORT, state_report(item.document))], [receiver])
        _record(principal, "WorkItemSubscribed", sop_instance_uid, receiver)


def unsubscribe(principal: Principal, sop_instance_uid: str, receiver: str) -> bool:
    """From one work item; with the global UID from all, now and later. Raises as `subscribe`.

    False where there was nothing to end.
    """
    _check_speaks_for(principal, receiver)
    with transaction.atomic():
        rows = WorkItemSubscription.objects.filter(receiver=receiver)
        if sop_instance_uid not in _GLOBAL:
            rows = rows.filter(work_item=_item(sop_instance_uid))
        ended, _ = rows.delete()
        _record(principal, "WorkItemUnsubscribed", sop_instance_uid, receiver)
    return bool(ended)


def suspend(principal: Principal, sop_instance_uid: str, receiver: str) -> bool:
    """From what is to come alone; only of the global subscriptions. Raises as `subscribe`.

    False where there was nothing to end.
    """
    _check_speaks_for(principal, receiver)
    if sop_instance_uid not in _GLOBAL:
        raise UpsFault(Fault.NOT_APPROPRIATE)
    with transaction.atomic():
        own = WorkItemSubscription.objects.filter(receiver=receiver, work_item=None)
        ended, _ = own.delete()
        _record(principal, "WorkItemSubscriptionSuspended", sop_instance_uid, receiver)
    return bool(ended)


def _check_speaks_for(principal: Principal, receiver: str) -> None:
    """Ending a subscription, or another filter for it, is for the subscriber (PS3.4 CC.2.3).

    Or for who manages the worklist. A user is the subscriber where nobody else listens for the AE
    title and no known AE has it. Raises NotPermitted.
    """
    permit(principal, Permission.VIEW_WORKLIST)
    if principal.may(Permission.MANAGE_WORKLIST):
        return
    if principal.kind is PrincipalKind.APPLICATION_ENTITY and principal.name == receiver:
        return
    own = EventChannel.objects.filter(receiver=receiver, user_id=principal.user_id or 0)
    if not (own.exists() and may_use(principal, receiver)):
        raise NotPermitted(f"The subscriptions of {receiver} are not yours to change.")


def _to_all(receiver: str, match: Document, *, deletion_lock: bool) -> None:
    query = WorkItemQuery(keys_of(match))
    if query.unsupported:
        # A key we cannot match by must not silently widen what is told.
        offending = tuple(f"{key.path[-1]:08X}" for key in query.unsupported)
        raise InvalidValue("The filter has a key that cannot be matched.", offending=offending)
    WorkItemSubscription.objects.update_or_create(
        receiver=receiver,
        work_item=None,
        defaults={"deletion_lock": deletion_lock, "filter": match},
    )
    own = WorkItemSubscription.objects.filter(receiver=receiver).exclude(work_item=None)
    others = query.narrow(WorkItem.objects.exclude(pk__in=own.values("work_item")))
    new = [item for item in others if query.answer(item.document) is not None]
    WorkItemSubscription.objects.bulk_create(
        [
            WorkItemSubscription(receiver=receiver, work_item=item, deletion_lock=deletion_lock)
            for item in new
        ]
    )
    if deletion_lock:
        for item in new:
            tell_receivers(item, [(STATE_REPORT, state_report(item.document))], [receiver])


def _item(sop_instance_uid: str) -> WorkItem:
    item = WorkItem.objects.filter(sop_instance_uid=sop_instance_uid).first()
    if item is None:
        raise UpsFault(Fault.UNKNOWN)
    return item


def _record(principal: Principal, kind: str, uid: str, receiver: str) -> None:
    payload = {"work_item": uid, "receiver": receiver}
    record([NewEvent(kind, actor_of(principal), payload=payload)])
