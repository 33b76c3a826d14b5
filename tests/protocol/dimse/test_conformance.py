"""The conformance statement against the running receiver: what is claimed is what is negotiated."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from pynetdicom import AE

from apps.conformance import claims
from apps.conformance.capabilities import from_probe
from apps.conformance.document import Claim, Row, Section, Statement, Table
from apps.conformance.models import ClaimResult
from apps.conformance.readiness import Device, Grade, assess
from apps.conformance.self_test import run, untested
from apps.conformance.statement import conformance_statement
from apps.dicom import sop_classes, transfer_syntaxes
from apps.dimse import admission, offered
from apps.dimse.service import Service
from apps.network.associate_items import Remote
from apps.network.peers import Admission, Right
from tests.protocol.dimse.conftest import DimseServer, free_port
from tests.servers import listening

pytestmark = pytest.mark.django_db
PRINTING = "1.2.840.10008.5.1.1.9"


def failures(server: DimseServer, claimed: Iterable[Claim]) -> list[str]:
    rows = tuple(Row((), claim) for claim in claimed)
    statement = Statement("", (Section("1", "", tables=(Table("", (), rows),)),))
    target = Remote("PACSWEB", "127.0.0.1", server.port, "CONFORMANCE")
    return [each.claim.id for each in run(statement, target) if not each.passed]


def test_every_claimed_context_is_negotiated_and_nothing_else(
    server: DimseServer, settings: Any
) -> None:
    settings.PACSWEB = dataclasses.replace(settings.PACSWEB, dicom_port=server.port)
    assert not untested(conformance_statement())
    said = StringIO()
    call_command("conformance", "test", stdout=said)
    assert " 0 failed" in said.getvalue()
    storage = ClaimResult.objects.filter(claim__startswith="storage-scp:")
    assert storage.count() == sum(row.storage for row in sop_classes.TABLE)
    assert {each.detail for each in storage} == {
        f"{len(transfer_syntaxes.TABLE)} contexts negotiated"
    }
    for proved in ("contexts:no-others", "caller:unknown", "caller:called", "identity:passcode"):
        assert ClaimResult.objects.filter(claim=proved, passed=True).exists(), proved
    assert not ClaimResult.objects.filter(claim__startswith="web:").exists(), "no web server here"


def test_a_statement_that_claims_more_than_the_receiver_keeps_fails(
    server: DimseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = Service("Printing", (PRINTING,), None, {})
    monkeypatch.setattr(offered, "TABLE", (*offered.TABLE, more))
    claimed = [claim for _, claim in claims.services()]
    assert failures(server, claimed) == [f"service:{PRINTING}"]


def test_a_claim_about_callers_and_users_that_is_not_so_fails(
    server: DimseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "UNKNOWN_CALLED", admission.UNKNOWN_CALLING)
    monkeypatch.setattr(admission, "BAD_IDENTITY", admission.TLS_REQUIRED)
    claimed = [*conformance_statement().claims_of("caller")]
    claimed += conformance_statement().claims_of("identity")
    assert failures(server, claimed) == ["caller:called", "identity:passcode"]


def test_a_statement_that_claims_less_than_the_receiver_offers_fails(
    server: DimseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    less = {k: v for k, v in offered.BY_ABSTRACT_SYNTAX.items() if k != offered.VERIFICATION}
    monkeypatch.setattr(offered, "BY_ABSTRACT_SYNTAX", less)
    assert failures(server, [claims.nothing_else()]) == ["contexts:no-others"]


@pytest.mark.stranger
def test_readiness_of_DCMTK_s_storescp_by_asking_it(tmp_path: Path) -> None:
    """A device that takes images, in Implicit VR Little Endian alone, and knows nothing else."""
    port = free_port()
    with listening(port, "storescp", "+xi", "-od", str(tmp_path), str(port)):
        description = from_probe(Remote("STORESCP", "127.0.0.1", port, "PACSWEB"))
    found = {each.key: each for each in assess(description, _known("STORESCP"))}
    assert found["be-sent-to"].grade is Grade.WORKS
    assert len(found["be-sent-to"].findings) > 50
    assert {each.told for each in found["be-sent-to"].findings} == {
        "It takes Implicit VR Little Endian; the rest is converted."
    }
    assert found["be-queried"].grade is Grade.ABSENT
    assert found["store"].grade is Grade.UNKNOWN


@pytest.mark.stranger
def test_readiness_of_DCMTK_s_dcmqrscp_by_asking_it(tmp_path: Path) -> None:
    port = free_port()
    kept = tmp_path / "kept"
    kept.mkdir()
    settings = tmp_path / "dcmqrscp.cfg"
    settings.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nDCMQR {kept} RW (9,1024mb) ANY\nAETable END\n"
    )
    with listening(port, "dcmqrscp", "-c", str(settings)):
        description = from_probe(Remote("DCMQR", "127.0.0.1", port, "PACSWEB"))
    found = {each.key: each for each in assess(description, _known("DCMQR"))}
    works = {key for key, each in found.items() if each.grade is Grade.WORKS}
    assert works == {"be-sent-to", "be-queried", "be-fetched-from"}


def test_readiness_of_a_poor_device_by_asking_it() -> None:
    """One old class, Implicit VR Little Endian alone, one association at a time."""
    old = "1.2.840.10008.5.1.4.1.1.1"
    entity = AE(ae_title="OLDCR")
    entity.maximum_associations = 1
    for uid in (old, offered.VERIFICATION):
        entity.add_supported_context(uid, ["1.2.840.10008.1.2"])
    port = free_port()
    device = entity.start_server(("127.0.0.1", port), block=False)
    try:
        description = from_probe(Remote("OLDCR", "127.0.0.1", port, "PACSWEB"))
    finally:
        device.shutdown()
    found = {each.key: each for each in assess(description, _known("OLDCR"))}
    sent = found["be-sent-to"]
    assert [each.sop_class for each in sent.findings] == [old]
    assert sent.told.startswith("1 of 1 SOP Class works. Instances of ")
    assert sent.findings[0].told == "It takes Implicit VR Little Endian; the rest is converted."
    assert found["be-queried"].grade is Grade.ABSENT
    assert found["worklist"].grade is Grade.UNKNOWN


def _known(title: str) -> Device:
    return Device(title, Admission(frozenset(Right), known=True), has_host=True)
