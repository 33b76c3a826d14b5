"""The rules of matching, by the database that runs (PS3.4 C.2.2.2); --database picks it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.access.principals import Principal, PrincipalKind, system_principal
from apps.archive.models import Study
from apps.archive.selectors import (
    count,
    instance_of,
    instances_of,
    search,
    series_of,
    study_of,
)
from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.query import Key, Level, Ordering, Query
from apps.errors import InvalidRequest, NotFound, NotPermitted
from tests.domain.archive_rows import make_instance, make_patient, make_series, make_study

pytestmark = pytest.mark.django_db
ASKER = system_principal("test")
NOBODY = Principal(PrincipalKind.USER, "nobody", "test")


def key(keyword: str, *values: str) -> Key:
    return Key((BY_KEYWORD[keyword].tag,), values)


def find(
    level: Level = Level.STUDY, *, query: dict[str, object] | None = None, **keys: str | list[str]
) -> set[int]:
    """Row keys found; and the count has to agree."""
    asked = tuple(
        key(name, *([values] if isinstance(values, str) else values))
        for name, values in keys.items()
    )
    made = Query(level, asked, **(query or {}))  # type: ignore[arg-type]
    found = [match.pk for match in search(made, ASKER)]
    assert len(found) == len(set(found)) == count(made, ASKER)
    return set(found)


def ids(*rows: object) -> set[int]:
    return {row.pk for row in rows}  # type: ignore[attr-defined]


def test_FND_01_zero_length_and_star_match_everything_also_the_empty() -> None:
    full, empty = make_study(PatientName="Doe"), make_study()
    for value in ("", "*", "**"):
        assert find(PatientName=value) == ids(full, empty)
        assert find(StudyDate=value) == ids(full, empty)
    assert find(PatientName="?*") == ids(full)


def test_FND_03_matching_is_case_sensitive_except_for_names() -> None:
    study = make_study(PatientID="abC", StudyDescription="Thorax", PatientName="DoE^jOhn")
    for keyword, right, wrong in [
        ("PatientID", "abC", "abc"),
        ("PatientID", "ab*", "AB*"),
        ("StudyDescription", "*hora?", "*HORA?"),
    ]:
        assert find(**{keyword: right}) == ids(study)
        assert find(**{keyword: wrong}) == set()
    assert find(PatientName="doe^JOHN") == ids(study)
    assert find(PatientName="*OHN") == ids(study)


def test_FND_04_a_question_mark_is_one_character_and_a_star_may_be_none() -> None:
    study = make_study(StudyDescription="山田é", PatientName="Wang=王^小东")
    assert find(StudyDescription="???") == ids(study)
    assert find(StudyDescription="山??") == ids(study)
    assert find(StudyDescription="????") == set()
    assert find(StudyDescription="*山田é*") == ids(study)
    assert find(PatientName="?^小?") == ids(study)
    assert find(PatientName="?^?") == set()


@pytest.mark.parametrize("literal", ["%", "_", "[", "]", "'", '"', "^", "[a]"])
def test_FND_05_what_sql_gives_a_meaning_is_literal(literal: str) -> None:
    right = make_study(StudyDescription=f"a{literal}b", AccessionNumber=f"{literal}1")
    make_study(StudyDescription="aXb", AccessionNumber="X1")
    make_study(StudyDescription="aXYb", AccessionNumber="XY1")
    assert find(StudyDescription=f"a{literal}b") == ids(right)
    assert find(StudyDescription=f"*{literal}?") == ids(right)
    assert find(StudyDescription=f"?{literal}*") == ids(right)
    assert find(AccessionNumber=f"{literal}*") == ids(right)


def test_FND_05_a_backslash_is_literal_in_text_that_knows_no_delimiter() -> None:
    patient = make_patient(PatientComments="a\\b")
    other = make_patient(PatientComments="a\\\\b")
    for each in (patient, other):
        make_study(each)
    assert find(Level.PATIENT, PatientComments="a\\b") == ids(patient)
    assert find(Level.PATIENT, PatientComments="*\\?") == ids(patient, other)
    assert find(Level.PATIENT, PatientComments="?\\b*") == ids(patient)


def test_FND_06_component_groups_are_matched_each_on_its_own() -> None:
    yamada = make_study(PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう")
    latin = make_study(PatientName="Yamada^Jirou")
    assert find(PatientName="Yamada*") == ids(yamada, latin)
    assert find(PatientName="yamada*=山田*") == ids(yamada)
    assert find(PatientName="yamada*=田*") == set()
    assert find(PatientName="=*太郎") == ids(yamada)
    assert find(PatientName="==やまだ*") == ids(yamada)
    assert find(PatientName="*=*") == ids(yamada)


def test_CHR_04_names_are_found_by_any_group_without_an_equals_sign() -> None:
    yamada = make_study(PatientName="ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう")
    hong = make_study(PatientName="Hong^Gildong=洪^吉洞=홍^길동")
    wang = make_study(PatientName="Wang^XiaoDong=王^小东")
    for value, study in [
        ("山田*", yamada), ("やまだ^たろう", yamada), ("ヤマダ*", yamada), ("洪^吉洞", hong),
        ("홍*", hong), ("HONG^*", hong), ("王*", wang), ("wang^xiaodong", wang),
    ]:  # fmt: skip
        assert find(PatientName=value) == ids(study), value


def test_CHR_06_trailing_carets_do_not_matter_and_stay_stored() -> None:
    long, short = make_study(PatientName="Doe^John^^^"), make_study(PatientName="Doe")
    assert find(PatientName="Doe^John") == ids(long)
    assert find(PatientName="doe^john^^") == ids(long)
    assert find(PatientName="Doe^*") == ids(long, short)
    assert find(PatientName="Doe") == ids(short)
    answer = next(iter(search(Query(Level.STUDY, (key("PatientName", "Doe^John"),)), ASKER)))
    assert answer.values[0x00100010] == "Doe^John^^^"


def test_names_are_found_without_accents_and_whatever_the_keyboard() -> None:
    study = make_study(PatientName="Müller-Lüdenscheidt^Jørgen")
    for value in ("MULLER*", "müller-ludenscheidt^jorgen", "Mu\u0308ller*", "*\u2010lüdens*"):
        assert find(PatientName=value) == ids(study), value


def test_FND_07_ranges_include_both_ends_and_may_be_open() -> None:
    days = [make_study(StudyDate=f"2024010{day}") for day in range(1, 6)]
    make_study()
    assert find(StudyDate="20240102-20240104") == ids(*days[1:4])
    assert find(StudyDate="-20240102") == ids(*days[:2])
    assert find(StudyDate="20240104-") == ids(*days[3:])
    assert find(StudyDate="20240103") == ids(days[2])


def test_FND_08_date_and_time_are_independent_unless_combined() -> None:
    early = make_study(StudyDate="20060705", StudyTime="0900")
    first = make_study(StudyDate="20060705", StudyTime="1000")
    night = make_study(StudyDate="20060706", StudyTime="0300")
    noon = make_study(StudyDate="20060706", StudyTime="1200")
    last = make_study(StudyDate="20060707", StudyTime="180000.0")
    late = make_study(StudyDate="20060707", StudyTime="180000.5")
    keys = {"StudyDate": "20060705-20060707", "StudyTime": "1000-1800"}
    assert find(**keys) == ids(first, noon, last)
    assert find(query={"combined_datetime": True}, **keys) == ids(first, night, noon, last)
    assert find(StudyDate="20060705-20060707") == ids(early, first, night, noon, last, late)
    open_end = {"StudyDate": "20060706-", "StudyTime": "1200-"}
    assert find(query={"combined_datetime": True}, **open_end) == ids(noon, last, late)
    assert find(**open_end) == ids(noon, last, late)
    single = {"StudyDate": "20060706", "StudyTime": "1000-1800"}
    assert find(query={"combined_datetime": True}, **single) == ids(noon)


def test_FND_09_times_match_by_meaning() -> None:
    study = make_study(StudyTime="223000.000")
    make_study(StudyTime="223001")
    for value in ("2230", "223000", "223000.0", "22:30:00"):
        assert find(StudyTime=value) == ids(study), value


def test_FND_11_dates_and_times_are_asked_and_answered_in_the_zone_of_the_query() -> None:
    berlin = make_study(StudyDate="20240105", StudyTime="003000", offset="+0100")
    boston = make_study(StudyDate="20240104", StudyTime="183000", offset="-0500")
    local = make_study(StudyDate="20240104", StudyTime="233000")
    late = make_study(StudyDate="20240105", StudyTime="233000", offset="+0000")
    zone = {"timezone_offset": "+0000"}
    keys = {"StudyDate": "20240104", "StudyTime": "2330"}
    assert find(query=zone, **keys) == ids(berlin, boston, local)
    assert find(query=zone, StudyDate="20240104") == ids(berlin, boston, local)
    assert find(query={"timezone_offset": "+0030"}, StudyDate="20240105-") == ids(
        berlin, boston, late
    )
    night = {"StudyDate": "20240104-20240105", "StudyTime": "2300-2329"}
    combined = {**zone, "combined_datetime": True}
    assert find(query=combined, **night) == ids(berlin, boston, local)
    assert find(query=zone, **night) == set()
    assert find(query=zone, StudyTime="2300-2359") == ids(berlin, boston, local, late)
    for match in search(Query(Level.STUDY, (key("StudyDate", "20240104"),), **zone), ASKER):
        assert (match.values[0x00080020], match.values[0x00080030]) == ("20240104", "233000")
        assert match.values[0x00080201] == "+0000"


def test_FND_11_the_last_second_of_the_day_belongs_to_the_day_also_a_leap_second() -> None:
    study = make_study(StudyDate="20240105", StudyTime="005960.5", offset="+0100")
    zone = {"timezone_offset": "+0000"}
    assert find(query=zone, StudyDate="20240104") == ids(study)
    assert find(query=zone, StudyDate="20240105") == set()
    assert find(query=zone, StudyTime="2300-") == ids(study)


def test_FND_12_a_list_of_uids_matches_any_of_them() -> None:
    studies = [make_study(StudyInstanceUID=f"1.2.{number}") for number in range(4)]
    assert find(StudyInstanceUID=["1.2.1", "1.2.3", "1.2.9"]) == ids(studies[1], studies[3])
    assert find(StudyInstanceUID="1.2.0\\1.2.1") == ids(*studies[:2])


def test_FND_14_any_value_matches_and_all_are_answered() -> None:
    study = make_study()
    make_series(study, Modality="CT")
    make_series(study, Modality="SR")
    other = make_study()
    make_series(other, Modality="MR")
    assert find(ModalitiesInStudy="SR") == ids(study)
    assert find(ModalitiesInStudy=["SR", "MR"]) == ids(study, other)
    assert find(ModalitiesInStudy="?R") == ids(study, other)
    assert find(ModalitiesInStudy="CT?SR") == set()
    assert find(ModalitiesInStudy="C*R") == set()
    answer = next(iter(search(Query(Level.STUDY, (key("ModalitiesInStudy", "SR"),)), ASKER)))
    assert answer.values[0x00080061] == "CT\\SR"
    series = make_series(study, OperatorsName="Doe^Jane\\Müller^Hans=山田^太郎")
    assert find(Level.SERIES, OperatorsName="muller*") == ids(series)
    assert find(Level.SERIES, OperatorsName="*jane") == ids(series)
    assert find(Level.SERIES, OperatorsName="doe*hans") == set()
    assert find(Level.SERIES, OperatorsName="*^*") == ids(series)
    image = make_instance(series, ImageType="ORIGINAL\\PRIMARY\\AXIAL")
    assert find(Level.INSTANCE, ImageType="AXIAL") == ids(image)
    assert find(Level.INSTANCE, ImageType="PRIM*") == ids(image)
    assert find(Level.INSTANCE, ImageType="ORIG*AXIAL") == set()


def test_FND_15_patient_attributes_are_the_study_s_own_in_study_root() -> None:
    patient = make_patient(PatientName="Doe^Jane", PatientID="1")
    maiden = make_study(patient, PatientName="Roe^Jane", PatientID="1")
    married = make_study(patient, PatientName="Doe^Jane", PatientID="1")
    assert find(PatientName="Roe*") == ids(maiden)
    assert find(PatientName="Doe*") == ids(married)
    assert find(Level.PATIENT, PatientName="Doe*") == ids(patient)
    assert find(Level.PATIENT, PatientName="Roe*") == set()
    names = {
        m.values[0x00100010] for m in search(Query(Level.STUDY, (key("PatientID", "1"),)), ASKER)
    }
    assert names == {"Doe^Jane", "Roe^Jane"}


def test_FND_18_counts_are_stored_columns(
    django_assert_num_queries: Callable[[int], CaptureQueriesContext],
) -> None:
    study = make_study(PatientID="1")
    series = make_series(study, Modality="CT")
    for _ in range(3):
        make_instance(series)
    keys = [
        "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
        "NumberOfPatientRelatedStudies", "ModalitiesInStudy", "SOPClassesInStudy",
    ]  # fmt: skip
    with django_assert_num_queries(1) as captured:
        (answer,) = search(Query(Level.STUDY, tuple(key(name) for name in keys)), ASKER)
    assert [answer.values[BY_KEYWORD[name].tag] for name in keys] == ["1", "3", "1", "CT", "1.2.3"]
    assert "COUNT" not in captured.captured_queries[0]["sql"].upper()
    assert find(NumberOfStudyRelatedInstances="3") == ids(study)
    assert find(NumberOfStudyRelatedInstances="4") == set()


def test_FND_21_a_patient_without_studies_is_no_answer() -> None:
    source, survivor = make_patient(PatientID="1"), make_patient(PatientID="1")
    make_study(survivor, PatientID="1")
    assert source.pk != survivor.pk
    assert find(Level.PATIENT, PatientID="1") == ids(survivor)


def test_FND_22_an_answer_names_its_level_and_every_unique_key() -> None:
    study = make_study(PatientID="1")
    instance = make_instance(make_series(study, SeriesNumber="3"), InstanceNumber="7")
    answer = next(iter(search(Query(Level.INSTANCE, ()), ASKER)))
    assert answer.level is Level.INSTANCE
    assert answer.study_instance_uid == study.study_instance_uid
    assert answer.series_instance_uid == instance.series.series_instance_uid
    assert answer.sop_instance_uid == instance.sop_instance_uid
    assert answer.values[0x00100020] == "1"
    assert answer.values[0x00200013] == "7"


@pytest.mark.parametrize("value", ["+7", "007", "7", " 7 "])
def test_FND_23_numbers_match_by_value(value: str) -> None:
    study = make_study(PatientWeight="070.50")
    series = make_series(study, SeriesNumber="+007")
    make_series(study, SeriesNumber="70")
    assert find(Level.SERIES, SeriesNumber=value) == ids(series)
    assert find(PatientWeight="70.5") == ids(study)


def test_relational_keys_of_levels_above_and_below() -> None:
    study = make_study(PatientID="1", StudyDescription="Thorax")
    ct = make_series(study, Modality="CT", StationName="A", SeriesNumber="1")
    mr = make_series(study, Modality="MR", StationName="B", SeriesNumber="2")
    image = make_instance(ct, InstanceNumber="1", SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    make_series(make_study(PatientID="2"), Modality="CT")
    assert find(Level.SERIES, PatientID="1", StudyDescription="Tho*") == ids(ct, mr)
    assert find(Level.INSTANCE, PatientID="1", Modality="CT") == ids(image)
    assert find(Modality="CT", StationName="A") == ids(study)
    assert find(Modality="CT", StationName="B") == set()
    assert find(Modality="CT", SOPInstanceUID=image.sop_instance_uid) == ids(study)
    assert find(Modality="MR", SOPInstanceUID=image.sop_instance_uid) == set()
    assert find(Level.PATIENT, Modality="MR") == ids(study.patient_entity)
    assert find(Level.PATIENT, StudyDescription="Tho*", InstanceNumber="1") == ids(
        study.patient_entity
    )


def test_QID_04_paging_has_no_gaps_and_no_repeats() -> None:
    studies = [make_study(StudyDate="20240101", StudyTime="1000") for _ in range(23)]
    for ordering in ((), (Ordering("PatientID"),), (Ordering("StudyDate", descending=True),)):
        pages = [
            [m.pk for m in search(Query(Level.STUDY, ordering=ordering, limit=5, offset=at), ASKER)]
            for at in range(0, 30, 5)
        ]
        assert [len(page) for page in pages] == [5, 5, 5, 5, 3, 0]
        together = [pk for page in pages for pk in page]
        assert set(together) == ids(*studies)
        assert together == [m.pk for m in search(Query(Level.STUDY, ordering=ordering), ASKER)]
    for long in (None, 100_000):
        rest = [m.pk for m in search(Query(Level.STUDY, offset=20, limit=long), ASKER)]
        assert rest == [m.pk for m in search(Query(Level.STUDY), ASKER)][20:]


def test_studies_come_newest_first_and_series_and_instances_by_number() -> None:
    old, new = make_study(StudyDate="20230101"), make_study(StudyDate="20240101")
    assert [m.pk for m in search(Query(Level.STUDY), ASKER)] == [new.pk, old.pk]
    second, first = (make_series(new, SeriesNumber=number) for number in ("2", "1"))
    tenth, ninth = (make_instance(first, InstanceNumber=number) for number in ("10", "9"))
    keys = (key("StudyInstanceUID", new.study_instance_uid),)
    assert [m.pk for m in search(Query(Level.SERIES, keys), ASKER)] == [first.pk, second.pk]
    assert [m.pk for m in search(Query(Level.INSTANCE, keys), ASKER)] == [ninth.pk, tenth.pk]
    assert list(instances_of(ASKER, new.study_instance_uid)) == [ninth, tenth]


def test_sorting_by_what_is_not_there_is_refused() -> None:
    for keyword in ("Modality", "NoSuchThing"):
        with pytest.raises(InvalidRequest):
            search(Query(Level.STUDY, ordering=(Ordering(keyword),)), ASKER)


def test_an_answer_streams() -> None:
    for _ in range(3):
        make_study()
    page = search(Query(Level.STUDY), ASKER)
    assert next(page.matches).level is Level.STUDY
    assert sum(1 for _ in page) == 2


def test_what_there_is_not_is_not_found() -> None:
    study = make_study(StudyInstanceUID="1.2.3")
    series = make_series(study, SeriesInstanceUID="1.2.3.1")
    instance = make_instance(series, SOPInstanceUID="1.2.3.1.1")
    other = make_series(make_study(StudyInstanceUID="1.2.4"))
    assert study_of("1.2.3", ASKER) == study
    assert series_of("1.2.3", "1.2.3.1", ASKER) == series
    assert instance_of("1.2.3", "1.2.3.1", "1.2.3.1.1", ASKER) == instance
    assert list(instances_of(ASKER, "1.2.3", "1.2.3.1", "1.2.3.1.1")) == [instance]
    for asking in (
        lambda: study_of("9", ASKER),
        lambda: series_of("1.2.4", "1.2.3.1", ASKER),
        lambda: instance_of("1.2.3", other.series_instance_uid, "1.2.3.1.1", ASKER),
    ):
        with pytest.raises(NotFound):
            asking()


def test_every_selector_demands_the_permission_to_view() -> None:
    for asking in (
        lambda: search(Query(Level.STUDY), NOBODY),
        lambda: count(Query(Level.STUDY), NOBODY),
        lambda: study_of("1", NOBODY),
        lambda: series_of("1", "1", NOBODY),
        lambda: instance_of("1", "1", "1", NOBODY),
        lambda: instances_of(NOBODY, "1"),
    ):
        with pytest.raises(NotPermitted):
            asking()


def test_a_key_with_a_quote_is_a_parameter_and_no_sql() -> None:
    make_study(PatientID="1")
    for value in ("' OR 1=1 --", "*' OR '1'='1*", "?'); DROP TABLE archive_study; --"):
        assert find(PatientID=value) == set()
    assert Study.objects.count() == 1
    with CaptureQueriesContext(connection) as captured:
        find(PatientID="*'x'*")
    assert captured.captured_queries


def test_the_longest_lists_allowed_are_answered() -> None:
    study = make_study(StudyInstanceUID="1.2.3", PatientName="Doe")
    make_series(study, Modality="CT")
    uids = [f"1.2.{number}" for number in range(10_000)]
    assert find(StudyInstanceUID=uids) == ids(study)
    assert find(ModalitiesInStudy=["CT", *(f"*{n}" for n in range(99))]) == ids(study)
    assert find(PatientName=["*oe", *(f"*{n}*x" for n in range(99))]) == ids(study)
