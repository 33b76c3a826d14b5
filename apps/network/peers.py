"""Who may associate: the peers and the policy as one immutable picture, and its decision."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from apps.network.tls import Secured


class Refusal(Enum):
    """Why a caller is turned away."""

    CALLING_TITLE = "calling AE title not recognised"
    CALLED_TITLE = "called AE title not recognised"
    ADDRESS = "calling AE title not recognised from this address"
    TLS = "TLS required"
    CERTIFICATE = "certificate not accepted for this AE title"


class Right(Enum):
    """What a caller may do here; the values are the columns of ApplicationEntity."""

    STORE = "may_store"
    QUERY = "may_query"
    WORKLIST = "may_worklist"
    MPPS = "may_mpps"
    UPS = "may_ups"
    COMMIT = "may_commit"


@dataclass(frozen=True, slots=True)
class ContextRules:
    """What of a peer's presentation contexts is accepted, beyond what its rights say."""

    sop_classes: frozenset[str] = frozenset()
    """The only ones accepted, Verification aside; empty for all."""
    preferred: tuple[str, ...] = ()
    """Transfer Syntaxes taken before the caller's own first choice, the best first."""
    forbidden: frozenset[str] = frozenset()
    """Transfer Syntaxes never taken."""
    refused: frozenset[str] = frozenset()
    """SOP Classes taken from nobody."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One ApplicationEntity row; `addresses` is what its host resolved to, if that matters."""

    title: str
    enabled: bool
    rights: frozenset[Right]
    match_address: bool
    addresses: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    require_tls: bool = False
    certificate_names: frozenset[str] = frozenset()
    rules: ContextRules = ContextRules()
    refuses_duplicates: bool = False

    def comes_from(self, address: str) -> bool:
        """Whether the address is one of its own; always, where none are laid down."""
        if not (self.match_address or self.networks):
            return True
        plain = plain_address(address)
        if self.match_address and plain in self.addresses:
            return True
        return any(ip_address(plain) in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Admission:
    """What an accepted caller may do, and whether it is one we know.

    With `refuses_duplicates` other content under a known SOP Instance UID is refused at once.
    """

    rights: frozenset[Right]
    known: bool
    rules: ContextRules = ContextRules()
    refuses_duplicates: bool = False

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
    require_tls: bool = False
    record_refused_uids: bool = False
    refused_sop_classes: frozenset[str] = frozenset()
    by_title: dict[str, Peer] = field(default_factory=dict)

    def admit(
        self,
        *,
        calling: str,
        called: str,
        address: str,
        own_title: str,
        bound_to_loopback: bool,
        secured: Secured | None = None,
    ) -> Admission | Refusal:
        """The decision for one caller. Titles compare without outer spaces, case-sensitive."""
        if self.check_called_title and called.strip() != own_title.strip():
            return Refusal.CALLED_TITLE
        peer = self.by_title.get(calling.strip())
        known = peer is not None and peer.enabled
        stranger = peer is None and (
            self.accept_unknown or (self.accept_unknown_on_loopback and bound_to_loopback)
        )
        if not (known or stranger):
            return Refusal.CALLING_TITLE
        if peer is not None and not peer.comes_from(address):
            return Refusal.ADDRESS
        refusal = self._insecure(peer, secured)
        if refusal is not None:
            return refusal
        if peer is None:
            rules = ContextRules(refused=self.refused_sop_classes)
            return Admission(frozenset(Right), known=False, rules=rules)
        return Admission(
            peer.rights,
            known=True,
            rules=replace(peer.rules, refused=self.refused_sop_classes),
            refuses_duplicates=peer.refuses_duplicates,
        )

    def _insecure(self, peer: Peer | None, secured: Secured | None) -> Refusal | None:
        """A certificate that is somebody's opens no other title; a title may demand one."""
        wanted = peer.certificate_names if peer is not None else frozenset()
        if secured is None:
            needed = self.require_tls or wanted or (peer is not None and peer.require_tls)
            return Refusal.TLS if needed else None
        if wanted:
            return None if wanted & secured.names else Refusal.CERTIFICATE
        taken = any(each.certificate_names & secured.names for each in self.by_title.values())
        return Refusal.CERTIFICATE if taken else None


def plain_address(address: str) -> str:
    """One spelling per address: IPv4 inside IPv6 becomes IPv4, zone and case are dropped."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)
