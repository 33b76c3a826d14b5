"""Every key the conformance statement claims is asked for, of an instance that is stored."""

from __future__ import annotations

from apps.conformance import claims
from apps.conformance.document import Row, Section, Statement, Table
from apps.conformance.self_test import run
from apps.network.associate_items import Remote
from tests.builders import ct_slice
from tests.protocol.dicomweb_archive import Archive


def test_every_claimed_key_is_supported_and_returned(archive: Archive) -> None:
    assert archive.store(ct_slice()).status_code == 200
    rows = tuple(Row((), claim) for _, claim in claims.query_keys())
    statement = Statement("", (Section("1", "", tables=(Table("", (), rows),)),))
    stack = archive.stack
    target = Remote(stack.ae_title, "127.0.0.1", stack.dicom_port, "CONFORMANCE")
    outcomes = list(run(statement, target))
    assert len(outcomes) == len(rows)
    assert not [f"{each.claim.id}: {each.detail}" for each in outcomes if not each.passed]
