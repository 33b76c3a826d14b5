"""Rules per AE: what people write is checked, and means what it says. TLS settings likewise."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from apps.access.principals import system_principal
from apps.archive.models import Study
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN as EXPLICIT
from apps.dicom.transfer_syntaxes import IMPLICIT_VR_LITTLE_ENDIAN as IMPLICIT
from apps.dimse.negotiation import Proposal, Result, judge
from apps.errors import InvalidRequest
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.network import rule_lists
from apps.network.actions.register_application_entity import register_application_entity
from apps.network.explanation import Why
from apps.network.models import ApplicationEntity, NetworkPolicy
from apps.network.peers import Admission, ContextRules, Right
from apps.network.selectors import read_peers
from apps.network.tls import TlsNotReady, server_context
from tests.builders import ct_slice, part10

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
        (ContextRules(refused=frozenset({CT})), (EXPLICIT,), Why.CLASS_FORBIDDEN, ""),
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
    ("uid", "why"),
    [
        ("1.3.12.2.1107.5.9.1", Why.ACCEPTED),  # Siemens CSA Non-Image Storage
        ("1.2.276.0.7230010.3.4.1915765545.18030.917282194.0", Why.NOT_OFFERED),
        ("1.2.276.0.7230010.3.4.1915765545.18030.917282194.1", Why.ACCEPTED),
        ("1.2.40.0.13.1.5.1.4.1.2.2.1", Why.NOT_OFFERED),
    ],
)
def test_private_services_are_not_taken_for_storage(uid: str, why: Why) -> None:
    admission = Admission(frozenset(Right), known=True)
    assert judge(Proposal(1, uid, (EXPLICIT,)), None, admission, room=True).why is why


@pytest.mark.django_db
def test_what_the_network_policy_refuses_is_refused_to_everybody() -> None:
    text = "1.3.12.2.1107.5.9.1\nCTImageStorage"
    NetworkPolicy.objects.create(pk=1, unknown_callers="accept", refused_sop_classes=text)
    ApplicationEntity.objects.create(title="KNOWN", forbidden_transfer_syntaxes=EXPLICIT)
    assert read_peers().by_title["KNOWN"].rules.forbidden == {EXPLICIT}
    for caller in ("KNOWN", "STRANGER"):
        admission = read_peers().admit(
            calling=caller, called="US", address="10.0.0.1", own_title="US", bound_to_loopback=False
        )
        assert isinstance(admission, Admission)
        verdict = judge(Proposal(1, CT, (EXPLICIT,)), None, admission, room=True)
        assert verdict.why is Why.CLASS_FORBIDDEN


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


@pytest.mark.django_db(transaction=True)
def test_texts_of_a_source_that_declares_nothing_are_read_as_its_rule_says(
    data_folders: Path,
) -> None:
    """Cyrillic in ISO_IR 144 without (0008,0005): right with the rule, bytes unchanged."""
    register_application_entity(
        system_principal("test"), title="OLDCR", default_character_set="ISO_IR 144"
    )
    name = "Иванов^Иван"
    raw_name = name.encode("iso8859_5")
    for sender, expected in (("OLDCR", name), ("OTHER", raw_name.decode("latin_1"))):
        dataset = ct_slice()
        dataset.PatientName = "X" * len(name)
        raw = part10(dataset).replace(b"X" * len(name), raw_name)
        provenance = Provenance("dimse", sender, "PACSWEB", "10.0.0.1")
        inbox.receive_part10(provenance, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
        drain_inbox(60)
        study = Study.objects.get(study_instance_uid=dataset.StudyInstanceUID)
        assert study.patient_name == expected


def test_a_character_set_nobody_defined_is_refused() -> None:
    for good in ("ISO_IR 144", "\\ISO 2022 IR 87", "ISO 2022 IR 13\\ISO 2022 IR 87"):
        rule_lists.character_set_terms(good)
    with pytest.raises(InvalidRequest, match="no defined term"):
        register_application_entity(
            system_principal("test"), title="WRONG", default_character_set="KLINGON"
        )
