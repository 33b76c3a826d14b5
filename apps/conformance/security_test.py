"""Self-tests of the security claims: calls to ourselves as those who are refused, and are not."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from django.conf import settings

from apps.conformance.document import Claim
from apps.conformance.outcome import Outcome
from apps.network import tls
from apps.network.associate_items import (
    USER_AND_PASSCODE,
    ProposedContext,
    Remote,
    UserIdentity,
)
from apps.network.association import OutgoingAssociation, Timeouts
from apps.network.peer_errors import AssociationRejected, PeerUnreachable
from apps.network.scu import PLAIN, VERIFICATION
from apps.network.tls_probe import shaken

_ECHO: Final = [ProposedContext(VERIFICATION, PLAIN)]
_SOON: Final = Timeouts(connect=10.0, negotiate=10.0, message=10.0)
_OLDER: Final = ssl.TLSVersion.TLSv1_1
_USER: Final = b"conformance self-test"


def callers(claims: Iterable[Claim], target: Remote) -> Iterator[Outcome]:
    """By the titles of the claims."""
    for claim in claims:
        called = claim.facts["called"] or target.title
        remote = replace(target, title=called, own_title=claim.facts["calling"])
        answer = _answer(remote)
        yield Outcome(claim, answer == claim.facts["answer"], _said(answer))


def identities(claims: Iterable[Claim], target: Remote) -> Iterator[Outcome]:
    """Of users that there are not."""
    for claim in claims:
        passed, said = True, []
        for kind in claim.facts["kinds"]:
            passcode = b"no passcode" if kind == USER_AND_PASSCODE else b""
            identity = UserIdentity(kind, _USER, passcode)
            try:
                with OutgoingAssociation.open(target, _ECHO, identity=identity) as association:
                    acknowledged = association.identity_answer is not None
                    answer = None
            except AssociationRejected as error:
                acknowledged, answer = False, list(error.answer)
            passed &= answer == claim.facts["answer"]
            passed &= acknowledged == claim.facts["acknowledged"]
            word = "acknowledged" if acknowledged else "not acknowledged"
            said.append(f"type {kind}: {_said(answer)}, {word}")
        yield Outcome(claim, passed, "; ".join(said))


def handshakes(claims: Iterable[Claim], target: Remote) -> Iterator[Outcome]:
    """At the port for TLS, with our own certificate unless the claim is of none."""
    port = settings.PACSWEB.dicom_tls_port
    if not port:
        return
    secure = replace(target, port=port, use_tls=False)
    for claim in claims:
        try:
            passed, said = _CHECKS[claim.facts["check"]](secure, claim)
        except OSError as error:
            passed, said = False, f"the port does not answer ({type(error).__name__})"
        yield Outcome(claim, passed, said)


def _newest(secure: Remote, _claim: Claim) -> tuple[bool, str]:
    said = _shaken(secure, ssl.TLSVersion.TLSv1_3)
    return said.startswith("TLSv1.3"), said or "no handshake"


def _suites(secure: Remote, _claim: Claim) -> tuple[bool, str]:
    """Each alone, then all that there are but these."""
    taken = [each for each in tls.CIPHERS if _shaken(secure, ssl.TLSVersion.TLSv1_2, (each,))]
    keys = {each.split("-")[1] for each in taken}
    fitting = [each for each in tls.CIPHERS if each.split("-")[1] in keys]
    others = _shaken(secure, ssl.TLSVersion.TLSv1_2, ("ALL", *(f"!{each}" for each in tls.CIPHERS)))
    said = f"{', '.join(taken) or 'none'} accepted; {others or 'no other'}"
    return bool(taken) and taken == fitting and not others, said


def _older(secure: Remote, _claim: Claim) -> tuple[bool, str]:
    said = _shaken(secure, _OLDER)
    return not said, said or "refused"


def _anonymous(secure: Remote, claim: Claim) -> tuple[bool, str]:
    said = shaken(secure.host, secure.port, most=ssl.TLSVersion.TLSv1_3)
    return bool(said) == claim.facts["accepted"], said or "refused"


def _plain(secure: Remote, _claim: Claim) -> tuple[bool, str]:
    try:
        OutgoingAssociation.open(secure, _ECHO, timeouts=_SOON).release()
    except AssociationRejected as error:
        return True, error.message
    except PeerUnreachable:
        return True, "no association"
    return False, "accepted"


_CHECKS: Final[dict[str, Callable[[Remote, Claim], tuple[bool, str]]]] = {
    "newest": _newest,
    "suites": _suites,
    "older": _older,
    "anonymous": _anonymous,
    "plain": _plain,
}


def _shaken(secure: Remote, most: ssl.TLSVersion, ciphers: tuple[str, ...] = ()) -> str:
    environment = settings.PACSWEB
    ours = (environment.dicom_tls_certificate, environment.dicom_tls_key)
    return shaken(secure.host, secure.port, most=most, ciphers=ciphers, certificate=ours)


def _answer(remote: Remote) -> list[int] | None:
    try:
        OutgoingAssociation.open(remote, _ECHO).release()
    except AssociationRejected as error:
        return list(error.answer)
    return None


def _said(answer: list[int] | None) -> str:
    return "accepted" if answer is None else f"refused {tuple(answer)}"
