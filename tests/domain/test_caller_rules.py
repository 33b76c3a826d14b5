"""Rules per AE: what people write is checked, and means what it says. TLS settings likewise."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from apps.access.principals import system_principal
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT
from apps.dicom.transfer_syntaxes import IMPLICIT_VR_LITTLE_ENDIAN as IMPLICIT
from apps.dimse.negotiation import Proposal, Result, judge
from apps.errors import InvalidRequest
from apps.network import rule_lists
from apps.network.actions.register_application_entity import register_application_entity
from apps.network.explanation import Why
from apps.network.models import ApplicationEntity
from apps.network.peers import Admission, ContextRules, Right
from apps.network.selectors import read_peers
from apps.network.tls import TlsNotReady, server_context

pytestmark = pytest.mark.django_db

JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize(
    ("rule", "value", "words"),
    [
        ("forbidden_transfer_syntaxes", "Implicit VR Little Endian", "every application entity"),
        ("preferred_transfer_syntaxes", "Morse", "no Transfer Syntax we know"),
        ("allowed_sop_classes", "Holiday Pictures", "no SOP Class we know"),
        ("allowed_addresses", "10.0.0.0/99", "neither an address nor a network"),
        ("certificate_names", "sha256:12", "no SHA-256 fingerprint"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(rule: str, value: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        register_application_entity(system_principal("test"), title="WRONG", **{rule: value})
    assert not ApplicationEntity.objects.exists()


def test_lists_are_read_as_people_write_them() -> None:
    assert rule_lists.transfer_syntax_uids(f"explicit vr little endian\n\n{JPEG_LOSSLESS};") == (
        EXPLICIT,
        JPEG_LOSSLESS,
    )
    assert rule_lists.sop_class_uids("CTImageStorage; CT Image Storage") == (CT, CT)
    fingerprint = ":".join(["AB"] * 32)
    assert rule_lists.certificate_names(f"CT2.example, sha256:{fingerprint}") == {
        "ct2.example",
        f"sha256:{'ab' * 32}",
    }


def test_rules_that_cannot_be_read_shut_the_door() -> None:
    ApplicationEntity.objects.create(title="BROKEN", allowed_addresses="nonsense")
    ApplicationEntity.objects.create(title="FINE")
    peers = read_peers()
    assert not peers.by_title["BROKEN"].enabled
    assert peers.by_title["FINE"].enabled


@pytest.mark.parametrize(
    ("rules", "offered", "why", "chosen"),
    [
        (ContextRules(), (JPEG_LOSSLESS, EXPLICIT), Why.ACCEPTED, JPEG_LOSSLESS),
        (ContextRules(preferred=(EXPLICIT,)), (JPEG_LOSSLESS, EXPLICIT), Why.ACCEPTED, EXPLICIT),
        (
            ContextRules(forbidden=frozenset({JPEG_LOSSLESS})),
            (JPEG_LOSSLESS, IMPLICIT),
            Why.ACCEPTED,
            IMPLICIT,
        ),
        (
            ContextRules(forbidden=frozenset({JPEG_LOSSLESS})),
            (JPEG_LOSSLESS,),
            Why.SYNTAX_FORBIDDEN,
            "",
        ),
        (ContextRules(sop_classes=frozenset({"1.2.3"})), (EXPLICIT,), Why.CLASS_FORBIDDEN, ""),
        (ContextRules(preferred=(EXPLICIT,)), (IMPLICIT,), Why.ACCEPTED, IMPLICIT),
    ],
)
def test_a_context_is_judged_by_the_rules(
    rules: ContextRules, offered: tuple[str, ...], why: Why, chosen: str
) -> None:
    admission = Admission(frozenset(Right), known=True, rules=rules)
    verdict = judge(Proposal(1, CT, offered), None, admission, room=True)
    assert (verdict.why, verdict.transfer_syntax) == (why, chosen)
    assert (verdict.result is Result.ACCEPTANCE) is bool(chosen)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"dicom_tls_certificate": ""}, "needs PACSWEB_DICOM_TLS_CERTIFICATE"),
        ({"dicom_tls_certificate": "/nowhere.pem"}, "cannot be read"),
        ({"dicom_tls_ca": ""}, "PACSWEB_DICOM_TLS_CLIENTS=none"),
        ({}, "cannot be used"),
    ],
)
def test_TLS_settings_that_cannot_work_say_so(
    settings: Any, tmp_path: Path, changed: dict[str, str], words: str
) -> None:
    for name in ("certificate", "ca"):
        (tmp_path / name).write_text("no certificate at all")
    settings.PACSWEB = dataclasses.replace(
        settings.PACSWEB,
        **{
            "dicom_tls_certificate": str(tmp_path / "certificate"),
            "dicom_tls_ca": str(tmp_path / "ca"),
            **changed,
        },
    )
    with pytest.raises(TlsNotReady, match=words):
        server_context()
