"""deliver: what waits for other systems is sent, in order, until each has it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit, system_principal
from apps.dicom import ups
from apps.errors import NotAcceptable, NotFound, PacsError, Unavailable, WrongState
from apps.events.log import NewEvent, record
from apps.network.associate_items import Remote
from apps.network.normalized import NormalizedAssociation, Outcome, normalized_association
from apps.worklist.models import Delivery, WorkflowPeer

MPPS: Final = "1.2.840.10008.3.1.2.3.3"
AVAILABILITY: Final = "1.2.840.10008.5.1.4.33"
_CLASS_OF: Final = {
    Delivery.Kind.CREATE: MPPS,
    Delivery.Kind.SET: MPPS,
    Delivery.Kind.AVAILABILITY: AVAILABILITY,
    Delivery.Kind.EVENT: ups.EVENT,
}
_EVENT_OF: Final = {
    Delivery.State.DELIVERED: "DeliveryEnded",
    Delivery.State.REFUSED: "DeliveryRefused",
    Delivery.State.CANCELLED: "DeliveryCancelled",
}
# Nobody else takes a delivery while it is under way; after a crash it is free again by itself.
_LEASE: Final = timedelta(minutes=2)
_FIRST_WAIT: Final = 10.0
_LONGEST_WAIT: Final = 3600.0
_DUPLICATE: Final = 0x0111
# The same request may succeed later: processing failure, resources, no such instance *yet*.
_PASSING: Final = frozenset({0x0110, 0x0112, 0x0213, 0xA700})
_AT_ONCE: Final = 200


def deliver() -> int:
    """Tries everything that is due, one association for each destination; how many arrived."""
    now = timezone.now()
    due = Delivery.objects.filter(state=Delivery.State.WAITING, next_attempt_at__lte=now)
    for orphan in due.filter(destination=None)[:_AT_ONCE]:
        _end(orphan, Delivery.State.CANCELLED, f"{orphan.destination_title} was removed here.")
    destinations = WorkflowPeer.objects.filter(
        pk__in=due.values("destination"), enabled=True, application_entity__enabled=True
    ).select_related("application_entity")
    return sum(_deliver_to(each) for each in destinations)


def _deliver_to(destination: WorkflowPeer) -> int:
    return sum(_deliver_class(destination, uid) for uid in dict.fromkeys(_CLASS_OF.values()))


def _deliver_class(destination: WorkflowPeer, sop_class_uid: str) -> int:
    kinds = [kind for kind, uid in _CLASS_OF.items() if uid == sop_class_uid]
    waiting = destination.deliveries.filter(state=Delivery.State.WAITING, kind__in=kinds)
    claimed = [each for each in waiting.order_by("pk")[:_AT_ONCE] if _claim(each)]
    if not claimed:
        return 0
    try:
        # Events are the SCP's to send (PS3.4 CC.2.4), on an association it opens.
        scp = sop_class_uid == ups.EVENT
        remote = _remote(destination)
        with normalized_association(remote, sop_class_uid, as_scp=scp) as association:
            return _send_all(association, claimed)
    except PacsError as error:
        for each in claimed:
            _later(each, error.message)
    return 0


def _remote(destination: WorkflowPeer) -> Remote:
    entity = destination.application_entity
    if not entity.host or not entity.port:
        raise NotAcceptable("The destination has no host and port.")
    own_title = settings.PACSWEB.ae_title
    return Remote(entity.title.strip(), entity.host, entity.port, own_title, entity.use_tls)


def _claim(delivery: Delivery) -> bool:
    """Takes the delivery unless somebody else has it."""
    now = timezone.now()
    taken = Delivery.objects.filter(
        pk=delivery.pk, state=Delivery.State.WAITING, next_attempt_at__lte=now
    ).update(next_attempt_at=now + _LEASE, attempts=F("attempts") + 1)
    delivery.attempts += taken
    return bool(taken)


def _send_all(association: NormalizedAssociation, claimed: list[Delivery]) -> int:
    """In order; after a failure the later messages about the same object wait too."""
    done = 0
    held: set[str] = set()
    for delivery in claimed:
        if delivery.sop_instance_uid in held or _has_older(delivery):
            _later(delivery, "An earlier message about it has to arrive first.")
            continue
        try:
            outcome = _send(association, delivery)
        except Unavailable as error:
            held.add(delivery.sop_instance_uid)
            _later(delivery, error.message)
            continue
        if _settle(delivery, outcome):
            done += 1
        elif outcome.status in _PASSING:
            held.add(delivery.sop_instance_uid)
    return done


def _has_older(delivery: Delivery) -> bool:
    return Delivery.objects.filter(
        destination_id=delivery.destination_id,
        sop_instance_uid=delivery.sop_instance_uid,
        state=Delivery.State.WAITING,
        pk__lt=delivery.pk,
    ).exists()


def _send(association: NormalizedAssociation, delivery: Delivery) -> Outcome:
    if delivery.kind == Delivery.Kind.SET:
        return association.set(delivery.sop_instance_uid, delivery.document)
    if delivery.kind == Delivery.Kind.EVENT:
        event = delivery.event_type or 0
        return association.report(ups.PUSH, delivery.sop_instance_uid, event, delivery.document)
    return association.create(delivery.sop_instance_uid, delivery.document)


def _settle(delivery: Delivery, outcome: Outcome) -> bool:
    duplicate = delivery.kind != Delivery.Kind.SET and outcome.status == _DUPLICATE
    if outcome.accepted or duplicate:
        _end(delivery, Delivery.State.DELIVERED, "")
        return True
    words = f"{outcome.status:04X} {outcome.comment}".strip()
    if outcome.status in _PASSING:
        _later(delivery, words)
    else:
        _end(delivery, Delivery.State.REFUSED, words)
    return False


def _end(delivery: Delivery, state: Delivery.State, error: str) -> None:
    with transaction.atomic():
        Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.WAITING).update(
            state=state, ended_at=timezone.now(), last_error=error[:200]
        )
        kind = _EVENT_OF[state]
        payload = {
            "delivery": delivery.pk,
            "kind": delivery.kind,
            "about": delivery.sop_instance_uid,
        }
        record([NewEvent(kind, actor_of(system_principal("worklist")), payload=payload)])


def _later(delivery: Delivery, error: str) -> None:
    """Waits twice as long after each attempt, at most an hour; it is never given up."""
    wait = min(_FIRST_WAIT * 2 ** min(max(delivery.attempts - 1, 0), 16), _LONGEST_WAIT)
    Delivery.objects.filter(pk=delivery.pk, state=Delivery.State.WAITING).update(
        next_attempt_at=timezone.now() + timedelta(seconds=wait), last_error=error[:200]
    )


def decide_delivery(principal: Principal, delivery_id: int, *, retry: bool) -> None:
    """A person has it tried again at once, or gives it up.

    Raises NotPermitted, NotFound, and WrongState where nobody is left to tell it to.
    """
    permit(principal, Permission.ADMINISTER)
    state = Delivery.State.WAITING if retry else Delivery.State.CANCELLED
    with transaction.atomic():
        now = timezone.now()
        rows = Delivery.objects.filter(pk=delivery_id)
        if retry and rows.filter(destination=None).exists():
            raise WrongState("The other system was removed here.")
        changed = rows.exclude(state=Delivery.State.DELIVERED).update(
            state=state, next_attempt_at=now, ended_at=None if retry else now
        )
        if not changed:
            raise NotFound("There is no such delivery, or it has arrived.")
        payload = {"delivery": delivery_id}
        kind = "DeliveryRetried" if retry else "DeliveryCancelled"
        record([NewEvent(kind, actor_of(principal), payload=payload)])
