"""deliver_reports: the N-EVENT-REPORT reaches who asked, sooner or later (PS3.4 J.3.3).

On the association the request came by while that is open, else on a new one that we open under
the AE title which was asked. Whoever delivers holds the request's lease; what was sent and not
written down before a crash is sent once more.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.access.principals import Permission, Principal, permit
from apps.commitment import leases
from apps.commitment.actions.accept_request import ASSOCIATION_LEASE, WEB
from apps.commitment.actions.note_committed import note_committed
from apps.commitment.models import CommitmentRequest
from apps.commitment.selectors import commitment_policy, event_type_of, information_of
from apps.errors import PacsError
from apps.events.log import Actor, NewEvent, record
from apps.network.associate_items import Remote
from apps.network.models import ApplicationEntity
from apps.network.storage_commitment import remote_of, send_report

logger = logging.getLogger(__name__)
State = CommitmentRequest.State

NEW_ASSOCIATION: Final = "a new association"
SAME_ASSOCIATION: Final = "the association of the request"
_AT_ONCE: Final = 50


def deliver_reports() -> int:
    """Tries every report that is due and nobody delivers; how many arrived."""
    note_committed()
    now = timezone.now()
    rows = CommitmentRequest.objects.filter(
        leases.due(now), leases.free(now), _unattended(now), state=State.VERIFIED
    ).exclude(door=WEB)
    delivered = 0
    silent: set[str] = set()
    for request in rows.order_by("verified_at", "pk")[:_AT_ONCE]:
        if request.calling_ae_title in silent or not _take(request.pk, _unattended(now)):
            continue
        if _deliver(request):
            delivered += 1
        else:
            silent.add(request.calling_ae_title)
    note_committed()
    return delivered


def _unattended(now: datetime) -> Q:
    return Q(association_until=None) | Q(association_until__lt=now)


def _take(pk: int, condition: Q) -> bool:
    return leases.take(CommitmentRequest.objects.filter(condition, pk=pk, state=State.VERIFIED))


def _deliver(request: CommitmentRequest) -> bool:
    try:
        send_report(
            _remote(request),
            event_type_of(request),
            lambda implicit: information_of(request, implicit=implicit),
        )
    except PacsError as error:
        postpone_report(request, error.message)
        return False
    mark_reported(request, NEW_ASSOCIATION)
    return True


def _remote(request: CommitmentRequest) -> Remote:
    title = request.calling_ae_title
    peer = ApplicationEntity.objects.filter(title=title).first()
    return remote_of(request.called_ae_title, peer, title)


def postpone_report(request: CommitmentRequest, problem: str) -> None:
    """This attempt failed. Others for the same peer wait as long: it is the peer that is away."""
    now = timezone.now()
    attempts = request.attempts + 1
    limit = timedelta(days=commitment_policy().report_for_days)
    over = request.verified_at is not None and now - request.verified_at > limit
    with transaction.atomic():
        CommitmentRequest.objects.filter(pk=request.pk).update(
            state=State.GIVEN_UP if over else State.VERIFIED,
            attempts=attempts,
            problem=problem,
            leased_until=None,
        )
        CommitmentRequest.objects.filter(
            state=State.VERIFIED, calling_ae_title=request.calling_ae_title
        ).update(next_attempt_at=now + leases.back_off(attempts))
        if over:
            record([_event(request, "CommitmentNotDelivered", {"problem": problem})])
    logger.warning("A storage commitment report was not delivered: %s", problem)


def try_report_again(principal: Principal, request: CommitmentRequest) -> bool:
    """For a person who has seen to the reason: the report goes out at once, on a new association.

    False for one that is delivered or not verified yet. Raises NotPermitted.
    """
    permit(principal, Permission.ADMINISTER)
    with transaction.atomic():
        changed = (
            CommitmentRequest.objects.filter(
                leases.free(timezone.now()),
                pk=request.pk,
                state__in=(State.VERIFIED, State.GIVEN_UP),
            )
            .exclude(door=WEB)
            .update(
                state=State.VERIFIED,
                verified_at=timezone.now(),
                attempts=0,
                next_attempt_at=None,
                association="",
                association_until=None,
            )
        )
        if changed:
            actor = Actor(principal.kind.value, principal.name, principal.address, principal.door)
            told = {"request": request.pk}
            record([NewEvent("CommitmentReportRetried", actor, payload=told)])
    return bool(changed)


def mark_reported(request: CommitmentRequest, on: str) -> None:
    """The peer has answered Success: the promise is given, and the transaction is over."""
    with transaction.atomic():
        CommitmentRequest.objects.filter(pk=request.pk).update(
            state=State.REPORTED,
            reported_at=timezone.now(),
            reported_on=on,
            problem="",
            leased_until=None,
            next_attempt_at=None,
        )
        record(
            [
                _event(
                    request,
                    "CommitmentReported",
                    {"committed": request.instances - request.failed, "failed": request.failed},
                )
            ]
        )


def _event(request: CommitmentRequest, kind: str, payload: dict[str, object]) -> NewEvent:
    actor = Actor("system", "storage commitment")
    told = {"request": request.pk, "peer": request.calling_ae_title, **payload}
    return NewEvent(kind, actor, payload=told)


# --- on the association of the request ------------------------------------------------------------


def keep_association(association: str) -> None:
    """The association is open: its claim on the reports is renewed."""
    CommitmentRequest.objects.filter(
        association=association, state__in=(State.RECEIVED, State.VERIFIED)
    ).update(association_until=timezone.now() + ASSOCIATION_LEASE)


def take_ready(association: str) -> list[CommitmentRequest]:
    """The reports that may go by the association now, taken."""
    ready = CommitmentRequest.objects.filter(association=association, state=State.VERIFIED)
    return [each for each in ready.order_by("verified_at", "pk") if _take(each.pk, Q())]


def release_report(request: CommitmentRequest, problem: str) -> None:
    """The association did not deliver it: it goes by a new one."""
    CommitmentRequest.objects.filter(pk=request.pk).update(
        leased_until=None, association="", association_until=None, problem=problem
    )


def leave_association(association: str) -> None:
    """The association is over: what it has not delivered goes by a new one, at once."""
    CommitmentRequest.objects.filter(
        association=association, state__in=(State.RECEIVED, State.VERIFIED)
    ).update(association="", association_until=None)
