"""Whether an association is accepted at all (PS3.8 9.3.4, table 9-21)."""

from __future__ import annotations

from dataclasses import dataclass

from apps.access.principals import Permission, Principal, PrincipalKind
from apps.dimse.associate_request import ILLEGIBLE
from apps.dimse.negotiation import Proposal, only_stores
from apps.dimse.offered import is_storage
from apps.network.peers import Admission, Peers, Refusal, Right
from apps.network.tls import Secured
from apps.storage.capacity import Capacity

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Result, Source and Reason/Diag. of an A-ASSOCIATE-RJ, and the same for people."""

    result: int
    source: int
    reason: int
    words: str


UNKNOWN_CALLING = Rejection(1, 1, 3, "calling AE title not recognised")
WRONG_ADDRESS = Rejection(1, 1, 3, "calling AE title not recognised from this address")
UNKNOWN_CALLED = Rejection(1, 1, 7, "called AE title not recognised")
TLS_REQUIRED = Rejection(1, 1, 1, "TLS required")
WRONG_CERTIFICATE = Rejection(1, 1, 3, "certificate not accepted for this AE title")
WRONG_APPLICATION_CONTEXT = Rejection(1, 1, 2, "application context name not supported")
BAD_IDENTITY = Rejection(1, 2, 1, "user identity not confirmed")
NOT_READY = Rejection(2, 3, 1, "policy not readable yet")
TOO_MANY = Rejection(2, 3, 2, "too many associations")
NO_ROOM = Rejection(2, 3, 2, "storage below its watermark")

_REFUSALS = {
    Refusal.CALLING_TITLE: UNKNOWN_CALLING,
    Refusal.CALLED_TITLE: UNKNOWN_CALLED,
    Refusal.ADDRESS: WRONG_ADDRESS,
    Refusal.TLS: TLS_REQUIRED,
    Refusal.CERTIFICATE: WRONG_CERTIFICATE,
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for what."""

    calling: str
    called: str
    address: str
    application_context: str
    proposals: tuple[Proposal, ...]
    secured: Secured | None = None  # None on a plain connection


@dataclass(frozen=True, slots=True)
class House:
    """How things stand on our side at this moment."""

    own_title: str
    bound_to_loopback: bool
    peers: Peers | None
    associations: int
    capacity: Capacity


def admit(caller: Caller, house: House) -> Admission | Rejection:
    """Permanent reasons first: a caller who may never come is not told to try again."""
    malformed = _malformed(caller)
    if malformed is not None:
        return malformed
    if house.peers is None:
        # The database was away since we started: turning a known modality off for good would be
        # wrong, letting a stranger in too.
        return NOT_READY
    admission = house.peers.admit(
        calling=caller.calling,
        called=caller.called,
        address=caller.address,
        own_title=house.own_title,
        bound_to_loopback=house.bound_to_loopback,
        secured=caller.secured,
    )
    if isinstance(admission, Refusal):
        return _REFUSALS[admission]
    if house.associations >= house.peers.max_associations:
        return TOO_MANY
    if not house.capacity.accepts_associations and only_stores(caller.proposals):
        return NO_ROOM
    return admission


def _malformed(caller: Caller) -> Rejection | None:
    """What no setting can allow."""
    if caller.application_context != APPLICATION_CONTEXT:
        return WRONG_APPLICATION_CONTEXT
    if caller.calling == ILLEGIBLE:
        return UNKNOWN_CALLING
    return UNKNOWN_CALLED if caller.called == ILLEGIBLE else None


_PERMISSIONS: dict[Right, frozenset[Permission]] = {
    Right.STORE: frozenset({Permission.STORE_INSTANCES}),
    Right.QUERY: frozenset({Permission.VIEW_IMAGES, Permission.TRANSFER_STUDIES}),
    Right.WORKLIST: frozenset({Permission.VIEW_WORKLIST}),
    Right.MPPS: frozenset({Permission.VIEW_WORKLIST, Permission.PERFORM_STEPS}),
    Right.UPS: frozenset(
        {Permission.VIEW_WORKLIST, Permission.MANAGE_WORKLIST, Permission.PERFORM_STEPS}
    ),
}


def principal_of(caller: Caller, admission: Admission) -> Principal:
    """The caller as selectors and actions know it."""
    return Principal(
        PrincipalKind.APPLICATION_ENTITY,
        caller.calling,
        door="dimse",
        address=caller.address,
        permissions=frozenset(
            permission
            for right, permissions in _PERMISSIONS.items()
            if admission.may(right)
            for permission in permissions
        ),
    )


def wants_to_store(caller: Caller, admission: Admission) -> bool:
    """Whether instances may come of it."""
    return admission.may(Right.STORE) and any(
        is_storage(each.abstract_syntax) for each in caller.proposals
    )
