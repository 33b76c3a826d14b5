"""Keys without a column, answered from the stored DICOM JSON (PS3.4 C.2.2.2.6)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.test.utils import CaptureQueriesContext

from apps.access.principals import system_principal
from apps.archive import selectors
from apps.archive.fragments import pack
from apps.archive.models import Instance, Metadata, Series
from apps.archive.selectors import Match, count, search
from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.query import Key, Level, Query
from apps.errors import InvalidRequest, OutOfResources
from tests.domain.archive_rows import make_instance, make_series, make_study

pytestmark = pytest.mark.django_db
ASKER = system_principal("test")
REQUEST, STEP, PROCEDURE, THICKNESS = 0x00400275, 0x00400009, 0x00401001, 0x00180050


def _request(step: str, procedure: str) -> dict[str, object]:
    return {
        "00400009": {"vr": "SH", "Value": [step]},
        "00401001": {"vr": "SH", "Value": [procedure]},
    }


def make(series: Series, number: int, thickness: float, *items: dict[str, object]) -> Instance:
    instance = make_instance(series, InstanceNumber=str(number))
    document = {
        "00180050": {"vr": "DS", "Value": [thickness]},
        "00400275": {"vr": "SQ", "Value": list(items)},
    }
    Metadata.objects.create(
        instance=instance,
        series=series,
        instance_number=number,
        fragment=pack((json.dumps(document).encode(),)),
    )
    return instance


@pytest.fixture
def two_series() -> tuple[Series, Series]:
    study = make_study(PatientID="1")
    first, second = make_series(study, SeriesNumber="1"), make_series(study, SeriesNumber="2")
    make(first, 1, 2.5, _request("S1", "P1"), _request("S2", "P2"))
    make(first, 2, 5.0, _request("S1", "P1"))
    make(second, 1, 5.0, _request("S3", "P1"))
    return first, second


def find(level: Level, *keys: Key, limit: int | None = None, offset: int = 0) -> list[Match]:
    query = Query(level, keys, limit=limit, offset=offset)
    return list(search(query, ASKER))


def test_FND_13_sequence_items_of_series(two_series: tuple[Series, Series]) -> None:
    first, second = two_series
    step, other = Key((REQUEST, STEP), ("S1",)), Key((REQUEST, PROCEDURE), ("P2",))
    assert find(Level.SERIES, step, other) == []
    (match,) = find(Level.SERIES, Key((REQUEST, STEP), ("S2",)), other)
    assert match.pk == first.pk
    assert match.items[REQUEST]["Value"] == [_request("S2", "P2")]
    by_procedure = find(Level.SERIES, Key((REQUEST, PROCEDURE), ("P1",)))
    assert [each.pk for each in by_procedure] == [first.pk, second.pk]
    assert count(Query(Level.SERIES, (step,)), ASKER) == 1


def test_FND_13_an_empty_sequence_key_returns_and_does_not_narrow(
    two_series: tuple[Series, Series],
) -> None:
    bare = make_series(two_series[0].study, SeriesNumber="3")
    found = find(Level.SERIES, Key((REQUEST,), ()))
    assert [len(match.items[REQUEST].get("Value", ())) for match in found] == [2, 1, 0]
    assert found[2].pk == bare.pk


def test_instances_match_by_any_standard_attribute(two_series: tuple[Series, Series]) -> None:
    found = find(Level.INSTANCE, Key((THICKNESS,), ("5",)))
    assert [match.values[BY_KEYWORD["InstanceNumber"].tag] for match in found] == ["2", "1"]
    assert found[0].items[THICKNESS] == {"vr": "DS", "Value": [5.0]}
    page = find(Level.INSTANCE, Key((THICKNESS,), ("5",)), limit=1, offset=1)
    assert [match.pk for match in page] == [found[1].pk]


def test_included_attributes_without_a_column_are_answered(
    two_series: tuple[Series, Series],
) -> None:
    query = Query(Level.INSTANCE, include=frozenset({THICKNESS}))
    assert [match.items[THICKNESS]["Value"] for match in search(query, ASKER)] == [
        [2.5],
        [5.0],
        [5.0],
    ]


def test_stored_attributes_cost_a_constant_number_of_statements(
    two_series: tuple[Series, Series],
    django_assert_num_queries: Callable[[int], CaptureQueriesContext],
) -> None:
    with django_assert_num_queries(3):
        find(Level.SERIES, Key((REQUEST,), ()))
    for number in range(3, 9):
        make(make_series(two_series[0].study, SeriesNumber=str(number)), 1, 1.0)
    with django_assert_num_queries(3):
        find(Level.SERIES, Key((REQUEST,), ()))


def test_a_study_answers_from_its_first_series(two_series: tuple[Series, Series]) -> None:
    procedure_code = 0x00081032
    metadata = Metadata.objects.get(series=two_series[0], instance_number=1)
    item = {"00080100": {"vr": "SH", "Value": ["CTTHX"]}}
    document = {"00081032": {"vr": "SQ", "Value": [item]}}
    metadata.fragment = pack((json.dumps(document).encode(),))
    metadata.save()
    (match,) = find(Level.STUDY, Key((procedure_code, 0x00080100), ("CT*",)))
    assert match.items[procedure_code]["Value"] == [item]
    assert find(Level.STUDY, Key((procedure_code, 0x00080100), ("MR*",))) == []


def test_FND_20_too_many_candidates_are_refused_and_never_cut_off(
    two_series: tuple[Series, Series], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "MOST_CANDIDATES", 2)
    key = Key((THICKNESS,), ("5",))
    for ask in (search, count):
        with pytest.raises(OutOfResources):
            ask(Query(Level.INSTANCE, (key,)), ASKER)
    uid = Key((BY_KEYWORD["SeriesInstanceUID"].tag,), (two_series[0].series_instance_uid,))
    assert len(find(Level.INSTANCE, key, uid)) == 1


def test_a_stored_key_that_means_nothing_is_refused_before_the_first_row() -> None:
    with pytest.raises(InvalidRequest):
        search(Query(Level.INSTANCE, (Key((THICKNESS,), ("thick",)),)), ASKER)


def test_unsupported_keys_are_told_and_ignored(two_series: tuple[Series, Series]) -> None:
    private = Key((0x00091001,), ("x",), "ACME")
    page = search(Query(Level.STUDY, (private,)), ASKER)
    assert page.unsupported == (private,)
    assert len(list(page)) == 1
