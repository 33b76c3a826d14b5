"""Keys without a column, answered from the stored DICOM JSON (PS3.4 C.2.2.2.6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from apps.access.principals import system_principal
from apps.archive import selectors
from apps.archive.actions.gather_attributes import gather
from apps.archive.actions.remove_instances import remove_instances
from apps.archive.fragments import pack
from apps.archive.models import Instance, Metadata, Series
from apps.archive.selectors import Match, count, search
from apps.dicom.attributes import BY_KEYWORD, any_attribute
from apps.dicom.criteria import criterion_of
from apps.dicom.level_attributes import gathered
from apps.dicom.matching import value_met
from apps.dicom.part10 import Provenance
from apps.dicom.query import Key, Level, Query
from apps.errors import InvalidRequest, OutOfResources
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from tests.builders import ct_slice, part10
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
    _describe(instance, document)
    return instance


def _describe(instance: Instance, document: dict[str, object]) -> None:
    """Its metadata, and what they say of the series and the study, as ingest does it."""
    text = json.dumps(document).encode()
    Metadata.objects.create(
        instance=instance,
        series=instance.series,
        instance_number=instance.instance_number,
        fragment=pack((text,)),
    )
    gather([(gathered(text.decode()), instance.study, instance.series)])
    instance.series.save()
    instance.study.save()


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
    with django_assert_num_queries(2):
        find(Level.SERIES, Key((REQUEST,), ()))
    for number in range(3, 9):
        make(make_series(two_series[0].study, SeriesNumber=str(number)), 1, 1.0)
    with django_assert_num_queries(2):
        find(Level.SERIES, Key((REQUEST,), ()))


def test_FND_13_a_study_answers_from_all_its_instances(two_series: tuple[Series, Series]) -> None:
    """The first one lacks the sequence; two others have it, each with another item."""
    procedure_code, code = 0x00081032, 0x00080100
    items = [{"00080100": {"vr": "SH", "Value": [each]}} for each in ("CTTHX", "CTABD")]
    for series, item in zip(two_series, items, strict=True):
        instance = make_instance(series, InstanceNumber="9")
        _describe(instance, {"00081032": {"vr": "SQ", "Value": [item]}})
    (match,) = find(Level.STUDY, Key((procedure_code, code), ("CTA*",)))
    assert match.items[procedure_code]["Value"] == [items[1]]
    (match,) = find(Level.STUDY, Key((procedure_code,), ()))
    assert match.items[procedure_code]["Value"] == items
    assert find(Level.STUDY, Key((procedure_code, code), ("MR*",))) == []
    by_series = find(Level.SERIES, Key((procedure_code, code), ("CTT*",)))
    assert [each.pk for each in by_series] == [each.pk for each in two_series]


ITEM = st.fixed_dictionaries({}, optional={"00400009": st.sampled_from("ab"),
                                           "00401001": st.sampled_from("ab")})  # fmt: skip
PATTERNS = st.sampled_from(["a", "b", "*", "?", "c", ""])


def _elements(item: dict[str, str]) -> dict[str, object]:
    return {tag: {"vr": "SH", "Value": [text]} for tag, text in item.items()}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    archive=st.lists(st.lists(st.lists(ITEM, max_size=3), max_size=3), min_size=1, max_size=3),
    step=PATTERNS,
    procedure=PATTERNS,
)
def test_FND_13_search_and_oracle_agree_on_sequence_keys(
    archive: list[list[list[dict[str, str]]]], step: str, procedure: str
) -> None:
    """Series > instances > items; the oracle asks every item of every instance by matching.py."""
    asked = {"00400009": step, "00401001": procedure}
    criteria = {
        tag: criterion_of(any_attribute(int(tag, 16)), (text,) if text else ())
        for tag, text in asked.items()
    }

    def met(item: dict[str, str]) -> bool:
        return all(value_met("SH", each, item.get(tag, "")) for tag, each in criteria.items())

    with transaction.atomic():
        study = make_study()
        expected = []
        for instances in archive:
            series = make_series(study)
            for number, items in enumerate(instances):
                make(series, number, 1.0, *map(_elements, items))
            narrows = bool((step or procedure) and {step, procedure} - {"", "*"})
            if not narrows or any(met(item) for items in instances for item in items):
                expected.append(series.pk)
        keys = [
            Key((REQUEST, int(tag, 16)), (text,) if text else ()) for tag, text in asked.items()
        ]
        assert sorted(each.pk for each in find(Level.SERIES, *keys)) == expected
        transaction.set_rollback(True)


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


@pytest.mark.django_db(transaction=True)
def test_FND_13_what_arrives_is_put_together_and_taken_apart_again(data_folders: Path) -> None:
    """Through the inbox: the first slice says nothing, the next two name a procedure each."""
    slices = [ct_slice() for _ in range(3)]
    for number, each in enumerate(slices):
        each.StudyInstanceUID, each.PatientID = slices[0].StudyInstanceUID, slices[0].PatientID
        each.SeriesInstanceUID = slices[0].SeriesInstanceUID
        each.PatientPosition = "HFS"
        if number:
            item = Dataset()
            item.CodeValue, item.CodingSchemeDesignator = f"CODE{number}", "99TEST"
            each.ProcedureCodeSequence = [item]
        raw = part10(each)
        inbox.receive_part10(Provenance("dimse", "CT1"), raw[:132], [raw[132:]])
    drain_inbox(60)
    code = Key((0x00081032, 0x00080100), ("CODE2",))
    (match,) = find(Level.STUDY, code)
    assert [each["00080100"]["Value"] for each in match.items[0x00081032]["Value"]] == [["CODE2"]]
    assert len(find(Level.SERIES, Key((0x00185100,), ("HFS",)))) == 1
    with transaction.atomic():
        gone = Instance.objects.select_related("study", "series")
        remove_instances([gone.get(sop_instance_uid=slices[2].SOPInstanceUID)])
    assert find(Level.STUDY, code) == []
    assert len(find(Level.STUDY, Key((0x00081032, 0x00080100), ("CODE1",)))) == 1
    assert len(find(Level.SERIES, Key((0x00185100,), ("HFS",)))) == 1
