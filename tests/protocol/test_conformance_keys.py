"""What the conformance statement claims is tried on a running product with something stored."""

from __future__ import annotations

from apps.conformance import claims, web_test
from apps.conformance.document import Claim, Row, Section, Statement, Table
from apps.conformance.self_test import run
from apps.conformance.web_caller import Caller
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


def test_what_is_claimed_of_DICOMweb_is_proved_over_HTTP(archive: Archive) -> None:
    """Every transaction with each of its media types, search attributes, failures.

    The newest objects are such as cannot show everything: several frames, no modality.
    """
    assert archive.store(ct_slice()).status_code == 200
    odd = [ct_slice(size=8, Modality="", NumberOfFrames=2) for _ in range(7)]
    for each in odd:
        each.PixelData *= 2
    assert archive.store(*odd).status_code == 200
    stack = archive.stack
    done = stack.manage("conformance", "test", "--part", "dicomweb", check=False)
    assert "0 failed" in done.stdout, done.stdout
    tests = {
        key: claim["test"]
        for key, claim in stack.get("/conformance/?format=json").json()["claims"].items()
    }
    for proved in (
        'web:RetrieveInstance:gives:multipart/related; type="application/dicom"',
        "web:RetrieveRenderedInstance:gives:image/png",
        'web:StoreInstances:takes:multipart/related; type="application/dicom+json"',
        "web:StoreInstances:gives:application/dicom+xml",
        "web:SubscribeToWorkitems",
        "wado-uri:image/jpeg",
        "qido:PATIENT:PatientName",
        "frames:1.2.840.10008.1.2.1",
        "http:RangeNotSatisfiable",
    ):
        assert tests[proved] is not None, proved
        assert tests[proved]["passed"], proved


def test_a_claim_that_does_not_hold_of_DICOMweb_fails(archive: Archive) -> None:
    """The self-test can fail: a media type nobody gives, a transaction nobody offers."""
    more = (
        {"name": "SearchForStudies", "method": "GET", "path": "studies", "verb": "gives",
         "media_type": "text/x-nothing"},
        {"name": "Frob", "method": "PUT", "path": "studies", "verb": "", "media_type": ""},
        {"name": "StoreInstances", "method": "POST", "path": "studies", "verb": "takes",
         "media_type": "text/plain"},
    )  # fmt: skip
    rows = tuple(Row((), Claim(each["name"], "", "web", each)) for each in more)
    statement = Statement("", (Section("1", "", tables=(Table("", (), rows),)),))
    stack = archive.stack
    token = stack.manage("token", "admin", "self-test").stdout.strip()
    outcomes = list(web_test.run(statement, Caller(stack.base_url, token)))
    assert [each.passed for each in outcomes] == [False, False, False]
