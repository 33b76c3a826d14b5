"""What rules may say, what they do to values, and that they can do no more than that."""

from __future__ import annotations

import time

import pytest
from pydicom.datadict import dictionary_VR, keyword_dict

from apps.dicom.amendments import Circumstances, Layer, layer_of, packed, unpacked
from apps.dicom.coercion import ATTRIBUTES, Coercion, coerced, steps_of
from apps.dicom.conditions import conditions_of
from apps.errors import InvalidRequest

WHEN = Circumstances("20260101120000+0000", "PACSWEB", "CT1", "COERCE")


def made(operations: str, **before: str) -> Coercion:
    return coerced(lambda keyword: before.get(keyword, ""), steps_of(operations))


@pytest.mark.parametrize(
    ("operation", "before", "after"),
    [
        ("set InstitutionName = City Hospital", "", "City Hospital"),
        ("set if empty InstitutionName = City", "Known", None),
        ("set if empty PatientSex = O", "", "O"),
        ("copy StudyID = AccessionNumber", "1", "ACC7"),
        ("copy if empty StudyID = AccessionNumber", "1", None),
        ("copy if empty StudyID = StationName", "", None),
        (r"replace PatientID = NORTH-0*(\d+) -> N\1", "NORTH-00123", "N123"),
        (r"replace PatientID = (\d{4})(\d+) -> \2/\1", "20261234", "1234/2026"),
        (r"replace PatientID = NORTH-0*(\d+) -> \1", "SOUTH-00123", None),
        (r"replace OtherPatientIDs = A(\d+) -> B\1", "A1\\C2\\A3", "B1\\C2\\B3"),
        ("replace PatientID = [A-Z]+ ->", "ABC", None),  # it would be empty, and a name is needed
        ("prefix AccessionNumber = N", "A1", "NA1"),
        ("prefix AccessionNumber = N", "N1", None),
        ("prefix AccessionNumber = N", "", None),
        ("upper case PatientName", "Müller^Jörg=山田", "MÜLLER^JÖRG=山田"),
        ("strip PatientName", " Doe  ^ John ^", "Doe^John"),
        ("strip PatientID", "12  34", "12 34"),
        ("empty PatientComments", "secret", ""),
        ("add issuer = NORTH", "", "NORTH"),
        ("set if empty SpecificCharacterSet = ISO_IR 100", "", "ISO_IR 100"),
    ],
)
def test_each_operation_does_what_it_says(operation: str, before: str, after: str | None) -> None:
    keyword = steps_of(operation)[0].keyword
    known = {"AccessionNumber": "ACC7", "PatientID": "1", keyword: before}
    outcome = made(operation, **known)
    assert outcome.changes == ({} if after is None else {keyword: after})


def test_steps_run_in_order_and_what_would_be_unlawful_is_left_out() -> None:
    outcome = made("prefix StudyID = A\nupper case StudyID\ncopy AccessionNumber = StudyID",
                   StudyID="x1", AccessionNumber="old")  # fmt: skip
    assert outcome.changes == {"StudyID": "AX1", "AccessionNumber": "AX1"}
    long = made("copy AccessionNumber = InstitutionName", InstitutionName="x" * 40)
    assert not long.changes
    assert "copy AccessionNumber" in long.problems[0]
    assert "xxx" not in long.problems[0]
    assert not made("copy if empty StudyDate = StudyID", StudyID="yesterday").changes


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("set SOPInstanceUID = 1.2.3", "not an attribute that rules may change"),
        ("set StudyInstanceUID = 1.2.3", "not an attribute that rules may change"),
        ("set PhotometricInterpretation = RGB", "not an attribute that rules may change"),
        ("set Laterality = L", "not an attribute that rules may change"),
        ("set Patient = x", "no attribute"),
        ("erase PatientName", "begin with one of"),
        ("set", "begin with one of"),
        ("set PatientName", "needs a value"),
        ("empty PatientID", "must not be emptied"),
        ("empty PatientComments = x", "takes nothing"),
        ("set StudyDate = 20260101", "only be filled in"),
        ("set if empty StudyDate = yesterday", "no value of StudyDate"),
        ("set AccessionNumber = 12345678901234567", "no value of AccessionNumber"),
        ("set PatientID = a\\b", "no value of PatientID"),
        ("set SpecificCharacterSet = ISO_IR 100", "only be filled in"),
        ("set if empty SpecificCharacterSet = LATIN", "no defined term"),
        ("copy PatientID = PixelData", "can be copied from"),
        ("copy PatientID = Rows", "can be copied from"),
        ("replace PatientID = abc", "an arrow"),
        ("replace PatientID = (a+)+ -> x", "cannot be read from"),
        ("replace PatientID = (a|b) -> x", "cannot be read from"),
        ("replace PatientID = ((a)) -> x", "inside each other"),
        ("replace PatientID = (a -> x", "not closed"),
        ("replace PatientID = (?=a) -> x", "cannot be read from"),
        ("replace PatientID = a*b*c*d* -> x", "at most 3 times"),
        ("replace PatientID = a{999} -> x", "more than 128"),
        (r"replace PatientID = (a) -> \2", "no group 2"),
        (r"replace PatientID = (a) -> \g", "names a group"),
        ("replace PatientID = [z-a] -> x", "cannot be read"),
    ],
)
def test_what_a_rule_must_not_say_is_refused_with_a_sentence(line: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as refusal:
        steps_of(f"strip PatientID\n{line}")
    assert line in refusal.value.message


def test_no_uid_no_pixel_description_and_no_number_can_be_changed() -> None:
    """STW-05, PS3.4 B.4.1.3: the closed list holds text that describes, and nothing else."""
    for keyword in ATTRIBUTES:
        tag = keyword_dict[keyword]
        assert dictionary_VR(tag) in {"CS", "DA", "LO", "LT", "PN", "SH", "ST", "TM"}
        assert tag >> 16 not in {0x0002, 0x0028, 0x7FE0}
    assert not {"Modality", "Laterality", "PatientOrientation", "ImageType"} & ATTRIBUTES.keys()


def test_the_worst_pattern_on_the_worst_value_is_done_at_once() -> None:
    steps = steps_of("replace PatientID = .*a.*a.*a -> x")
    began = time.process_time()
    assert not coerced(lambda _keyword: "a" * 127 + "b", steps).changes
    assert not coerced(lambda _keyword: "a" * 100_000, steps).changes
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ("Modality=CT,MR", True),
        ("ModalitiesInStudy=CT", True),
        ("Modality=MR", False),
        ("PatientName=DOE*", True),
        ("StudyDate=20260101-", True),
        ("StudyDate=-20251231", False),
        ("InstitutionName=NORTH", False),
        ("Modality=CT\nPatientName=ROE*", False),
        ("InstanceNumber=7", True),
    ],
)
def test_conditions_ask_the_object_itself(condition: str, met: bool) -> None:
    known = {
        "Modality": "CT", "PatientName": "Doe^John", "StudyDate": "20260203", "InstanceNumber": "7",
    }  # fmt: skip
    found = conditions_of(condition, of_instances=True)
    assert all(each.met_by(lambda keyword: known.get(keyword, "")) for each in found) is met


def test_a_count_is_no_condition_of_an_object() -> None:
    with pytest.raises(InvalidRequest, match="counts"):
        conditions_of("NumberOfStudyRelatedSeries=2", of_instances=True)


def test_what_the_character_set_cannot_write_is_left_out_and_declared_first_it_is_written() -> None:
    before = {"PatientID": "1"}
    outcome = made("set InstitutionName = Hôpital\nset StationName = A", **before)
    layer, left = layer_of(outcome, lambda keyword: before.get(keyword, ""), (), WHEN)
    assert layer is not None
    assert layer.elements == {0x00081010: ("SH", b"A ")}
    assert left.changes == {"StationName": "A"}
    assert "character set" in left.problems[0]
    outcome = made("set if empty SpecificCharacterSet = ISO_IR 100\nset InstitutionName = Hôpital")
    layer, left = layer_of(outcome, lambda _keyword: "", (), WHEN)
    assert layer is not None
    assert not left.problems
    assert layer.elements[0x00080080] == ("LO", b"H\xf4pital ")


def test_layers_survive_being_packed() -> None:
    layer = Layer({0x00100020: ("LO", b"\xff\x001 ")}, WHEN, frozenset({0x00100020}))
    assert unpacked(packed((layer, layer))) == (layer, layer)
