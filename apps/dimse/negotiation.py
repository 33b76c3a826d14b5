"""Which presentation contexts we accept, and how (PS3.8 9.3.3.2, PS3.7 D.3.3.4).

Storage is everything that is not known to be something else: each row of the table of SOP Classes,
and every UID the standard does not define. All Transfer Syntaxes are stored as received.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from pydicom.uid import UID_dictionary

from apps.dicom import sop_classes, transfer_syntaxes

VERIFICATION = "1.2.840.10008.1.1"

_PLAIN_TRANSFER_SYNTAXES = frozenset(
    row.uid for row in transfer_syntaxes.TABLE if row.codec == "native" and not row.encapsulated
)


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
class Role:
    """SCP/SCU role of the requestor for one SOP Class, proposed or granted (PS3.7 D.3.3.4)."""

    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one proposal: exactly one Transfer Syntax, empty unless accepted."""

    proposal: Proposal
    result: Result
    transfer_syntax: str = ""


def is_storage(abstract_syntax: str) -> bool:
    """True for what C-STORE may carry: known storage classes, private and unknown ones."""
    row = sop_classes.BY_UID.get(abstract_syntax)
    if row is not None:
        return row.storage
    return bool(abstract_syntax) and abstract_syntax not in UID_dictionary


def granted_role(abstract_syntax: str, proposed: Role | None) -> Role | None:
    """What we let the requestor be; None where no answer is due.

    A proposed 1 may become 0, never the other way. We send no C-STORE back on an association a
    peer opened, so the SCP role is not granted; who wants to be SCP alone is left with no role,
    which its contexts' rejection says.
    """
    if proposed is None or not proposed.scu:
        return None
    if not (is_storage(abstract_syntax) or abstract_syntax == VERIFICATION):
        return None
    return Role(scu=True, scp=False)


def judge(proposal: Proposal, proposed: Role | None, *, may_store: bool, room: bool) -> Verdict:
    """The verdict on one context; each is judged on its own, whatever else is proposed."""
    storage = is_storage(proposal.abstract_syntax)
    if not storage and proposal.abstract_syntax != VERIFICATION:
        return Verdict(proposal, Result.ABSTRACT_SYNTAX_NOT_SUPPORTED)
    if storage and not may_store:
        return Verdict(proposal, Result.USER_REJECTION)
    if storage and not room:
        return Verdict(proposal, Result.NO_REASON)
    if proposed is not None and not proposed.scu:
        return Verdict(proposal, Result.USER_REJECTION)
    chosen = _first_known(proposal) if storage else _first_plain(proposal)
    if not chosen:
        return Verdict(proposal, Result.TRANSFER_SYNTAXES_NOT_SUPPORTED)
    return Verdict(proposal, Result.ACCEPTANCE, chosen)


def _first_known(proposal: Proposal) -> str:
    """The sender's first choice among those we know.

    Unknown ones only where nothing else is offered: what cannot be read can still be kept.
    """
    for uid in proposal.transfer_syntaxes:
        if uid in transfer_syntaxes.BY_UID:
            return uid
    return next((uid for uid in proposal.transfer_syntaxes if uid), "")


def _first_plain(proposal: Proposal) -> str:
    return next((uid for uid in proposal.transfer_syntaxes if uid in _PLAIN_TRANSFER_SYNTAXES), "")
