"""The compiled SQL against the oracle, on generated rows and keys; on SQLite and on PostgreSQL."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.db import connections, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from apps.access.principals import system_principal
from apps.archive.models import Patient
from apps.archive.selectors import count, search
from apps.dicom.attributes import BY_KEYWORD, UNIQUE_KEYS, Matching
from apps.dicom.matching import Record, matches
from apps.dicom.query import Key, Level, Query, plan
from apps.errors import InvalidRequest
from tests.domain.archive_rows import (
    make_instance,
    make_patient,
    make_series,
    make_study,
    record_of_patient,
)
from tests.domain.database import own_database

ASKER = system_principal("oracle")

# --- rows ----------------------------------------------------------------------------------------
# Few letters, so that keys meet values; those letters that SQL, patterns and names trip over.

LETTERS = st.text(alphabet="abAB%_[é ?*'", min_size=0, max_size=4)
COMPONENT = st.text(alphabet="abAÄ山や\u0301 -", max_size=3)
GROUP = st.lists(COMPONENT, max_size=3).map("^".join)
NAME = st.lists(GROUP, max_size=3).map("=".join)
DATE = st.sampled_from(["", "20231231", "20240101", "20240102", "20240229"])
TIME = st.sampled_from(
    [
        "",
        "00",
        "000000.000",
        "0030",
        "10",
        "1000",
        "100000.00",
        "100000.5",
        "100000.500000",
        "18",
        "1800",
        "233000",
        "235960",
    ]
)
OFFSET = st.sampled_from(["", "+0000", "+0100", "-0500", "+1400", "nonsense"])
MODALITY = st.sampled_from(["", "CT", "MR", "SR"])
NUMBER = st.sampled_from(["", "1", "+1", "02", "x"])
WEIGHT = st.sampled_from(["", "70", "70.50", "7e1"])


def several(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, max_size=3).map("\\".join)


PATIENT_ROW = {"PatientName": NAME, "PatientID": LETTERS, "PatientBirthDate": DATE,
               "OtherPatientIDs": several(LETTERS), "PatientComments": LETTERS}  # fmt: skip
STUDY_ROW = {"StudyDate": DATE, "StudyTime": TIME, "StudyDescription": LETTERS,
             "AccessionNumber": LETTERS, "ReferringPhysicianName": NAME,
             "NameOfPhysiciansReadingStudy": several(NAME), "PatientWeight": WEIGHT}  # fmt: skip
SERIES_ROW = {"Modality": MODALITY, "SeriesNumber": NUMBER, "SeriesDescription": LETTERS,
              "SeriesDate": DATE, "SeriesTime": TIME, "OperatorsName": several(NAME)}  # fmt: skip
INSTANCE_ROW = {"InstanceNumber": NUMBER, "ImageType": several(LETTERS),
                "ContentDate": DATE, "ContentTime": TIME}  # fmt: skip


@dataclass(frozen=True)
class Tree:
    """An archive to be: attributes of one row and the trees below it."""

    attributes: dict[str, str]
    children: list[Tree]
    offset: str = ""


def tree(
    row: dict[str, st.SearchStrategy[str]],
    below: st.SearchStrategy[Tree] | None,
    offset: st.SearchStrategy[str] = st.just(""),  # noqa: B008 - strategies are values
) -> st.SearchStrategy[Tree]:
    children = st.lists(below, max_size=2) if below is not None else st.just([])
    return st.builds(Tree, st.fixed_dictionaries({}, optional=row), children, offset)


INSTANCES = tree(INSTANCE_ROW, None)
SERIES = tree(SERIES_ROW, INSTANCES)
STUDIES = tree({**PATIENT_ROW, **STUDY_ROW}, SERIES, OFFSET)
PATIENTS = tree(PATIENT_ROW, STUDIES)

# --- keys ----------------------------------------------------------------------------------------

PATTERN = st.text(alphabet="abAB%_[é ?*'", max_size=4)
NAME_PATTERN = st.lists(
    st.lists(st.text(alphabet="abAÄ山や?*- ", max_size=3), max_size=3).map("^".join), max_size=3
).map("=".join)


def ranges(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(values, st.tuples(values, values).map("-".join))


def lists(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values, min_size=1, max_size=2).map(tuple)


def _key_text(keyword: str) -> st.SearchStrategy[tuple[str, ...]]:
    attribute = BY_KEYWORD[keyword]
    if attribute.vr == "PN":
        return lists(NAME_PATTERN)
    if attribute.vr in {"DA", "TM"}:
        return st.tuples(ranges(DATE if attribute.vr == "DA" else TIME))
    if attribute.vr == "DS":
        return lists(WEIGHT)
    if attribute.vr == "IS" or attribute.matching is Matching.COUNT:
        return lists(st.sampled_from(["", "0", "1", "+2"]))
    if attribute.vr == "UI":
        return st.just(("1.2.3",))
    return lists(st.one_of(PATTERN, MODALITY, st.sampled_from(["?R", "C*", "*"])))


KEYWORDS = [*PATIENT_ROW, *STUDY_ROW, *SERIES_ROW, *INSTANCE_ROW, "ModalitiesInStudy",
            "SOPClassesInStudy", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances",
            "NumberOfPatientRelatedStudies"]  # fmt: skip


@st.composite
def queries(draw: st.DrawFn) -> Query:
    keywords = draw(st.lists(st.sampled_from(KEYWORDS), min_size=1, max_size=3, unique=True))
    keys = tuple(Key((BY_KEYWORD[each].tag,), draw(_key_text(each))) for each in keywords)
    # Dates with their times, more often than chance would have it.
    if draw(st.booleans()):
        kept = tuple(key for key in keys if key.tag not in {0x00080020, 0x00080030})
        dates, times = draw(_key_text("StudyDate")), draw(_key_text("StudyTime"))
        keys = (*kept[:1], Key((0x00080020,), dates), Key((0x00080030,), times))
    agreed = draw(st.booleans())
    if agreed:
        nothing = draw(st.lists(st.booleans(), min_size=len(keys), max_size=len(keys)))
        keys = tuple(
            replace(key, values=('""',) if none else key.values, empty=True, every=True)
            for key, none in zip(keys, nothing, strict=True)
        )
    return Query(
        draw(st.sampled_from(Level)),
        keys,
        combined_datetime=draw(st.booleans()),
        timezone_offset=draw(st.sampled_from(["", "", "+0000", "+0100", "-0930"])),
        fuzzy_names=draw(st.booleans()),
    )


# --- the two databases ---------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, django_db_blocker: Any) -> Iterator[str]:
    """The vendor whose database the module's rows live in, migrated and empty."""
    with own_database(request, django_db_blocker, "oracle") as vendor:
        yield vendor


def _build(archive: list[Tree]) -> None:
    for person in archive:
        patient = make_patient(**person.attributes)
        for exam in person.children:
            study = make_study(patient, offset=exam.offset, **exam.attributes)
            for part in exam.children:
                series = make_series(study, **part.attributes)
                for image in part.children:
                    make_instance(series, **image.attributes)


def _records(level: Level) -> Iterator[Record]:
    """Every record of the level, as the oracle sees it."""
    at = [record_of_patient(each) for each in Patient.objects.all() if each.studies.exists()]
    while at and at[0].entity is not level.entity:
        at = [child for record in at for child in record.children]
    yield from at


_IDENTITY = {Level.PATIENT: "PatientName"} | {
    level: UNIQUE_KEYS[level.entity] for level in Level if level is not Level.PATIENT
}


def _expected(query: Query, records: Callable[[Level], list[Record]]) -> list[str]:
    asked = plan(query)
    name = _IDENTITY[query.level]
    found = [each for each in records(query.level) if matches(asked, each)]
    return sorted(record.attributes[name] for record in found)


def _agree(archive: list[Tree], asked: list[Query]) -> int:
    """Builds the rows, asks both, and throws the rows away; returns how many rows were found."""
    hits = 0
    with transaction.atomic():
        _build(archive)
        records = functools.cache(lambda level: list(_records(level)))
        for query in asked:
            try:
                expected = _expected(query, records)
            except InvalidRequest:
                with pytest.raises(InvalidRequest):
                    search(query, ASKER)
                continue
            tag = BY_KEYWORD[_IDENTITY[query.level]].tag
            answers = list(search(replace(query, include=frozenset({tag})), ASKER))
            assert sorted(match.values[tag] for match in answers) == expected, query
            assert count(query, ASKER) == len(expected)
            hits += len(expected)
        transaction.set_rollback(True)
    return hits


def thoroughly(examples: int) -> hypothesis_settings:
    return hypothesis_settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@thoroughly(60)
@given(archive=st.lists(PATIENTS, min_size=1, max_size=2), asked=st.lists(queries(), max_size=6))
def test_sql_and_oracle_agree(database: str, archive: list[Tree], asked: list[Query]) -> None:
    assert connections["default"].vendor == database
    _agree(archive, asked)
    assert not Patient.objects.exists()


# Few values and many rows of one kind: here keys do meet what is stored.

MOMENT_STUDY = st.builds(
    lambda date, time, offset: Tree({"StudyDate": date, "StudyTime": time}, [], offset),
    st.sampled_from(["20240101", "20240102", "20240103", "20231231", ""]),
    st.sampled_from(["", "1000", "1200", "2300", "003000", "1800", "005960"]),
    st.sampled_from(["+0100", "-0500", "", "+1400", "nonsense"]),
)


FORMS = ["closed", "closed", "closed", "from", "to", "single", "none"]


def _span(draw: st.DrawFn, form: str, values: list[str]) -> str:
    """A range, or a part of one, that begins before it ends."""
    first = draw(st.integers(0, len(values) - 2))
    last = draw(st.integers(first + 1, len(values) - 1))
    return {
        "closed": f"{values[first]}-{values[last]}",
        "from": f"{values[first]}-",
        "to": f"-{values[last]}",
        "single": values[first],
        "none": "",
    }[form]


@st.composite
def _moment_queries(draw: st.DrawFn) -> Query:
    form = draw(st.sampled_from(FORMS))
    other = form if draw(st.booleans()) else draw(st.sampled_from(FORMS))
    dates = _span(draw, form, ["20231231", "20240101", "20240102", "20240103"])
    times = _span(draw, other, ["000000", "0030", "1000", "1800", "2330"])
    return Query(
        Level.STUDY,
        (Key((0x00080020,), (dates,)), Key((0x00080030,), (times,))),
        combined_datetime=draw(st.booleans()),
        timezone_offset=draw(st.sampled_from(["", "+0000", "+0100", "-0930"])),
    )


@thoroughly(60)
@given(
    studies=st.lists(MOMENT_STUDY, min_size=6, max_size=10),
    asked=st.lists(_moment_queries(), min_size=6, max_size=10),
)
def test_moments_agree(database: str, studies: list[Tree], asked: list[Query]) -> None:
    _agree([Tree({}, studies)], asked)


def _derived(draw: st.DrawFn, text: str) -> str:
    """A key close to a stored text: as it is, one group of it, cut, or with wild cards in it."""
    if "=" in text and draw(st.booleans()):
        text = draw(st.sampled_from([group for group in text.split("=") if group] or [text]))
    if draw(st.booleans()):
        return text
    start = draw(st.integers(0, len(text) // 2))
    end = draw(st.integers(start, len(text)))
    star = st.sampled_from(["", "*"])
    kept = "".join("?" if draw(st.integers(0, 4)) == 0 else each for each in text[start:end])
    return draw(star) + kept + draw(star) + draw(st.sampled_from(["", "", "", "a", "?"]))


@st.composite
def _texts_and_keys(
    draw: st.DrawFn, keyword: str, values: st.SearchStrategy[str]
) -> tuple[list[Tree], list[Query]]:
    texts = draw(st.lists(values, min_size=2, max_size=8))
    picked = draw(st.lists(st.sampled_from(texts), min_size=2, max_size=8))
    keys = [_derived(draw, draw(st.sampled_from(text.split("\\")))) for text in picked]
    queries = [Query(Level.STUDY, (Key((BY_KEYWORD[keyword].tag,), (key,)),)) for key in keys]
    return [Tree({}, [Tree({keyword: text}, []) for text in texts])], queries


TEXTS = st.text(alphabet="abAB%_[]é ?*'\U0010ffff\ud7ff~", max_size=5)


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("StudyDescription", TEXTS),
        ("OtherPatientIDs", st.lists(TEXTS, max_size=3).map("\\".join)),
        ("PatientName", NAME),
        ("NameOfPhysiciansReadingStudy", several(NAME)),
    ],
)
@thoroughly(40)
@given(data=st.data())
def test_texts_agree(
    database: str, keyword: str, values: st.SearchStrategy[str], data: st.DataObject
) -> None:
    archive, asked = data.draw(_texts_and_keys(keyword, values))
    _agree(archive, asked)


def test_generated_keys_do_find_something(database: str) -> None:
    """The properties above would hold for an archive that never answers: so look that it does."""
    found: list[int] = []

    @hypothesis_settings(max_examples=30, deadline=None, database=None, derandomize=True)
    @given(made=_texts_and_keys("PatientName", NAME))
    def look(made: tuple[list[Tree], list[Query]]) -> None:
        archive, asked = made
        narrowing = [query for query in asked if plan(query).criteria]
        found.append(_agree(archive, narrowing))

    look()
    assert sum(found) > len(found)


# Names that are alike to each other in all the ways there are.

ALIKE = st.sampled_from(
    ["Meyer^Anna", "Maier^Ann", "Mayr", "Schmidt^Jörg", "Smith^George", "Schmitt", "Müller^Ute",
     "Mueller", "Miller^Ute=山田", "Lee", "Lau^Li", "Stephan^O'Neil", "Stefan^ONeill", "Smiht", ""]
)  # fmt: skip


@thoroughly(25)
@given(
    names=st.lists(st.tuples(ALIKE, several(ALIKE)), min_size=4, max_size=8),
    asked=st.lists(st.one_of(ALIKE, ALIKE.map(lambda name: f"*{name[:5]}*")), min_size=6),
    level=st.sampled_from([Level.STUDY, Level.SERIES]),
)
def test_QID_05_sql_and_oracle_agree_on_names_by_sound(
    database: str, names: list[tuple[str, str]], asked: list[str], level: Level
) -> None:
    studies = [
        Tree({"PatientName": own, "NameOfPhysiciansReadingStudy": others}, [Tree({}, [])])
        for own, others in names
    ]
    queries = [
        Query(level, (Key((BY_KEYWORD[keyword].tag,), (text,)),), fuzzy_names=True)
        for text in asked
        for keyword in ("PatientName", "NameOfPhysiciansReadingStudy")
    ]
    _agree([Tree({}, studies)], queries)
    assert connections["default"].vendor == database
