"""Device readiness: what is known of a device, and what will work with it by our settings."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.access.models import User
from apps.access.principals import system_principal
from apps.conformance.capabilities import (
    Capability,
    Description,
    from_association,
    from_table,
    joined,
)
from apps.conformance.pasted_table import SCP, SCU
from apps.conformance.readiness import Device, Grade, UseReport, assess, device_of
from apps.network.actions.record_associations import record_associations
from apps.network.actions.register_application_entity import register_application_entity
from apps.network.association_note import AssociationNote, ContextNote, Ending
from apps.network.explanation import Why
from apps.network.models import AssociationRecord, NetworkPolicy
from apps.network.selectors import read_peers

pytestmark = pytest.mark.django_db

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
WORKLIST = "1.2.840.10008.5.1.4.31"
PRINTING = "1.2.840.10008.5.1.1.9"
VERIFICATION = "1.2.840.10008.1.1"

TABLE = """SOP Class Name;SOP Class UID;Role;Transfer Syntax
CT Image Storage;1.2.840.10008.5.1.4.1.1.2;SCU;Explicit VR Little Endian
;;;JPEG Lossless, Non-Hierarchical, First-Order Prediction
Enhanced CT Image Storage\tSCU\tDICOM Explicit VR Big Endian
Modality Worklist Information Model - FIND, SCU, Implicit VR Little Endian
"1.2.840.10008.1.1", "SCU / SCP", "1.2.840.10008.1.2"

Total: 4 classes
"""


def device(title: str = "CT2", *, has_host: bool = True) -> Device:
    return device_of(title, read_peers(), has_host=has_host, bound_to_loopback=False)


def check(description: Description, made: Device) -> dict[str, UseReport]:
    return {each.key: each for each in assess(description, made)}


def known(**rules: Any) -> None:
    register_application_entity(
        system_principal("test"), title="CT2", host="10.0.0.5", port=104, **rules
    )


def test_a_table_is_read_in_the_shapes_people_paste() -> None:
    description = from_table(TABLE)
    assert description.capabilities == (
        Capability(CT, SCU, (EXPLICIT, JPEG_LOSSLESS)),
        Capability(ENHANCED_CT, SCU, (BIG_ENDIAN,)),
        Capability(WORKLIST, SCU, (IMPLICIT,)),
        Capability(VERIFICATION, SCU, (IMPLICIT,)),
        Capability(VERIFICATION, SCP, (IMPLICIT,)),
    )
    assert description.problems == (
        "Line 1: SOP Class Name;SOP Class UID;Role;Transfer Syntax",
        "Line 8: Total: 4 classes",
    )


MR = "1.2.840.10008.5.1.4.1.1.4"
MPPS = "1.2.840.10008.3.1.2.3.3"
COMMITMENT = "1.2.840.10008.1.20.1"
STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PRIVATE = "1.3.12.2.1107.5.9.1"

# As they stand in vendors' documents: pasted from a PDF, from a spreadsheet, saved as CSV.
MESSY = [
    (
        """SOP Class Name                       SOP Class UID                SCU   SCP
        Verification SOP Class               1.2.840.10008.1.1            Yes   Yes
        CT Image Storage                     1.2.840.10008.5.1.4.1.1.2    Yes   No
        Modality Worklist Information Model \N{EN DASH} FIND  1.2.840.10008.5.1.4.31   Yes  No
        Basic Text SR Storage                1.2.840.10008.5.1.4.1.1.88.11  No  No""",
        {(VERIFICATION, SCU), (VERIFICATION, SCP), (CT, SCU), (WORKLIST, SCU)},
        {},
    ),
    (
        (
            "SOP Class Name\tSOP Class UID\tUser of Service (SCU)\tProvider of Service (SCP)\n"
            "CT Image Storage\t1.2.840.10008.5.1.4.1.1.2\t\tX\n"
            "MR Image Storage\t1.2.840.10008.5.1.4.1.1.4\tX\t\n"
            "Siemens CSA Non-Image Storage\t1.3.12.2.1107.5.9.1\tX\tX\n"
        ),
        {(CT, SCP), (MR, SCU), (PRIVATE, SCU), (PRIVATE, SCP)},
        {},
    ),
    (
        (
            "Abstract Syntax,,Transfer Syntax,,Role,Extended Negotiation\n"
            "Name,UID,Name List,UID List,,\n"
            'CT Image Storage,1.2.840.10008.5.1.4.1.1.2,"Implicit VR Little Endian\n'
            "Explicit VR Little Endian\n"
            'JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14)",'
            '"1.2.840.10008.1.2\n1.2.840.10008.1.2.1\n1.2.840.10008.1.2.4.70",SCU,None\n'
        ),
        {(CT, SCU)},
        {CT: {IMPLICIT, EXPLICIT, JPEG_LOSSLESS}},
    ),
    (
        (
            "MR Image Storage 1.2.840.10008.5.1.4.1.1.4 DICOM Implicit VR Little Endian "
            "1.2.840.10008.1.2 SCU None\n"
            "     DICOM Explicit VR Little Endian 1.2.840.10008.1.2.1 SCU None\n"
            "MPPS 1.2.840.10008.3.1.2.3.3 ILE/ELE SCU None\n"
        ),
        {(MR, SCU), (MPPS, SCU)},
        {MR: {IMPLICIT, EXPLICIT}, MPPS: {IMPLICIT, EXPLICIT}},
    ),
    (
        (
            "| Storage Commitment | both | ILE, ELE, EBE |\n"
            "| Study Root Query/Retrieve FIND | SCU and SCP | Little Endian Implicit |\n"
            "| CT Image | SCU only | Explicit VR LE, JPEG 2000 (lossless only) |\n"
        ),
        {
            (COMMITMENT, SCU),
            (COMMITMENT, SCP),
            (STUDY_FIND, SCU),
            (STUDY_FIND, SCP),
            (CT, SCU),
        },
        {COMMITMENT: {IMPLICIT, EXPLICIT, BIG_ENDIAN}, STUDY_FIND: {IMPLICIT}},
    ),
    (
        (
            "Application Context Name 1.2.840.10008.3.1.1.1\n"
            "Implementation Class UID 1.2.250.1.59.3.0.3\n"
            "SOP Class;Supported as SCP;Supported as SCU\nCT Image Storage;no;yes\n"
        ),
        {(CT, SCU)},
        {},
    ),
]


@pytest.mark.parametrize(("text", "expected", "syntaxes"), MESSY)
def test_vendors_tables_are_read_as_they_are(
    text: str, expected: set[tuple[str, str]], syntaxes: dict[str, set[str]]
) -> None:
    found = from_table(text).capabilities
    assert {(each.sop_class, each.role) for each in found} == expected
    for uid, wanted in syntaxes.items():
        assert {s for each in found if each.sop_class == uid for s in each.transfer_syntaxes} == (
            wanted
        )


def test_asking_and_recorded_associations_complete_each_other() -> None:
    asked = Description("asking", (Capability(CT, SCP, (IMPLICIT,)),), roles=frozenset({SCP}))
    seen = from_association(
        [{"abstract_syntax": CT, "proposed": [EXPLICIT], "roles_proposed": "", "result": 0}],
        they_called=True,
    )
    both = joined(asked, seen)
    assert both.roles == {SCU, SCP}
    assert both.glimpsed == {SCU}
    assert {each.role for each in both.capabilities} == {SCU, SCP}


def test_an_assumed_transfer_syntax_is_said_to_be_assumed() -> None:
    told = from_table("CT Image Storage; SCU")
    assert told.capabilities == (Capability(CT, SCU, (IMPLICIT,)),)
    assert "assumed" in told.problems[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0\0\0",
        "=cmd|' /C calc'!A0",
        "1.2.3.4;" * 5000,
        "1" + ".1" * 500_000 + "x",
        ";;;;\n,,,",
    ],
)
def test_a_hostile_table_harms_nobody(text: str) -> None:
    from_table(text)


def test_what_will_work_what_will_not_and_what_to_set() -> None:
    known(forbidden_transfer_syntaxes=BIG_ENDIAN, may_worklist=False)
    found = check(from_table(TABLE), device())
    assert found["verify"].grade is Grade.WORKS
    assert found["store"].grade is Grade.PARTLY
    worst, best = found["store"].findings
    assert (worst.sop_class, worst.grade) == (ENHANCED_CT, Grade.FAILS)
    assert "forbidden Transfer Syntaxes" in worst.remedy
    assert (best.sop_class, best.grade) == (CT, Grade.WORKS)
    assert found["worklist"].grade is Grade.FAILS
    assert "CT2" in found["worklist"].findings[0].remedy
    assert found["mpps"].grade is Grade.ABSENT


def test_a_device_nobody_let_in_is_told_what_to_add() -> None:
    NetworkPolicy.objects.create(pk=1, unknown_callers="refuse")
    found = check(from_table(TABLE), device(has_host=False))
    assert found["store"].grade is Grade.FAILS
    assert found["store"].remedies == ("Add CT2 under Application entities, or enable it there.",)
    assert any(each.grade is Grade.WORKS for each in found["store"].findings)


def test_sending_to_a_device_that_takes_only_compressed_instances() -> None:
    known()
    description = Description(
        "test",
        (
            Capability(CT, SCP, (JPEG_LOSSLESS,)),
            Capability(ENHANCED_CT, SCP, (IMPLICIT, JPEG_LOSSLESS)),
        ),
    )
    found = check(description, device())["be-sent-to"]
    assert {each.sop_class: each.grade for each in found.findings} == {
        CT: Grade.PARTLY,
        ENHANCED_CT: Grade.WORKS,
    }
    without = check(description, device(has_host=False))["be-sent-to"]
    assert without.remedies == ("Give host and port of CT2 under Application entities.",)


def test_what_we_do_not_offer_cannot_be_set() -> None:
    known()
    description = Description("test", (Capability(PRINTING, SCU, (IMPLICIT,)),))
    assert all(not each.findings for each in assess(description, device()))


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(
        User.objects.create_superuser("root", password="a long password"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


def test_the_page_from_a_recorded_association(root: Client) -> None:
    for number, uid in enumerate((CT, WORKLIST)):
        made = AssociationNote(
            name=str(number),
            started_at=timezone.now(),
            address="10.0.0.5",
            calling_ae_title="CT2",
        )
        made.contexts = (ContextNote(1, uid, (EXPLICIT,), 1, Why.NOT_JUDGED),)
        made.end(Ending.REJECTED, timezone.now(), "calling AE title not recognised")
        record_associations([made])
    NetworkPolicy.objects.create(pk=1, unknown_callers="refuse")
    row = AssociationRecord.objects.order_by("pk")[0]
    form = {"source": "association", "association": row.pk}
    page = root.post("/conformance/readiness/", form)
    assert b"Add CT2 under Application entities" in page.content
    found = root.post("/conformance/readiness/", form | {"format": "json"}).json()
    uses = {each["key"]: each["grade"] for each in found["uses"]}
    assert uses["store"] == "does not work"
    assert uses["worklist"] == "does not work", "of another association"
    assert uses["mpps"] == "not known", "what was not asked for so far may be asked for tomorrow"
    assert uses["be-sent-to"] == "not known"


def test_the_page_escapes_what_is_pasted(root: Client) -> None:
    form = {"source": "table", "ae_title": "<b>X</b>", "table": "<script>alert(1)</script>"}
    page = root.post("/conformance/readiness/", form).content
    assert b"<script>alert" not in page
    assert b"<b>X" not in page


@pytest.mark.parametrize(
    "form",
    [
        {"source": "table", "table": "  "},
        {"source": "association", "association": "x"},
        {"source": "probe", "ae_title": "NOBODY"},
        {"source": "guess"},
    ],
)
def test_a_bad_request_says_what_is_missing(root: Client, form: dict[str, str]) -> None:
    page = root.post("/conformance/readiness/", form)
    assert page.status_code == 400
    assert b'role="alert"' in page.content


def test_others_do_not_get_in() -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.get("/conformance/readiness/").status_code == 302
    root = User.objects.create_superuser("root", password="a long password")
    client.force_login(root, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/conformance/readiness/").status_code == 200
    form = {"source": "table", "table": TABLE}
    assert client.post("/conformance/readiness/", form).status_code == 403
