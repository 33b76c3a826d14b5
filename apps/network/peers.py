"""Who may associate: the peers and the policy as one immutable picture, and its decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv6Address, ip_address


class Refusal(Enum):
    """Why a caller is turned away."""

    CALLING_TITLE = "calling AE title not recognised"
    CALLED_TITLE = "called AE title not recognised"
    ADDRESS = "calling AE title not recognised from this address"


class Right(Enum):
    """What a caller may do here; the values are the columns of ApplicationEntity."""

    STORE = "may_store"
    QUERY = "may_query"
    WORKLIST = "may_worklist"
    MPPS = "may_mpps"
    COMMIT = "may_commit"


@dataclass(frozen=True, slots=True)
class Peer:
    """One ApplicationEntity row; `addresses` is what its host resolved to, if that matters."""

    title: str
    enabled: bool
    rights: frozenset[Right]
    match_address: bool
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Admission:
    """What an accepted caller may do, and whether it is one we know."""

    rights: frozenset[Right]
    known: bool

    def may(self, right: Right | None) -> bool:
        """True when the caller has the right, or none is needed."""
        return right is None or right in self.rights


@dataclass(frozen=True, slots=True)
class Peers:
    """All peers and the policy, as last read."""

    accept_unknown: bool
    accept_unknown_on_loopback: bool
    check_called_title: bool
    max_associations: int
    record_associations: bool = True
    record_refused_uids: bool = False
    by_title: dict[str, Peer] = field(default_factory=dict)

    def admit(
        self, *, calling: str, called: str, address: str, own_title: str, bound_to_loopback: bool
    ) -> Admission | Refusal:
        """The decision for one caller. Titles compare without outer spaces, case-sensitive."""
        if self.check_called_title and called.strip() != own_title.strip():
            return Refusal.CALLED_TITLE
        peer = self.by_title.get(calling.strip())
        if peer is None:
            if self.accept_unknown or (self.accept_unknown_on_loopback and bound_to_loopback):
                return Admission(frozenset(Right), known=False)
            return Refusal.CALLING_TITLE
        if not peer.enabled:
            return Refusal.CALLING_TITLE
        if peer.match_address and plain_address(address) not in peer.addresses:
            return Refusal.ADDRESS
        return Admission(peer.rights, known=True)


def plain_address(address: str) -> str:
    """One spelling per address: IPv4 inside IPv6 becomes IPv4, zone and case are dropped."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)
