"""ask_peers: peers are asked to commit to what we sent them, and reminded (PS3.4 J.3.2)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.access.principals import Permission, Principal, permit
from apps.commitment import leases
from apps.commitment.actions.record_report import record_report
from apps.commitment.models import CommitmentInquiry, InquiredReferences
from apps.commitment.references import (
    chunks_without_repetition,
    pack_references,
    unpack_references,
)
from apps.commitment.selectors import commitment_policy
from apps.dicom.storage_commitment import Reference, action_information
from apps.dicom.uids import mint
from apps.errors import NotFound, PacsError
from apps.events.log import Actor, NewEvent, record
from apps.network.models import ApplicationEntity
from apps.network.storage_commitment import Report, ask, remote_of

logger = logging.getLogger(__name__)
State = CommitmentInquiry.State

ATTEMPTS_WITHOUT_REPORT: Final = 3
_AT_ONCE: Final = 20
_SAME_ASSOCIATION_SECONDS: Final = 10.0
_GIVE_UP_AFTER: Final = timedelta(days=14)
_ACTOR: Final = Actor("system", "storage commitment")


def request_commitment(
    peer: ApplicationEntity, sent: Iterable[tuple[str, str]], purpose: str = ""
) -> CommitmentInquiry | None:
    """Queues the question whether `peer` commits to (SOP Class UID, SOP Instance UID) pairs.

    Durable when the caller's transaction is; asked within seconds. None for no pairs.
    """
    wanted = chunks_without_repetition(Reference(*pair) for pair in sent)
    first = next(wanted, None)
    if first is None:
        return None
    with transaction.atomic():
        inquiry = CommitmentInquiry.objects.create(
            transaction_uid=mint(),
            peer=peer,
            peer_title=peer.title.strip(),
            purpose=purpose[:200],
            created_at=timezone.now(),
        )
        for number, chunk in enumerate(chain([first], wanted)):
            inquiry.instances += len(chunk)
            InquiredReferences.objects.create(
                inquiry=inquiry, number=number, packed=pack_references(chunk)
            )
        inquiry.save(update_fields=["instances"])
    return inquiry


def ask_peers(same_association_seconds: float = _SAME_ASSOCIATION_SECONDS) -> int:
    """Asks every peer whose turn has come; how many accepted the question."""
    now = timezone.now()
    rows = CommitmentInquiry.objects.filter(
        leases.due(now), leases.free(now), state__in=(State.TO_ASK, State.ASKED)
    )
    accepted = 0
    for inquiry in rows.select_related("peer").order_by("created_at", "pk")[:_AT_ONCE]:
        if leases.take(CommitmentInquiry.objects.filter(pk=inquiry.pk, state=inquiry.state)):
            accepted += _ask(inquiry, same_association_seconds)
    return accepted


def ask_again(principal: Principal, inquiry: CommitmentInquiry) -> bool:
    """For a person who has seen to the reason: the question is put anew, at once.

    False for one that is answered well or on its way. Raises NotPermitted, and NotFound where the
    peer was removed and none has its title.
    """
    permit(principal, Permission.ADMINISTER)
    with transaction.atomic():
        peer = ApplicationEntity.objects.filter(title=inquiry.peer_title).first()
        if peer is None:
            raise NotFound(f"{inquiry.peer_title} is no application entity here any more.")
        changed = CommitmentInquiry.objects.filter(
            leases.free(timezone.now()), pk=inquiry.pk
        ).exclude(state=State.COMMITTED)
        if not changed.update(
            state=State.TO_ASK,
            peer=peer,
            transaction_uid=mint(),
            attempts=0,
            reminders=0,
            failed=0,
            next_attempt_at=None,
            problem="",
        ):
            return False
        inquiry.references.update(outcomes=None)
        actor = Actor(principal.kind.value, principal.name, principal.address, principal.door)
        record([NewEvent("CommitmentAskedAgain", actor, payload={"inquiry": inquiry.pk})])
    return True


def _ask(inquiry: CommitmentInquiry, wait_seconds: float) -> bool:
    peer = inquiry.peer
    if peer is None:
        _give_up(inquiry, f"{inquiry.peer_title} was removed here before it had answered.")
        return False
    if inquiry.state == State.ASKED and not _asked_anew(inquiry):
        return False
    began = timezone.now()
    try:
        ask(
            remote_of(settings.PACSWEB.ae_title, peer, peer.title),
            lambda implicit: action_information(
                inquiry.transaction_uid, _wanted(inquiry), implicit=implicit
            ),
            lambda report: _heard(inquiry, report),
            wait_seconds,
        )
    except PacsError as error:
        _postpone(inquiry, error.message)
        return False
    within = timedelta(hours=commitment_policy().answer_within_hours)
    CommitmentInquiry.objects.filter(pk=inquiry.pk, state__in=(State.TO_ASK, State.ASKED)).update(
        state=State.ASKED, next_attempt_at=timezone.now() + within, attempts=0, problem=""
    )
    # The report may have come on the same association: then only this is left to say.
    CommitmentInquiry.objects.filter(pk=inquiry.pk).update(asked_at=began, leased_until=None)
    return True


def _wanted(inquiry: CommitmentInquiry) -> Iterator[Reference]:
    rows = inquiry.references.order_by("number").values_list("packed", flat=True)
    for packed in rows.iterator(chunk_size=1):
        for pair in unpack_references(bytes(packed)):
            yield Reference(*pair)


def _heard(inquiry: CommitmentInquiry, report: Report) -> int:
    """The status for the peer's report on our own association."""
    try:
        record_report(inquiry.peer_title, report.information, implicit=report.implicit)
    except PacsError as error:
        logger.warning("A storage commitment report was refused: %s", error.message)
        return _INVALID_ARGUMENT
    return 0


_INVALID_ARGUMENT: Final = 0x0115


def _asked_anew(inquiry: CommitmentInquiry) -> bool:
    """No report came in time: a new transaction, up to a limit; False when that is reached."""
    silent = f"{inquiry.peer_title} accepted the request and has not reported."
    if inquiry.reminders + 1 >= ATTEMPTS_WITHOUT_REPORT:
        _give_up(inquiry, silent)
        return False
    inquiry.reminders += 1
    inquiry.transaction_uid = mint()
    inquiry.state = State.TO_ASK
    inquiry.problem = f"{silent} It is asked again."
    inquiry.save(update_fields=["reminders", "transaction_uid", "state", "problem"])
    return True


def _postpone(inquiry: CommitmentInquiry, problem: str) -> None:
    now = timezone.now()
    if now - inquiry.created_at > _GIVE_UP_AFTER:
        _give_up(inquiry, problem)
        return
    attempts = inquiry.attempts + 1
    CommitmentInquiry.objects.filter(pk=inquiry.pk).update(
        attempts=attempts,
        problem=problem,
        leased_until=None,
        next_attempt_at=now + leases.back_off(attempts),
    )
    logger.warning("Storage commitment could not be asked for: %s", problem)


def _give_up(inquiry: CommitmentInquiry, problem: str) -> None:
    with transaction.atomic():
        CommitmentInquiry.objects.filter(pk=inquiry.pk).update(
            state=State.GIVEN_UP, problem=problem, leased_until=None, next_attempt_at=None
        )
        told = {"inquiry": inquiry.pk, "peer": inquiry.peer_title, "problem": problem}
        record([NewEvent("CommitmentNotObtained", _ACTOR, payload=told)])
