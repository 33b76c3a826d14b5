"""Which presentation contexts we accept, and how (PS3.8 9.3.3.2, PS3.7 D.3.3.4).

All of it follows from the table of offered services and the caller's rights.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from apps.dicom import transfer_syntaxes
from apps.dimse.offered import BY_ABSTRACT_SYNTAX, is_storage
from apps.dimse.service import Role
from apps.network.explanation import Why
from apps.network.peers import Admission, ContextRules, Right

_ONLY_SCU = Role(scu=True, scp=False)
_NEITHER = Role(scu=False, scp=False)


class Result(IntEnum):
    """Result/Reason of a presentation context (PS3.8 table 9-18)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class Proposal:
    """One presentation context as proposed."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one proposal: one Transfer Syntax and a role, both empty unless accepted."""

    proposal: Proposal
    result: Result
    why: Why
    transfer_syntax: str = ""
    role: Role = _NEITHER


def granted_role(
    abstract_syntax: str, proposed: Role | None, admission: Admission, *, room: bool
) -> Role:
    """What the requestor may be: a proposed 1 may become 0, never the other way.

    Nothing proposed means SCU alone. The SCP role for storage is for C-GET, so it takes the right
    to retrieve; the SCU role takes the right to store, and room.
    """
    wanted = proposed or _ONLY_SCU
    service = BY_ABSTRACT_SYNTAX.get(abstract_syntax)
    if service is not None:
        allowed = service.role if admission.may(service.right) else _NEITHER
    elif is_storage(abstract_syntax):
        allowed = Role(scu=room and admission.may(Right.STORE), scp=admission.may(Right.QUERY))
    else:
        allowed = _NEITHER
    return Role(scu=wanted.scu and allowed.scu, scp=wanted.scp and allowed.scp)


def judge(
    proposal: Proposal, proposed: Role | None, admission: Admission, *, room: bool
) -> Verdict:
    """The verdict on one context; each is judged on its own, whatever else is proposed."""
    uid = proposal.abstract_syntax
    service = BY_ABSTRACT_SYNTAX.get(uid)
    if service is None and not is_storage(uid):
        return Verdict(proposal, Result.ABSTRACT_SYNTAX_NOT_SUPPORTED, Why.NOT_OFFERED)
    if uid in admission.rules.refused:
        return Verdict(proposal, Result.USER_REJECTION, Why.CLASS_FORBIDDEN)
    allowed = admission.rules.sop_classes
    if allowed and uid not in allowed and (service is None or service.right is not None):
        return Verdict(proposal, Result.USER_REJECTION, Why.CLASS_FORBIDDEN)
    role = granted_role(uid, proposed, admission, room=room)
    if role == _NEITHER:
        return _no_role(proposal, proposed, admission)
    chosen = _chosen(proposal, admission.rules)
    if chosen:
        return Verdict(proposal, Result.ACCEPTANCE, Why.ACCEPTED, chosen, role)
    otherwise = _chosen(proposal, ContextRules())
    why = Why.SYNTAX_FORBIDDEN if otherwise else Why.NO_COMMON_SYNTAX
    return Verdict(proposal, Result.TRANSFER_SYNTAXES_NOT_SUPPORTED, why)


def _no_role(proposal: Proposal, proposed: Role | None, admission: Admission) -> Verdict:
    uid = proposal.abstract_syntax
    if granted_role(uid, proposed, admission, room=True) != _NEITHER:
        return Verdict(proposal, Result.NO_REASON, Why.NO_ROOM)
    with_every_right = Admission(frozenset(Right), known=True)
    never = granted_role(uid, proposed, with_every_right, room=True) == _NEITHER
    return Verdict(proposal, Result.USER_REJECTION, Why.ROLE if never else Why.NOT_PERMITTED)


def only_stores(proposals: tuple[Proposal, ...]) -> bool:
    """True for a sender; false for one who only verifies or also wants other services."""
    services = [BY_ABSTRACT_SYNTAX.get(each.abstract_syntax) for each in proposals]
    if any(each is not None and each.right is not None for each in services):
        return False
    return any(is_storage(each.abstract_syntax) for each in proposals)


def _chosen(proposal: Proposal, rules: ContextRules) -> str:
    """What the rules prefer, else the sender's first choice among those we know.

    Unknown ones for storage only, where nothing else is offered: what cannot be read can still be
    kept.
    """
    service = BY_ABSTRACT_SYNTAX.get(proposal.abstract_syntax)
    known = transfer_syntaxes.BY_UID if service is None else service.transfer_syntaxes
    offered = [uid for uid in proposal.transfer_syntaxes if uid and uid not in rules.forbidden]
    for uid in (*(each for each in rules.preferred if each in offered), *offered):
        if uid in known:
            return uid
    return "" if service else next(iter(offered), "")
