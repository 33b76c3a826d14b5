"""SR content trees as outlines (PS3.3 C.17, PS3.16 TID 1500)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apps.dicom.content_items import ContentItem, walked
from apps.dicom.reader import InstanceReader
from apps.dicom.structured_report import Observer, Report, outline
from apps.errors import UnreadableInstance
from tests.standards.sources import held


def report(corpus: Path, name: str) -> Report:
    scan = InstanceReader(held(corpus / "dicom" / name)).scan()
    return outline(json.loads(b"".join(scan.json)))


def everything(found: Report) -> list[ContentItem]:
    return [each for item in (*found.context, *found.content) for each in walked(item)]


def test_a_basic_text_report(corpus):
    found = report(corpus, "sr/no-pixel-data.dcm")
    assert found.title.meaning == "Consultation Report"
    assert found.sop_class_name == "Basic Text SR Storage"
    assert (found.completion, found.verification) == ("PARTIAL", "UNVERIFIED")
    assert found.observers == [Observer("person", name="David M. Packer, M. D.")]
    assert [item.concept.meaning for item in found.content] == [
        "Description",
        "Diagnosis",
        "Treatment",
    ]
    assert found.content[1].text.startswith("Squamous cell carcinoma")
    assert {item.role for item in found.content} == {"text"}


def test_measurement_groups_of_tid_1500(corpus):
    found = report(corpus, "sr/sr_document_with_multiple_groups.dcm")
    assert found.template == "1500"
    assert found.language == "English (United States)"
    assert [observer.kind for observer in found.observers] == ["person", "device"]
    assert found.observers[0].name == "John Doe"
    assert [group.tracking_identifier for group in found.measurement_groups] == [
        "Image0001",
        "LungNodule0001",
        "Aorta0001",
        "Vertebra0001",
    ]
    nodule = found.measurement_groups[1]
    assert (nodule.finding, nodule.sites) == ("Nodule", ["Lung"])
    assert nodule.category == "Morphologically Abnormal Structure"
    (diameter,) = nodule.measurements
    assert diameter.concept.meaning == "Diameter"
    assert diameter.measurement is not None
    assert (float(diameter.measurement.value), diameter.measurement.unit.value) == (10, "mm")
    assert diameter.text == "10.0 mm"
    assert [each.text for each in nodule.evaluations] == ["Not significant"]
    (region,) = nodule.regions
    assert (region.graphic_type, region.dimensions, len(region.points)) == ("CIRCLE", 2, 4)
    (reference,) = nodule.references
    assert reference.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"
    assert reference.series_instance_uid
    assert found.measurement_groups[3].regions[0].dimensions == 3


def test_a_dose_report(corpus):
    found = report(corpus, "sr/philips_allura_clarity_u104.dcm")
    assert found.observers[0].kind == "device"
    assert found.observers[0].manufacturer == "Philips"
    assert found.observers[0].serial_number == "722013-362"
    total = next(e for e in everything(found) if e.concept.meaning == "Dose (RP) Total")
    assert total.text == "0.00070936639118 Gy"


def test_a_measurement_without_a_value_says_why_if_it_knows(corpus):
    found = report(corpus, "sr/structured_report.dcm")
    center = next(each for each in everything(found) if each.concept.meaning == "Center")
    assert (center.role, center.text) == ("measurement", "")
    why = {"00080104": {"vr": "LO", "Value": ["Measurement failure"]}}
    item = {
        "0040A040": {"vr": "CS", "Value": ["NUM"]},
        "0040A301": {"vr": "SQ", "Value": [why]},
    }
    (failed,) = outline({"0040A730": {"vr": "SQ", "Value": [item]}}).content
    assert failed.text == "Measurement failure"


def test_nested_containers_references_by_position_and_verification(corpus):
    found = report(corpus, "sr/test-SR.dcm")
    assert (found.completion, found.verification) == ("COMPLETE", "VERIFIED")
    assert found.verifications[0].name == "Jörg Riesmeier"
    assert found.verifications[0].organization == "OFFIS e.V."
    assert found.verifications[0].verified_at == "2001-02-13 18:47:46"
    items = everything(found)
    by_identifier = {item.identifier: item for item in items}
    pointers = [item for item in items if item.same_as]
    assert [item.same_as for item in pointers] == ["1.3.2", "1.2.2.1"]
    assert all(item.same_as in by_identifier for item in pointers)
    headings = [item for item in items if item.role == "heading"]
    assert max(item.identifier.count(".") for item in headings) >= 2
    frames = [reference.frames for reference in found.references if reference.frames]
    assert frames
    assert any(reference.presentation_state_uid for reference in found.references)


@pytest.mark.parametrize("name", ["kos-pet.dcm", "kos-us.dcm", "kos-xa.dcm"])
def test_key_objects_list_what_they_refer_to(corpus, name):
    found = report(corpus, f"ko/{name}")
    assert found.title.meaning == "Manifest"
    assert found.references
    for reference in found.references:
        assert reference.sop_class_uid
        assert reference.sop_instance_uid
        assert reference.series_instance_uid
        assert reference.study_instance_uid


def test_any_instance_has_an_outline_that_is_json(corpus):
    outlined = 0
    for path in sorted((corpus / "dicom").rglob("*")):
        if not path.is_file():
            continue
        try:
            scan = InstanceReader(held(path)).scan()
        except UnreadableInstance:
            continue
        found = outline(json.loads(b"".join(scan.json))).as_dict()
        assert json.loads(json.dumps(found, allow_nan=False))["title"] == found["title"]
        outlined += 1
    assert outlined > 600


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"0040A730": {"vr": "SQ"}},
        {"0040A730": {"vr": "SQ", "Value": [{}, None, "text"]}},
        {"0040A730": {"vr": "SQ", "Value": [{"0040A040": {"vr": "CS", "Value": ["NUM"]}}]}},
        {
            "0040A730": {
                "vr": "SQ",
                "Value": [
                    {
                        "0040A040": {"vr": "CS", "Value": ["SCOORD"]},
                        "00700022": {"vr": "FL", "Value": ["NaN", 1]},
                    }
                ],
            }
        },
    ],
)
def test_what_is_missing_or_broken_is_empty(broken):
    found = outline(broken)
    assert json.dumps(found.as_dict(), allow_nan=False)
    assert all(not item.text for item in found.content)


def test_dates_times_and_names_are_for_people():
    def text(kind: str, tag: str, vr: str, value: object) -> str:
        item = {"0040A040": {"vr": "CS", "Value": [kind]}, tag: {"vr": vr, "Value": [value]}}
        return outline({"0040A730": {"vr": "SQ", "Value": [item]}}).content[0].text

    assert text("DATE", "0040A121", "DA", "20240131") == "2024-01-31"
    assert text("TIME", "0040A122", "TM", "093015.5") == "09:30:15"
    assert text("DATETIME", "0040A120", "DT", "20240131093015+0100") == "2024-01-31 09:30:15"
    name = {"Alphabetic": "Doe^John^Q^Dr.^MD"}
    assert text("PNAME", "0040A123", "PN", name) == "Dr. John Q Doe, MD"
    assert text("PNAME", "0040A123", "PN", {"Ideographic": "山田^太郎"}) == "太郎 山田"
