"""Reading keys: what they mean, what is refused, the hierarchical model (PS3.4 C.2, C.4.1.2)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.criteria import (
    Between,
    Empty,
    Every,
    Names,
    Numbers,
    Text,
    Uids,
    Universal,
    criterion_of,
)
from apps.dicom.matching import Record, like, matches
from apps.dicom.query import Key, Level, Query, check_hierarchical, plan
from apps.errors import InvalidRequest


def key(keyword: str, *values: str) -> Key:
    return Key((BY_KEYWORD[keyword].tag,), values)


def criterion(keyword: str, *values: str) -> object:
    return criterion_of(BY_KEYWORD[keyword], values)


@pytest.mark.parametrize("values", [(), ("",), ("*",), (" ",), ("**",), ("", "*")])
@pytest.mark.parametrize(
    "keyword", ["PatientName", "PatientID", "StudyDate", "StudyInstanceUID", "SeriesNumber"]
)
def test_FND_01_nothing_and_a_lone_star_are_universal(keyword: str, values: tuple[str]) -> None:
    assert criterion(keyword, *values) == Universal()
    assert key(keyword, *values).universal


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyInstanceUID", "1.2.*"),
        ("StudyDate", "2024*"),
        ("StudyTime", "10??"),
        ("SeriesNumber", "1*"),
        ("PatientSize", "1.?"),
        ("PatientAge", "0*Y"),
    ],
)
def test_FND_02_wildcards_are_refused_where_the_vr_forbids_them(keyword: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        criterion(keyword, value)
    assert caught.value.offending == (BY_KEYWORD[keyword].tag_hex,)
    assert value not in caught.value.message


@pytest.mark.parametrize(
    ("keyword", "values", "expected"),
    [
        ("PatientID", ("A*B**C",), Text(("A*B*C",))),
        ("Modality", ("CT\\MR", "US"), Text(("CT", "MR", "US"))),
        ("StudyInstanceUID", ("1.2\\1.3\0",), Uids(("1.2", "1.3"))),
        ("SeriesNumber", ("+007",), Numbers((7,))),
        ("NumberOfStudyRelatedInstances", ("3",), Numbers((3,))),
        ("PatientWeight", ("070.50",), Text(("70.5",))),
        ("StudyDate", ("20240101-20240131",), Between("20240101", "20240131")),
        ("StudyDate", ("-2024.01.31",), Between("", "20240131")),
        ("StudyDate", ("20240101 - ",), Between("20240101", "")),
        ("StudyTime", ("2230",), Between("223000", "223000")),
    ],
)
def test_keys_are_read(keyword: str, values: tuple[str, ...], expected: object) -> None:
    assert criterion(keyword, *values) == expected


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyDate", "20241301"),
        ("StudyDate", "20240201-20240101"),
        ("StudyDate", "20240101-20240102-20240103"),
        ("StudyDate", "-"),
        ("StudyDate", "20240101\\20240102"),
        ("StudyTime", "2500"),
        ("StudyInstanceUID", "1.2 3"),
        ("StudyInstanceUID", "1" * 129),
        ("SeriesNumber", "seven"),
        ("SeriesNumber", "9" * 30),
        ("PatientWeight", "heavy"),
        ("PatientID", "x" * 1025),
    ],
)
def test_keys_that_mean_nothing_are_refused_by_name(keyword: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        criterion(keyword, value)
    assert caught.value.offending == (BY_KEYWORD[keyword].tag_hex,)


def test_lists_have_a_length_that_databases_take() -> None:
    with pytest.raises(InvalidRequest):
        criterion("Modality", *("CT" for _ in range(101)))
    assert isinstance(criterion("SOPInstanceUID", *(f"1.{n}" for n in range(10_000))), Uids)
    with pytest.raises(InvalidRequest):
        criterion("SOPInstanceUID", *(f"1.{n}" for n in range(10_001)))


@pytest.mark.parametrize(
    ("value", "groups", "anywhere"),
    [
        ("Yamada^Tarou", (("yamada^tarou",), (), ()), True),
        ("YAMADA*", (("yamada*",), (), ()), True),
        ("Yamada^^", (("yamada",), (), ()), True),
        ("Yamada^*", (("yamada^*", "yamada"), (), ()), True),
        ("*=山田*", ((), ("山田*",), ()), False),
        ("*=*", ((), ("*",), ()), False),
        ("Yamada*==やま*", (("yamada*",), (), ("やま*",)), False),
        (" Müller *", (("muller *",), (), ()), True),
    ],
)
def test_FND_06_name_keys_by_component_group(
    value: str, groups: tuple[tuple[str, ...], ...], anywhere: bool
) -> None:
    read = criterion("PatientName", value)
    assert isinstance(read, Names)
    assert (read.names[0].groups, read.names[0].anywhere) == (groups, anywhere)


def test_FND_06_a_key_of_empty_groups_is_universal_and_stars_are_not() -> None:
    assert criterion("PatientName", "==") == Universal()
    assert criterion("PatientName", "*=") == Universal()
    assert criterion("PatientName", "*=*") != Universal()


def test_a_full_width_question_mark_is_a_character_and_no_wildcard() -> None:
    read = criterion("PatientName", "Doe\uff1f\uff0a")
    assert isinstance(read, Names)
    assert not set("*?") & set(read.names[0].groups[0][0])


def _regular(pattern: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern)


@given(st.text(alphabet="ab*?%_\\[", max_size=8), st.text(alphabet="ab%_\\[*", max_size=10))
def test_FND_04_patterns_mean_what_regular_expressions_of_them_mean(
    pattern: str, text: str
) -> None:
    expected = re.fullmatch(_regular(pattern), text, re.DOTALL) is not None
    assert like(pattern, text) == expected


def test_matching_of_many_stars_takes_no_time() -> None:
    assert not like("*a" * 30 + "b", "a" * 64)


def test_FND_10_a_hyphen_in_a_moment_is_a_range_and_never_an_offset() -> None:
    between = criterion_at("00404005", "20240105120000+0100-20240105130000+0100")
    assert between == Between("20240105110000.000000", "20240105120000.000000")
    with pytest.raises(InvalidRequest):
        criterion_at("00404005", "20240105120000-0500")


def test_FND_09_moments_are_equal_across_offsets() -> None:
    assert criterion_at("00404005", "20240105120000+0100") == criterion_at(
        "00404005", "20240105110000+0000"
    )


def test_empty_and_multiple_value_matching_count_only_when_agreed() -> None:
    name, kind = BY_KEYWORD["PatientName"], BY_KEYWORD["ImageType"]
    assert criterion_of(name, ('""',)) != Empty()
    assert criterion_of(name, (' "" ',), empty=True) == Empty()
    assert criterion_of(kind, ("A\\B",)) == Text(("A", "B"))
    assert criterion_of(kind, ("A\\B",), every=True) == Every((Text(("A",)), Text(("B",))))
    assert criterion_of(kind, ("A",), every=True) == Text(("A",))
    uid = BY_KEYWORD["StudyInstanceUID"]
    assert criterion_of(uid, ("1.2", "1.3"), every=True) == Uids(("1.2", "1.3"))


def criterion_at(tag: str, value: str) -> object:
    from apps.dicom.attributes import any_attribute

    attribute = any_attribute(int(tag, 16))
    assert attribute is not None
    return criterion_of(attribute, (value,))


# --- plan --------------------------------------------------------------------------------------


def test_unknown_and_misplaced_keys_are_unsupported_private_ones_above_the_instance() -> None:
    private = Key((0x00091001,), ("x",), "ACME 1.1")
    unknown = Key((0x00087777,), ("x",))
    pixel_spacing = Key((0x00280030,), ("1",))
    asked = plan(Query(Level.STUDY, (private, unknown, pixel_spacing, key("PatientID", "1"))))
    assert asked.unsupported == (private, unknown, pixel_spacing)
    assert [attribute.keyword for attribute, _ in asked.criteria] == ["PatientID"]
    at_instance = plan(Query(Level.INSTANCE, (private, unknown, pixel_spacing)))
    assert at_instance.unsupported == (unknown,)
    assert at_instance.stored == (private, pixel_spacing)


def test_what_describes_the_request_is_never_matched() -> None:
    control = [0x00080005, 0x00080052, 0x00080054, 0x00080056, 0x00080201]
    asked = plan(Query(Level.STUDY, tuple(Key((tag,), ("x",)) for tag in control)))
    assert asked.criteria == ()
    assert asked.unsupported == ()


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        plan(Query(Level.STUDY, (key("PatientID", "1"), key("PatientID", "2"))))
    assert caught.value.offending == ("00100020",)


def test_a_zone_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        plan(Query(Level.STUDY, (), timezone_offset="CET"))


def test_answers_hold_what_was_asked_and_what_the_standard_requires() -> None:
    asked = plan(Query(Level.SERIES, (key("StationName", ""),), include=frozenset({0x00081030})))
    answered = {attribute.keyword for attribute in asked.answered}
    assert {"StationName", "StudyDescription", "Modality", "StudyInstanceUID"} <= answered
    assert "SOPInstanceUID" not in answered
    assert "PatientComments" not in answered
    everything = plan(Query(Level.SERIES, include_all=True)).answered
    assert "PatientComments" in {attribute.keyword for attribute in everything}


# --- the hierarchical model ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "keys", "root", "offending"),
    [
        (Level.STUDY, [key("PatientName", "A*")], Level.STUDY, ()),
        (Level.STUDY, [key("StudyInstanceUID", "1.2", "1.3")], Level.STUDY, ()),
        (Level.STUDY, [key("Modality", "CT")], Level.STUDY, ("00080060",)),
        (Level.STUDY, [key("Modality", "")], Level.STUDY, ()),
        (Level.SERIES, [], Level.STUDY, ("0020000D",)),
        (Level.SERIES, [key("StudyInstanceUID", "1.2")], Level.STUDY, ()),
        (Level.SERIES, [key("StudyInstanceUID", "")], Level.STUDY, ("0020000D",)),
        (Level.SERIES, [key("StudyInstanceUID", "1.2", "1.3")], Level.STUDY, ("0020000D",)),
        (
            Level.SERIES,
            [key("StudyInstanceUID", "1.2"), key("PatientName", "A*")],
            Level.STUDY,
            ("00100010",),
        ),
        (Level.INSTANCE, [key("StudyInstanceUID", "1.2")], Level.STUDY, ("0020000E",)),
        (
            Level.INSTANCE,
            [key("StudyInstanceUID", "1.2"), key("SeriesInstanceUID", "1.3")],
            Level.STUDY,
            (),
        ),
        (Level.STUDY, [], Level.PATIENT, ("00100020",)),
        (Level.STUDY, [key("PatientID", "A*")], Level.PATIENT, ("00100020",)),
        (Level.STUDY, [key("PatientID", "A1")], Level.PATIENT, ()),
        (Level.PATIENT, [key("PatientID", "A*"), key("PatientName", "B*")], Level.PATIENT, ()),
    ],
)
def test_FND_16_parent_keys_are_single_values_unless_relational(
    level: Level, keys: list[Key], root: Level, offending: tuple[str, ...]
) -> None:
    query = Query(level, tuple(keys))
    if not offending:
        check_hierarchical(query, root)
        return
    with pytest.raises(InvalidRequest) as caught:
        check_hierarchical(query, root)
    assert caught.value.offending == offending


def test_the_oracle_asks_for_one_row_below_that_meets_all() -> None:
    from apps.dicom.attributes import Entity

    ct = Record(Entity.SERIES, {"Modality": "CT", "StationName": "A"})
    mr = Record(Entity.SERIES, {"Modality": "MR", "StationName": "B"})
    study = Record(Entity.STUDY, {}, children=(ct, mr))
    both = Query(Level.STUDY, (key("Modality", "CT"), key("StationName", "B")))
    one = Query(Level.STUDY, (key("Modality", "CT"), key("StationName", "A")))
    assert not matches(plan(both), study)
    assert matches(plan(one), study)


@pytest.mark.parametrize("combined", [False, True])
def test_FND_07_a_time_range_crosses_midnight_only_together_with_dates(*, combined: bool) -> None:
    times = Key((BY_KEYWORD["StudyTime"].tag,), ("1800-1000",))
    dates = Key((BY_KEYWORD["StudyDate"].tag,), ("20240101-20240102",))
    with pytest.raises(InvalidRequest):
        plan(Query(Level.STUDY, (times,), combined_datetime=combined))
    if combined:
        assert plan(Query(Level.STUDY, (times, dates), combined_datetime=True)).criteria
    else:
        with pytest.raises(InvalidRequest):
            plan(Query(Level.STUDY, (times, dates)))
