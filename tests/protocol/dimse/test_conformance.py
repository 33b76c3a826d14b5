"""The conformance statement against the running receiver: what is claimed is what is negotiated."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from apps.conformance import claims
from apps.conformance.document import Claim, Row, Section, Statement, Table
from apps.conformance.models import ClaimResult
from apps.conformance.self_test import run, untested
from apps.conformance.statement import conformance_statement
from apps.dicom import sop_classes, transfer_syntaxes
from apps.dimse import offered
from apps.dimse.service import Service
from apps.network.associate_items import Remote
from tests.protocol.dimse.conftest import DimseServer

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
    assert ClaimResult.objects.filter(claim="contexts:no-others", passed=True).exists()


def test_a_statement_that_claims_more_than_the_receiver_keeps_fails(
    server: DimseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = Service("Printing", (PRINTING,), None, {})
    monkeypatch.setattr(offered, "TABLE", (*offered.TABLE, more))
    claimed = [claim for _, claim in claims.services()]
    assert failures(server, claimed) == [f"service:{PRINTING}"]


def test_a_statement_that_claims_less_than_the_receiver_offers_fails(
    server: DimseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    less = {k: v for k, v in offered.BY_ABSTRACT_SYNTAX.items() if k != offered.VERIFICATION}
    monkeypatch.setattr(offered, "BY_ABSTRACT_SYNTAX", less)
    assert failures(server, [claims.nothing_else()]) == ["contexts:no-others"]
