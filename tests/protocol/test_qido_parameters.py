"""Query parameters of QIDO-RS to a Query, without a server."""

from __future__ import annotations

import pytest

from apps.dicom.query import Level
from apps.dicomweb.qido.parameters import LARGEST_PAGE, search_from
from apps.errors import InvalidRequest


def keys(query: str, level: Level = Level.STUDY, **path: str):
    return {key.path: key.values for key in search_from(query, level, **path).query.keys}


def test_QID_07_keyword_and_hexadecimal_tag_are_equal():
    assert keys("PatientName=DOE*&00100020=7") == {
        (0x00100010,): ("DOE*",),
        (0x00100020,): ("7",),
    }


def test_QID_06_dotted_paths_of_either():
    name = "RequestAttributesSequence.ScheduledProcedureStepID"
    assert keys(f"{name}=1", Level.SERIES) == keys("00400275.00400009=1", Level.SERIES)


def test_QID_06_a_comma_list_encoded_as_one_value_is_a_list():
    search = search_from(
        "includefield=00081030%2C00080060%2C00080090%2C00100030&includefield=PatientSex",
        Level.STUDY,
    )
    assert search.query.include == {0x00081030, 0x00080060, 0x00080090, 0x00100030, 0x00100040}


def test_QID_06_all_among_others_makes_them_superfluous():
    search = search_from("includefield=all,PatientSex", Level.STUDY)
    assert search.query.include_all


def test_QID_07_lists_of_uids_by_comma_or_backslash():
    assert keys("StudyInstanceUID=1.2,1.3%5C1.4") == {(0x0020000D,): ("1.2", "1.3", "1.4")}


def test_QID_07_a_key_may_appear_once_only():
    from apps.dicom.query import plan

    with pytest.raises(InvalidRequest):
        plan(search_from("PatientID=1&00100020=2", Level.STUDY).query)


def test_QID_05_fuzzy_matching_is_asked_for():
    assert search_from("fuzzymatching=true&PatientName=x", Level.STUDY).query.fuzzy_names
    assert not search_from("fuzzymatching=false", Level.STUDY).query.fuzzy_names
    assert search_from("fuzzymatching=true", Level.STUDY).warnings == ()
    (warning,) = search_from("fuzzymatching=true&OperatorsName=x", Level.SERIES).warnings
    assert warning == (
        "The fuzzymatching parameter is not supported for OperatorsName. "
        "Only literal matching has been performed."
    )


def test_QID_09_dates_and_times_are_combined():
    assert search_from("", Level.STUDY).query.combined_datetime


@pytest.mark.parametrize("text", ["%2B0100", "+0100"])
def test_QID_10_the_zone_of_the_query(text):
    search = search_from(f"TimezoneOffsetFromUTC={text}&StudyDate=20240101", Level.STUDY)
    assert search.query.timezone_offset == "+0100"
    assert (0x00080201,) not in {key.path for key in search.query.keys}


def test_QID_11_percent_encoding_and_utf_8():
    assert keys("PatientName=Gr%C3%BCn%20%26+Co") == {(0x00100010,): ("Grün & Co",)}


def test_QID_11_bytes_that_are_no_utf_8_are_refused():
    with pytest.raises(InvalidRequest):
        keys("PatientName=%FF%FE")


@pytest.mark.parametrize(
    ("query", "level", "name"),
    [
        ("Nonsense=1", Level.STUDY, "Nonsense"),
        ("limit=-1", Level.STUDY, "limit"),
        ("limit=a", Level.STUDY, "limit"),
        ("offset=1.5", Level.STUDY, "offset"),
        ("fuzzymatching=perhaps", Level.STUDY, "fuzzymatching"),
        ("includefield=Nonsense", Level.STUDY, "Nonsense"),
        ("StudyInstanceUID=a b c", Level.STUDY, "StudyInstanceUID"),
        ("SOPInstanceUID=1.2", Level.STUDY, "SOPInstanceUID"),
        ("InstanceNumber=1", Level.SERIES, "InstanceNumber"),
    ],
)
def test_QID_15_what_is_wrong_is_named(query, level, name):
    with pytest.raises(InvalidRequest) as failure:
        search_from(query, level)
    assert name in failure.value.offending


def test_limit_and_offset():
    search = search_from("limit=25&offset=50", Level.STUDY)
    assert (search.query.limit, search.query.offset) == (25, 50)
    assert search_from("", Level.STUDY).limit == LARGEST_PAGE
    assert search_from("limit=99999999", Level.STUDY).limit == LARGEST_PAGE


def test_the_path_names_its_study():
    assert keys("", Level.SERIES, study="1.2.3") == {(0x0020000D,): ("1.2.3",)}
    with pytest.raises(InvalidRequest):
        keys("StudyInstanceUID=1.2", Level.SERIES, study="1.2.3")
    with pytest.raises(InvalidRequest):
        keys("", Level.SERIES, study="1.2 or 1=1")


@pytest.mark.parametrize("study", ["*", "**", "", "1 2"])
def test_a_path_names_one_study(study: str):
    with pytest.raises(InvalidRequest):
        search_from("", Level.SERIES, study=study)
