"""What an acceptor's association tells the recorder (`apps.network.recorder`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from apps.dimse.negotiation import Proposal, Result, Verdict
from apps.dimse.offered import VERIFICATION
from apps.dimse.service import Role
from apps.network.association_note import AssociationNote, ContextNote, Ending
from apps.network.explanation import Why
from apps.network.tls import Secured


def begun(name: str, address: tuple[Any, ...], tls: Secured | None = None) -> AssociationNote:
    """The note of a connection whose first PDU is complete; `name` is that of the log lines."""
    now = timezone.now()
    return AssociationNote(
        name=f"{name}@{int(now.timestamp() * 1000)}",
        started_at=now,
        address=str(address[0]),
        port=int(address[1]),
        tls=tls.description if tls else "",
        certificate=tls.subject if tls else "",
    )


def requested(note: AssociationNote, requestor: Any) -> None:
    """Who calls, from pynetdicom's `ServiceUser` of the requestor."""
    request = requestor.primitive
    note.calling_ae_title = str(request.calling_ae_title).strip()
    note.called_ae_title = str(request.called_ae_title).strip()
    note.implementation_class_uid = str(requestor.implementation_class_uid or "")
    note.implementation_version_name = str(requestor.implementation_version_name or "")
    note.maximum_length = int(requestor.maximum_length or 0)


def turned_away(note: AssociationNote, proposals: Iterable[Proposal]) -> None:
    """What a rejected caller proposed: it tells what the device is."""
    note.contexts = tuple(
        ContextNote(
            each.context_id,
            each.abstract_syntax,
            each.transfer_syntaxes,
            int(Result.USER_REJECTION),
            Why.NOT_JUDGED,
        )
        for each in proposals
    )


def judged(
    note: AssociationNote,
    verdicts: Iterable[Verdict],
    proposed: dict[str, Role],
    granted: dict[str, Role],
) -> None:
    """What was answered to each presentation context, and why."""
    note.contexts = tuple(
        ContextNote(
            context_id=verdict.proposal.context_id,
            abstract_syntax=verdict.proposal.abstract_syntax,
            proposed=verdict.proposal.transfer_syntaxes,
            result=int(verdict.result),
            why=verdict.why,
            transfer_syntax=verdict.transfer_syntax,
            roles_proposed=_roles(proposed.get(verdict.proposal.abstract_syntax)),
            roles_granted=_roles(granted.get(verdict.proposal.abstract_syntax)),
        )
        for verdict in verdicts
    )


def ended(association: Any) -> None:
    """How it ended: released, or the first cause that was seen, else we aborted it."""
    note: AssociationNote = association.note
    ending, reason = association.cause or (Ending.ABORTED, "")
    if association.is_released:
        ending, reason = Ending.RELEASED, ""
    note.end(ending, timezone.now(), reason)


def is_health_check(note: AssociationNote, own_title: str) -> bool:
    """True for `apps.dimse.health`, which asks several times a minute and is no news."""
    return (
        note.calling_ae_title == own_title
        and not note.operations
        and {each.abstract_syntax for each in note.contexts} <= {VERIFICATION}
    )


def _roles(role: Role | None) -> str:
    if role is None:
        return ""
    return " ".join(name for name, is_set in (("SCU", role.scu), ("SCP", role.scp)) if is_set)
