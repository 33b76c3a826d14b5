"""The security part of the statement (PS3.2 A.7): what is claimed of callers, users and TLS."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from apps.conformance.document import Claim, Row, Section, Table
from apps.dimse import admission, user_identity
from apps.dimse.admission import Rejection
from apps.network import tls
from apps.network.addresses import bound_to_loopback
from apps.network.models import ApplicationEntity
from apps.network.peers import Peers
from apps.network.selectors import read_peers

_NOBODY_KNOWN = "NOBODY.KNOWN.HR"
"""An AE title nobody has; no row of `ApplicationEntity` should."""


def security(number: str) -> Section:
    """As things are configured. Three queries."""
    environment = settings.PACSWEB
    tables = [
        Table("Who may call", ("rule",), tuple(_rows(_callers(read_peers())))),
        Table("User Identity Negotiation", ("rule",), tuple(_rows(_identities()))),
    ]
    if environment.dicom_tls_port:
        used = (
            f"The port {environment.dicom_tls_port} speaks TLS; client certificates are "
            f"{environment.dicom_tls_clients}."
        )
        tables += [
            Table("TLS", ("rule",), tuple(_rows(_tls()))),
            Table(
                "Cipher suites for TLS 1.2; those of TLS 1.3 are all accepted",
                ("suite",),
                tuple(Row((suite,)) for suite in tls.CIPHERS),
            ),
        ]
    else:
        used = "It is not offered at present: no port for TLS is configured."
    return Section(
        number,
        "Security",
        (
            f"Secure transport: {tls.PROFILE}. {used} Certificates can be bound to AE titles.",
            "Every reading of patient data is recorded in an audit trail.",
        ),
        tuple(tables),
    )


def _rows(claims: Iterator[Claim]) -> Iterator[Row]:
    for claim in claims:
        yield Row((claim.text,), claim)


def _callers(peers: Peers) -> Iterator[Claim]:
    """The outcome for callers we can play, in the words of the policy that makes it."""
    known = peers.accept_unknown or (
        peers.accept_unknown_on_loopback and bound_to_loopback(settings.PACSWEB.bind)
    )
    without_tls = admission.TLS_REQUIRED if peers.require_tls else None
    yield _caller(
        "unknown",
        f"A calling AE title that is not known{', without TLS,' if peers.require_tls else ''}",
        without_tls if known else admission.UNKNOWN_CALLING,
        calling=_NOBODY_KNOWN,
    )
    if known or not peers.check_called_title:
        yield _caller(
            "called",
            "A called AE title that is not ours",
            admission.UNKNOWN_CALLED if peers.check_called_title else without_tls,
            calling=_NOBODY_KNOWN,
            called="NOT.OUR.TITLE",
        )
    disabled = ApplicationEntity.objects.filter(enabled=False).order_by("title").first()
    if disabled is not None:
        yield _caller(
            "disabled",
            "A known AE title that is switched off",
            admission.UNKNOWN_CALLING,
            calling=disabled.title,
        )


def _caller(
    key: str,
    who: str,
    refused: Rejection | None,
    *,
    calling: str,
    called: str = "",
) -> Claim:
    answer = None if refused is None else [refused.result, refused.source, refused.reason]
    outcome = "is accepted."
    if refused is not None:
        outcome = f"is refused: {refused.words} ({', '.join(map(str, answer or ()))})."
    facts = {"calling": calling, "called": called, "answer": answer}
    return Claim(f"caller:{key}", f"{who} {outcome}", "caller", facts)


def _identities() -> Iterator[Claim]:
    """PS3.7 D.3.3.7."""
    refused = admission.BAD_IDENTITY
    yield Claim(
        "identity:name",
        "A user name alone is acknowledged; it proves nothing and opens nothing.",
        "identity",
        {"kinds": [user_identity.USER_NAME], "acknowledged": True, "answer": None},
    )
    yield Claim(
        "identity:passcode",
        "A user name with passcode is checked against the accounts of this installation; what does "
        f"not fit is refused ({refused.result}, {refused.source}, {refused.reason}).",
        "identity",
        {
            "kinds": [user_identity.USER_NAME_AND_PASSCODE],
            "acknowledged": False,
            "answer": [refused.result, refused.source, refused.reason],
        },
    )
    yield Claim(
        "identity:others",
        "Kerberos, SAML and JSON Web Tokens are not supported: such an association is accepted "
        "without acknowledging them.",
        "identity",
        {"kinds": [3, 4, 5], "acknowledged": False, "answer": None},
    )


def _tls() -> Iterator[Claim]:
    """Of the port for TLS."""
    clients = settings.PACSWEB.dicom_tls_clients
    yield Claim("tls:1.3", "TLS 1.3 is accepted.", "tls", {"check": "newest"})
    yield Claim(
        "tls:1.2",
        "TLS 1.2 is accepted in those cipher suites below that fit the certificate's key, and in "
        "no other.",
        "tls",
        {"check": "suites"},
    )
    yield Claim("tls:older", "TLS 1.1 and older are refused.", "tls", {"check": "older"})
    yield Claim(
        "tls:clients",
        "A caller without a certificate is refused."
        if clients == "required"
        else "A caller without a certificate is accepted.",
        "tls",
        {"check": "anonymous", "accepted": clients != "required"},
    )
    yield Claim("tls:plain", "A caller without TLS is not served there.", "tls", {"check": "plain"})
