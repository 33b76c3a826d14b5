"""The study list of the screen: words, filters, pages, and what excludes the nearest hits."""

from __future__ import annotations

import pytest

from apps.access.principals import Principal, PrincipalKind, system_principal
from apps.archive import study_list as module
from apps.archive.models import Study
from apps.archive.study_list import SORTS, StudyListFilter, StudyListPage, study_list
from apps.errors import InvalidRequest, NotPermitted
from tests.domain.archive_rows import make_series, make_study

pytestmark = pytest.mark.django_db
ASKER = system_principal("test")


def show(
    sort: str = "-study_date", cursor: str = "", limit: int = 100, **set_: object
) -> StudyListPage:
    filters = StudyListFilter(**set_)  # type: ignore[arg-type]
    return study_list(filters, ASKER, sort=sort, cursor=cursor, limit=limit)


def found(**set_: object) -> set[int]:
    page = show(**set_)  # type: ignore[arg-type]
    assert page.total == len(page.studies)
    assert page.total_is_exact
    return {study.pk for study in page.studies}


@pytest.fixture
def mueller() -> Study:
    study = make_study(
        PatientName="Müller-Lüdenscheidt^Hans Peter=山田^太郎",
        PatientID="PID-00042",
        AccessionNumber="Acc0815",
        StudyDescription="CT Thorax mit KM",
        StudyDate="20240105",
        StudyTime="1010",
        ReferringPhysicianName="Grün^Doktor",
    )
    make_series(study, Modality="CT", BodyPartExamined="CHEST", StationName="CT_EAST")
    make_series(study, Modality="SR")
    return study


@pytest.mark.parametrize(
    "typed",
    ["mul", "MÜLLER", "lüd", "peter hans", "müller-lü", "pid-0", "0004", "42", "acc08", "thor km",
     "山田", "太郎", "山田太郎", "  ", "hans,"],
)  # fmt: skip
def test_words_find_by_the_beginning_of_any_name_part_identifier_or_description(
    mueller: Study, typed: str
) -> None:
    make_study(PatientName="Other^One", PatientID="99")
    assert mueller.pk in found(q=typed)


@pytest.mark.parametrize("typed", ["uller", "hans otto", "hansp", "%", "_", "thorax 99"])
def test_every_word_has_to_be_found(mueller: Study, typed: str) -> None:
    assert found(q=typed) == set()


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("date_from", "20240105", "20240106"),
        ("date_to", "2024.01.05", "20240104"),
        ("modality", ("MR", "SR"), ("MR", "S")),
        ("description", "thorax ct", "abdomen"),
        ("body_part", "ches", "chess"),
        ("accession", "ACC08", "0815"),
        ("referring", "grun", "grau"),
        ("station", "east", "west"),
        ("state", "receiving", "complete"),
        ("patient_id", "PID-00042", "PID"),
        ("issuer", "", "HOSP"),
    ],
)
def test_filters(mueller: Study, name: str, right: object, wrong: object) -> None:
    if name == "accession":
        mueller.accession_number = "ACC0815"
        mueller.save()
    assert found(**{name: right}) == {mueller.pk}
    assert found(**{name: wrong}) == set()


def test_rows_of_given_studies(mueller: Study) -> None:
    make_study()
    assert found(uid=(mueller.study_instance_uid, "1.2.3")) == {mueller.pk}


def test_nothing_found_says_which_filter_excludes_how_many(mueller: Study) -> None:
    for _ in range(2):
        make_study(PatientName="Mueller^Otto", StudyDate="20230101")
    page = show(q="hans", date_to="20231231", modality=("CT",))
    assert page.studies == ()
    assert page.excluded_by == (("date", 1),)
    page = show(q="mueller", modality=("CT",))
    assert page.excluded_by == (("modality", 2), ("q", 1))
    assert page.found_by == ()
    page = show(q="otto", modality=("CT",), description="nothing")
    assert (page.excluded_by, page.found_by) == ((), (("modality", 1), ("q", 2)))
    assert not page.archive_is_empty
    assert show().excluded_by == ()


def test_an_empty_archive_is_told_from_filters_that_exclude_everything() -> None:
    assert show().archive_is_empty
    assert show(q="x").archive_is_empty
    make_study()
    assert not show(q="x").archive_is_empty


@pytest.mark.parametrize("name", sorted(SORTS))
@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("few", [0, 1000])
def test_pages_have_no_gaps_and_no_repeats_in_any_order(
    name: str, sign: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FEW", few)  # both ways to a page
    for number in range(11):
        study = make_study(
            PatientName=f"Doe^{number % 3}",
            PatientID=str(number % 2),
            StudyDate=["", "20240101", "20240102"][number % 3],
            StudyTime=["", "10"][number % 2],
        )
        make_series(study, Modality=["CT", "MR"][number % 2])
    seen: list[int] = []
    cursor = ""
    while True:
        page = show(sort=f"{sign}{name}", cursor=cursor, limit=4, q="doe")
        assert page.total == 11
        seen += [study.pk for study in page.studies]
        cursor = page.next
        if not cursor:
            break
        assert len(page.studies) == 4
    columns = [*SORTS[name], "id"]
    expected = list(Study.objects.order_by(*(f"{sign}{column}" for column in columns)))
    assert seen == [study.pk for study in expected]


def test_a_study_that_arrives_shifts_no_row_of_the_next_page() -> None:
    old = [make_study(StudyDate=f"2024010{number}") for number in range(1, 7)]
    first = show(limit=3)
    newest = make_study(StudyDate="20250101")
    second = show(limit=3, cursor=first.next)
    assert [s.pk for s in (*first.studies, *second.studies)] == [s.pk for s in reversed(old)]
    assert newest.pk not in {s.pk for s in second.studies}


def test_the_total_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_COUNTED", 3)
    for _ in range(3):
        make_study(PatientName="Doe")
    assert (show().total, show().total_is_exact) == (3, True)
    make_study(PatientName="Doe")
    assert (show(q="doe").total, show(q="doe").total_is_exact) == (3, False)


@pytest.mark.parametrize(
    "cursor",
    ["x", "é", "W10=", "WyItc3R1ZHlfZGF0ZSJd", "bnVsbA==", "WyJwYXRpZW50X25hbWUiLCJhIiwxXQ==",
     "WyItc3R1ZHlfZGF0ZSIsICIiLCAiIiwgIngiXQ=="],
)  # fmt: skip
def test_a_cursor_that_is_none_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        show(cursor=cursor)
    assert caught.value.offending == ("cursor",)


def test_what_makes_no_sense_is_refused() -> None:
    for wrong in (
        {"sort": "patient_comments"},
        {"sort": ""},
        {"date_from": "yesterday"},
        {"date_to": "20241332"},
        {"q": ",".join(map(str, range(21)))},
        {"uid": ("1",) * 1001},
        {"modality": ("CT",) * 101},
    ):
        with pytest.raises(InvalidRequest):
            show(**wrong)  # type: ignore[arg-type]


def test_the_list_is_for_those_who_may_view() -> None:
    nobody = Principal(PrincipalKind.USER, "nobody", "test")
    with pytest.raises(NotPermitted):
        study_list(StudyListFilter(), nobody)
