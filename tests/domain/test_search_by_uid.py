"""Searches by UIDs alone, compiled once, answer as every search does."""

from __future__ import annotations

import itertools

import pytest

from apps.access.principals import Principal, PrincipalKind, system_principal
from apps.archive.by_uid import _compiled
from apps.archive.selectors import Match, search
from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.query import Key, Level, Query
from apps.errors import NotPermitted
from tests.domain.archive_rows import make_instance, make_series, make_study

pytestmark = pytest.mark.django_db
ASKER = system_principal("test")
NOBODY = Principal(PrincipalKind.USER, "nobody", "test")
STUDY, SERIES, IMAGE = "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"


def _key(keyword: str, *values: str) -> Key:
    return Key((BY_KEYWORD[keyword].tag,), values)


def _found(level: Level, *keys: Key, **query: object) -> list[Match]:
    return [*search(Query(level, keys, **query), ASKER)]  # type: ignore[arg-type]  # of any kind


def _compiled_questions() -> int:
    return _compiled.cache_info().hits + _compiled.cache_info().misses


def test_the_answers_are_those_of_a_list_of_uids() -> None:
    """A list with a UID that is nowhere finds the same, and is not compiled."""
    made = {}
    for number in (1, 2):
        study = make_study(PatientName=f"Doe^{number}", StudyDate="20260102")
        made[study.study_instance_uid] = study
        for place in (2, 1):
            series = make_series(study, SeriesNumber=str(place), Modality="CT")
            for image in (3, 1, 2):
                make_instance(series, InstanceNumber=str(image))
    study = next(iter(made.values()))
    series = study.series.order_by("-series_number").first()
    assert series is not None
    known = {
        STUDY: study.study_instance_uid,
        SERIES: series.series_instance_uid,
        IMAGE: series.instances.order_by("pk")[0].sop_instance_uid,
    }
    asked_by = {
        Level.STUDY: [(STUDY,)],
        Level.SERIES: [(STUDY,), (SERIES,), (STUDY, SERIES)],
        Level.INSTANCE: [(STUDY,), (STUDY, SERIES), (STUDY, SERIES, IMAGE), (IMAGE,)],
    }
    compared = 0
    for level, keywords in asked_by.items():
        for names, limit, include_all, zone in itertools.product(
            keywords, (None, 0, 1, 2, 10_000), (False, True), ("", "+0100")
        ):
            query = {"limit": limit, "include_all": include_all, "timezone_offset": zone}
            alone = _found(level, *(_key(name, known[name]) for name in names), **query)
            listed = [_key(name, known[name], "1.2.3.404") for name in names]
            assert alone == _found(level, *listed, **query), (level, names, query)
            compared += len(alone)
    assert compared > 100


def test_a_question_is_compiled_once_and_asked_each_time() -> None:
    study = make_study()
    uid = study.study_instance_uid
    key = _key(STUDY, uid)
    before = _compiled_questions()
    assert [match.pk for match in _found(Level.STUDY, key, limit=7)] == [study.pk]
    assert _compiled_questions() == before + 1
    study.delete()
    assert _found(Level.STUDY, key, limit=7) == []
    assert _found(Level.STUDY, _key(STUDY, "1.2.3.404"), limit=7) == []
    # Another kind of key, an ordering and many instances go the long way.
    before = _compiled_questions()
    _found(Level.STUDY, key, _key("PatientID", "x"))
    _found(Level.STUDY, key, offset=1)
    _found(Level.INSTANCE, key)
    _found(Level.STUDY, _key(SERIES, uid))
    assert _compiled_questions() == before


def test_who_may_not_see_is_refused_each_time() -> None:
    key = _key(STUDY, make_study().study_instance_uid)
    assert len(_found(Level.STUDY, key)) == 1
    with pytest.raises(NotPermitted):
        search(Query(Level.STUDY, (key,)), NOBODY)
