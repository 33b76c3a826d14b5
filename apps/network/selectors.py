"""Reading the peers: one picture from the database, names resolved."""

from __future__ import annotations

import functools
import logging
import socket
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from apps.access.prepared import Prepared
from apps.access.principals import Permission, Principal, permit
from apps.network import rule_lists
from apps.network.models import ApplicationEntity, AssociationRecord, NetworkPolicy
from apps.network.peers import ContextRules, Peer, Peers, Right, plain_address

logger = logging.getLogger(__name__)


def network_policy() -> NetworkPolicy:
    """The one policy row, or its defaults where nobody has saved one."""
    return NetworkPolicy.objects.filter(pk=1).first() or NetworkPolicy(pk=1)


def read_peers() -> Peers:
    """All peers and the policy. Two queries, and a name look-up per address-checked peer."""
    policy = network_policy()
    choice = NetworkPolicy.UnknownCallers
    return Peers(
        accept_unknown=policy.unknown_callers == choice.ACCEPT,
        accept_unknown_on_loopback=policy.unknown_callers == choice.LOOPBACK,
        check_called_title=policy.check_called_title,
        max_associations=policy.max_associations,
        require_tls=policy.require_tls,
        record_refused_uids=policy.record_refused_uids,
        refused_sop_classes=_refused(policy),
        by_title={row.title.strip(): _peer(row) for row in ApplicationEntity.objects.all()},
    )


def peer_rows() -> list[list[tuple[Any, ...]]]:
    """What `read_peers` reads, as it stands in the database now; two compiled queries.

    Where it is the same as before, the picture of the peers is too, but for names of hosts.
    """
    return [each.rows() for each in _peer_questions()]


@functools.cache
def _peer_questions() -> tuple[Prepared, Prepared]:
    """Without what is noted of a peer and decides nothing."""
    noted = {"last_seen_at"}
    columns = [each.attname for each in ApplicationEntity._meta.fields if each.name not in noted]
    return (
        Prepared(NetworkPolicy.objects.filter(pk=1).values_list(), []),
        Prepared(ApplicationEntity.objects.order_by("pk").values_list(*columns), []),
    )


@dataclass(frozen=True, slots=True)
class SourceRules:
    """What is laid down for one sender's objects.

    `character_set` is what it means where its instances declare none, or a wrong one; `duplicates`
    is a value of ApplicationEntity.Duplicates.
    """

    character_set: tuple[str, ...]
    duplicates: str


def senders_with_rules() -> QuerySet[ApplicationEntity, tuple[str, str, str]]:
    """Title, character set and what becomes of duplicates, of those whose rules are not usual."""
    usual = {"default_character_set": "", "duplicates": ApplicationEntity.Duplicates.QUARANTINE}
    return ApplicationEntity.objects.exclude(**usual).values_list("title", *usual)


def source_rules() -> dict[str, SourceRules]:
    """By AE title, for the senders for which something is laid down. One query."""
    return {
        title.strip(): SourceRules(tuple(terms.split("\\")) if terms else (), duplicates)
        for title, terms, duplicates in senders_with_rules()
    }


def sends_corrections(title: str) -> bool:
    """Whether Presentation States go along with corrected images to this title; yes if unknown."""
    policy = ApplicationEntity.objects.filter(title=title.strip())
    return policy.values_list("send_corrections", flat=True).first() is not False


def associations(
    principal: Principal,
    *,
    ae_title: str = "",
    address: str = "",
    ending: str = "",
    direction: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[AssociationRecord]:
    """Association records, newest first, with their negotiations. Raises NotPermitted."""
    permit(principal, Permission.ADMINISTER)
    rows = AssociationRecord.objects.select_related("negotiation")
    if ae_title:
        rows = rows.filter(Q(calling_ae_title=ae_title) | Q(called_ae_title=ae_title))
    exact = {"address": address, "ending": ending, "direction": direction}
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    if since is not None:
        rows = rows.filter(started_at__gte=since)
    if until is not None:
        rows = rows.filter(started_at__lt=until)
    return rows.order_by("-started_at", "-pk")


def _refused(policy: NetworkPolicy) -> frozenset[str]:
    try:
        return frozenset(rule_lists.sop_class_uids(policy.refused_sop_classes))
    except ValidationError as error:
        # Written past the checks of the form: what is refused besides the rest cannot be known.
        logger.error("The network policy cannot be read: %s", error.messages[0])  # noqa: TRY400
        return frozenset()


def _peer(row: ApplicationEntity) -> Peer:
    try:
        return _readable_peer(row)
    except ValidationError as error:
        # Written past the checks of the form: better nobody than more than was meant.
        logger.error("The rules of %s cannot be read: %s", row.title, error.messages[0])  # noqa: TRY400
        return Peer(row.title.strip(), enabled=False, rights=frozenset(), match_address=False)


def _readable_peer(row: ApplicationEntity) -> Peer:
    return Peer(
        title=row.title.strip(),
        enabled=row.enabled,
        rights=frozenset(right for right in Right if getattr(row, right.value)),
        match_address=row.match_address,
        addresses=_addresses(row.host) if row.match_address else frozenset(),
        networks=rule_lists.networks(row.allowed_addresses),
        require_tls=row.require_tls,
        certificate_names=rule_lists.certificate_names(row.certificate_names),
        rules=ContextRules(
            sop_classes=frozenset(rule_lists.sop_class_uids(row.allowed_sop_classes)),
            preferred=rule_lists.transfer_syntax_uids(row.preferred_transfer_syntaxes),
            forbidden=frozenset(rule_lists.transfer_syntax_uids(row.forbidden_transfer_syntaxes)),
        ),
        refuses_duplicates=row.duplicates == ApplicationEntity.Duplicates.REFUSE,
    )


def _addresses(host: str) -> frozenset[str]:
    if not host:
        return frozenset()
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        logger.warning("The host %s of an application entity cannot be resolved.", host)
        return frozenset()
    return frozenset(plain_address(str(entry[4][0])) for entry in found)
