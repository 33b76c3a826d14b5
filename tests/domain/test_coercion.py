"""Coercion from arrival to departure: values change, stored bytes do not, and both can be shown."""

from __future__ import annotations

import hashlib
import io
import zlib
from pathlib import Path
from typing import Any

import pydicom
import pytest
from django.test import Client
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from apps.access.models import User
from apps.access.principals import system_principal
from apps.archive.models import Amendment, Instance, Patient, Study
from apps.coercion.models import CoercionRule
from apps.commitment.verification import blobs_of, read_back
from apps.dicom.part10 import HEAD_LENGTH, Provenance, file_meta
from apps.events.models import Event
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.actions.reject_instances import reject_instances
from apps.ingest.actions.restore_rejected import restore_rejected
from apps.ingest.models import QuarantinedInstance
from apps.network.models import PolarityRule
from apps.retrieve.coercion import coerced, followed, rules_for_destination
from apps.retrieve.conversion import converted
from apps.retrieve.datasets import outgoing
from apps.retrieve.instances import as_stored
from apps.retrieve.locations import Location, locations_by_key
from apps.retrieve.metadata import dicom_json_of
from apps.storage.stores import blob_store
from tests.builders import ct_slice, part10

pytestmark = pytest.mark.django_db
FROM = Provenance("dimse", "CT1", "PACSWEB", "10.0.0.1")
DEFLATED = DeflatedExplicitVRLittleEndian


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    pass


def rule(operations: str, name: str = "north", **fields: Any) -> CoercionRule:
    made = CoercionRule(name=name, operations=operations, **fields)
    made.full_clean()
    made.save()
    return made


def raw_of(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    if syntax != DEFLATED:
        return part10(dataset, syntax)
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, dataset)
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    meta = file_meta(
        sop_class_uid=dataset.SOPClassUID, sop_instance_uid=dataset.SOPInstanceUID,
        transfer_syntax_uid=syntax, provenance=None,
    )  # fmt: skip
    return meta + deflate.compress(out.getvalue()) + deflate.flush()


def arrive(raw: bytes, provenance: Provenance = FROM) -> None:
    inbox.receive_part10(provenance, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
    drain_inbox(60)


def stored(dataset: Dataset) -> Location:
    row = Instance.objects.get(sop_instance_uid=dataset.SOPInstanceUID)
    return next(locations_by_key([row.pk]))


def given_out(location: Location) -> pydicom.FileDataset:
    out = as_stored(location)
    content = b"".join(out.chunks)
    assert len(content) == out.length
    return pydicom.dcmread(io.BytesIO(content))


ALL = "set InstitutionName = Städtisch\nreplace PatientID = T-(\\d+) -> N\\1\nadd issuer = NORTH"


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DEFLATED]
)
def test_STW_05_values_change_bytes_stay_and_the_old_ones_are_recorded(syntax: str) -> None:
    """PS3.3 C.12.1.1.9, in every encoding; earlier items of the sequence are preserved."""
    rule(ALL)
    dataset = ct_slice(PatientName="Grün^Åsa")
    earlier = Dataset()
    earlier.ModifiedAttributesSequence = [Dataset()]
    earlier.ModifiedAttributesSequence[0].PatientID = "OLDEST"
    earlier.AttributeModificationDateTime, earlier.ModifyingSystem = "20200101", "X"
    earlier.SourceOfPreviousValues, earlier.ReasonForTheAttributeModification = "", "CORRECT"
    dataset.OriginalAttributesSequence = [earlier]
    raw = raw_of(dataset, syntax)
    arrive(raw)
    location = stored(dataset)
    blob = blob_store().read_at(location.blob_key, 0, location.size_bytes)
    meta = location.dataset_offset
    assert hashlib.sha256(blob[meta:]).digest() == location.dataset_sha256
    assert blob[meta:] == raw[-len(blob[meta:]) :]
    found = given_out(location)
    assert (found.PatientID, found.IssuerOfPatientID) == ("N1", "NORTH")
    assert found.InstitutionName == "Städtisch"
    assert str(found.PatientName) == "Grün^Åsa"
    assert found.PixelData == dataset.PixelData
    first, second = found.OriginalAttributesSequence
    assert first.ModifiedAttributesSequence[0].PatientID == "OLDEST"
    (before,) = second.ModifiedAttributesSequence
    assert (before.PatientID, before.InstitutionName) == ("T-1", "")
    assert before.IssuerOfPatientID == ""
    assert (second.ModifyingSystem, second.SourceOfPreviousValues) == ("PACSWEB", "CT1")
    assert second.ReasonForTheAttributeModification == "COERCE"
    unchanged = {elem.tag for elem in found} - {elem.tag for elem in dataset}
    assert unchanged == {0x00080080, 0x00100021}


def test_the_index_the_metadata_and_the_event_say_the_new_values() -> None:
    rule(ALL, conditions="Modality=CT")
    dataset = ct_slice()
    arrive(raw_of(dataset))
    assert Patient.objects.get().identity_key == "N1\x1fNORTH"
    assert Study.objects.get().patient_id == "N1"
    location = stored(dataset)
    document = dicom_json_of(location.key)
    assert document["00080080"]["Value"] == ["Städtisch"]
    (item,) = document["04000561"]["Value"]
    assert item["04000550"]["Value"][0]["00100020"]["Value"] == ["T-1"]
    assert item["04000562"]["Value"][0].endswith("+0000")
    assert Event.objects.get(kind="InstancesStored").payload["coerced"] == {"north": 1}
    assert Amendment.objects.get().rules == "north"
    # What is given out and what the index says is one thing.
    again = given_out(location).to_json_dict(bulk_data_threshold=1 << 20)
    assert again["00100020"] == document["00100020"]
    assert again["04000561"] == document["04000561"]


def test_whom_a_rule_does_not_concern_is_left_alone() -> None:
    rule("set InstitutionName = X", "titles", ae_titles="CT2, CT3")
    rule("set InstitutionName = X", "condition", conditions="Modality=MR")
    rule("set InstitutionName = X", "off", enabled=False)
    rule("set InstitutionName = X", "on sending", direction="send")
    rule("set StudyDescription = Head", "nothing new")
    dataset = ct_slice()
    arrive(raw_of(dataset))
    assert not Amendment.objects.exists()
    location = stored(dataset)
    assert not location.layers
    assert "OriginalAttributesSequence" not in given_out(location)


def test_STO_06_the_same_object_again_is_success_and_other_bytes_are_not() -> None:
    """Duplicates, commitment and checks are about the bytes as received, whatever rules said."""
    rule(ALL)
    dataset = ct_slice()
    raw = raw_of(dataset)
    arrive(raw)
    CoercionRule.objects.update(operations="set InstitutionName = Other")
    arrive(raw)
    assert Instance.objects.count() == 1
    assert not QuarantinedInstance.objects.exists()
    assert stored(dataset).layers[0].elements[0x00080080][1].decode("utf-8").strip() == "Städtisch"
    (known,) = blobs_of([dataset.SOPInstanceUID]).values()
    assert read_back(known, lambda _bytes: None) == "good"
    dataset.StudyDescription = "Changed"
    arrive(raw_of(dataset))
    assert QuarantinedInstance.objects.get().reason == "other-bytes"


def test_two_rules_are_two_items_and_a_correction_says_so() -> None:
    rule("set StudyDescription = Skull", "a", position=1)
    rule("set StudyDescription = Brain\nset StationName = S", "b", position=2, reason="CORRECT")
    dataset = ct_slice()
    arrive(raw_of(dataset))
    found = given_out(stored(dataset))
    first, second = found.OriginalAttributesSequence
    assert first.ModifiedAttributesSequence[0].StudyDescription == "Head"
    assert second.ModifiedAttributesSequence[0].StudyDescription == "Skull"
    assert second.ReasonForTheAttributeModification == "CORRECT"
    assert (found.StudyDescription, found.StationName) == ("Brain", "S")


def test_a_missing_character_set_is_declared_and_what_was_there_reads_by_it() -> None:
    rule("set if empty SpecificCharacterSet = ISO_IR 144\nupper case PatientName")
    dataset = ct_slice(PatientName="")
    del dataset.SpecificCharacterSet
    dataset.add_new(0x00100010, "PN", "Иванов^Иван".encode("iso8859_5"))
    arrive(raw_of(dataset))
    assert Study.objects.get().patient_name == "ИВАНОВ^ИВАН"
    found = given_out(stored(dataset))
    assert found.SpecificCharacterSet == "ISO_IR 144"
    assert str(found.PatientName) == "ИВАНОВ^ИВАН"
    before = found.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert str(before.PatientName) == "Иванов^Иван"


def test_a_value_that_broke_its_vr_is_recorded_as_empty() -> None:
    rule("set AccessionNumber = A2")
    dataset = ct_slice()
    dataset.add_new(0x00080050, "SH", b"far too long for an accession number")
    arrive(raw_of(dataset))
    found = given_out(stored(dataset))
    assert found.AccessionNumber == "A2"
    assert found.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].AccessionNumber == ""


def test_rewritten_in_another_transfer_syntax_the_values_are_the_same() -> None:
    rule(ALL)
    dataset = ct_slice(OriginalAttributesSequence=[Dataset()])
    arrive(raw_of(dataset))
    location = stored(dataset)
    out = converted(location, ExplicitVRLittleEndian)
    explicit = pydicom.dcmread(io.BytesIO(b"".join(out.chunks)))
    jpeg_ls = converted(location, "1.2.840.10008.1.2.4.80")
    compressed = pydicom.dcmread(io.BytesIO(b"".join(jpeg_ls.chunks)))
    for found in (explicit, compressed):
        assert (found.PatientID, found.InstitutionName) == ("N1", "Städtisch")
        assert len(found.OriginalAttributesSequence) == 2
        (before,) = found.OriginalAttributesSequence[1].ModifiedAttributesSequence
        assert before.PatientID == "T-1"


def test_on_sending_another_layer_lies_over_the_first() -> None:
    rule(ALL)
    rule("set PatientID = Z9\nset StationName = OUT", "out", direction="send", ae_titles="AWAY")
    dataset = ct_slice()
    arrive(raw_of(dataset))
    location = stored(dataset)
    assert rules_for_destination("ELSEWHERE") == ()
    leaving = coerced(location, rules_for_destination("AWAY"))
    for syntax, implicit in ((ExplicitVRLittleEndian, False), (ImplicitVRLittleEndian, True)):
        with outgoing(leaving, syntax) as out:
            raw = bytearray(out.length)
            out.source.fill([memoryview(raw)])
        found = read_dataset(io.BytesIO(raw), implicit, True)
        assert (found.PatientID, found.StationName) == ("Z9", "OUT")
        first, second = found.OriginalAttributesSequence
        assert first.ModifiedAttributesSequence[0].PatientID == "T-1"
        (before,) = second.ModifiedAttributesSequence
        assert (before.PatientID, before.IssuerOfPatientID) == ("N1", "NORTH")
        assert second.SourceOfPreviousValues == "PACSWEB"
    # What is made from the image for this destination names the same patient, and no more.
    made = {"00100020": {"vr": "LO", "Value": ["N1"]}, "00080060": {"vr": "CS", "Value": ["PR"]}}
    told = followed(made, location, rules_for_destination("AWAY"))
    assert told == made | {"00100020": {"vr": "LO", "Value": ["Z9"]}}
    assert leaving.digest != location.digest != location.dataset_sha256.hex()
    assert dicom_json_of(location.key)["00100020"]["Value"] == ["N1"]


def test_what_was_rejected_comes_back_as_the_rules_say() -> None:
    rule(ALL)
    dataset = ct_slice()
    arrive(raw_of(dataset))
    principal = system_principal("test")
    reject_instances(principal, dataset.StudyInstanceUID)
    assert not Amendment.objects.exists()
    restore_rejected(principal, dataset.StudyInstanceUID)
    assert given_out(stored(dataset)).PatientID == "N1"


def test_a_preview_shows_what_would_change_and_changes_nothing() -> None:
    """On what came, not on what rules made of it since; over REST and in the admin alike."""
    rule("set InstitutionName = Now", "now")
    for number in range(3):
        arrive(raw_of(ct_slice(number=number + 1, PatientID=f"T-{number}")))
    arrive(raw_of(ct_slice()), Provenance("dimse", "CT2", "PACSWEB", "10.0.0.2"))
    user = User.objects.create_superuser("root", password="a long password")
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    body = {
        "name": "now",
        "ae_titles": "CT1",
        "conditions": "PatientID=T-1,T-2",
        "operations": "set InstitutionName = Next\ncopy AccessionNumber = ProtocolName",
        "direction": "receive",
        "reason": "COERCE",
        "position": 0,
    }
    answer = client.post("/api/rules/coercion/preview/", body, content_type="application/json")
    rows = answer.json()
    assert [each["fits"] for each in rows] == [True, True, False]
    assert rows[0]["differences"] == [{"keyword": "InstitutionName", "before": "", "after": "Next"}]
    assert CoercionRule.objects.count() == 1
    key = CoercionRule.objects.get().pk
    page = client.post(f"/admin/coercion/coercionrule/preview/?row={key}", body)
    text = page.content.decode()
    assert (page.status_code, text.count("Next")) == (200, 2)
    assert "does not meet the conditions" in text
    wrong = client.post("/admin/coercion/coercionrule/preview/", body | {"operations": "set X = 1"})
    assert "is no attribute" in wrong.content.decode()
    assert Event.objects.filter(kind="StudyViewed", actor_name="root").exists()
    row = Instance.objects.order_by("pk").first()
    page = client.get(f"/admin/archive/instance/{row.pk}/change/").content.decode()
    assert "InstitutionName by now; stored as received" in page
    form = client.get(f"/admin/coercion/coercionrule/{key}/change/").content.decode()
    assert f"/admin/coercion/coercionrule/preview/?row={key}" in form


def test_a_polarity_rule_is_tried_on_what_its_source_sent_last() -> None:
    grey, color = ct_slice(), ct_slice(PhotometricInterpretation="RGB")
    for dataset in (grey, color):
        arrive(raw_of(dataset))
    user = User.objects.create_superuser("root", password="a long password")
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")

    def reasons(**fields: Any) -> dict[str, str]:
        body = {"source_ae_title": "CT1", "first_day": "2020-01-01", "reason": "x"} | fields
        answer = client.post("/api/rules/polarity/preview/", body, content_type="application/json")
        return {each["sop_instance_uid"]: each["reason"] for each in answer.json()}

    assert reasons() == {
        grey.SOPInstanceUID: "",
        color.SOPInstanceUID: "It is no grey image.",
    }
    assert "period" in reasons(last_day="2020-02-01")[grey.SOPInstanceUID]
    assert "station" in reasons(station_name="OTHER")[grey.SOPInstanceUID]
    assert reasons(source_ae_title="CT2") == {}
    assert not PolarityRule.objects.exists()


def test_a_preview_needs_an_administrator() -> None:
    answer = Client().post("/api/rules/coercion/preview/", {}, content_type="application/json")
    assert answer.status_code == 401
    user = User.objects.create_user("reader", password="a long password", is_staff=True)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    for path in ("/api/rules/coercion/preview/", "/admin/coercion/coercionrule/preview/"):
        answer = client.post(path, {}, content_type="application/json")
        assert answer.status_code == 403
