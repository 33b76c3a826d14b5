"""What the indexer tells a request that waits, and whether it needs to be woken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid as new_uid

from apps.coercion.models import CoercionRule
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.ingest import answers, doorbell, inbox, spool
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.inbox import Fate, Outcome, Place, Waiter
from apps.ingest.outcomes import outcome_of
from tests.builders import ct_slice, part10

FROM = Provenance("stow", user="sender")
CT_STUDY = {"study": "2.25.1", "series": "2.25.2"}

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("data_folders")]


def send(ds: Dataset | bytes, waiter: Waiter = Waiter.NOW) -> str:
    raw = ds if isinstance(ds, bytes) else part10(ds)
    name = inbox.receive_part10(FROM, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]], waiter=waiter)
    drain_inbox(60)
    return name


def kept() -> list[Path]:
    return list(spool.folder("answers").iterdir())


def test_where_an_instance_is_stored_is_told_once_and_known_for_ever(django_assert_num_queries):
    ds = ct_slice(**CT_STUDY)
    for waiter in (Waiter.NOW, Waiter.LATER):
        ds.SOPInstanceUID = new_uid()
        name = send(ds, waiter)
        with django_assert_num_queries(0):
            told = outcome_of([name], 1)
        place = Place("", "2.25.1", "2.25.2", ds.SOPInstanceUID, coerced=False)
        assert told == {name: Outcome(Fate.STORED, place=place)}
        assert kept() == []
        assert outcome_of([name], 1) == {name: Outcome(Fate.STORED)}


def test_nothing_is_told_where_nobody_waits():
    send(ct_slice(), Waiter.NOBODY)
    assert kept() == []


def test_why_an_object_is_quarantined_is_told_in_the_same_words_as_later():
    first = ct_slice(seed=1)
    second = ct_slice(
        seed=2,
        study=first.StudyInstanceUID,
        series=first.SeriesInstanceUID,
        SOPInstanceUID=first.SOPInstanceUID,
    )
    send(first, Waiter.NOBODY)
    for refused in (second, b"this is no DICOM at all " * 20):
        name = send(refused)
        told = outcome_of([name], 1)[name]
        assert told.fate is Fate.QUARANTINED
        assert kept() == []
        assert outcome_of([name], 1)[name] == told


def test_the_same_bytes_again_are_asked_for_in_the_database():
    ds = ct_slice()
    send(ds)
    name = send(ds)
    assert outcome_of([name], 1)[name] == Outcome(Fate.STORED)


def test_what_rules_changed_is_told():
    CoercionRule.objects.create(
        name="r", operations="set InstitutionName = Here", direction="receive"
    )
    name = send(ct_slice())
    place = outcome_of([name], 1)[name].place
    assert place is not None
    assert place.coerced


def test_half_an_answer_is_none(monkeypatch):
    name = send(ct_slice())
    (path,) = kept()
    path.write_text('{"resource": "", "stu')
    assert outcome_of([name], 1)[name] == Outcome(Fate.STORED)


def test_an_answer_that_cannot_be_written_stops_nothing():
    spool.folder("answers").rmdir()
    name = send(ct_slice())
    assert outcome_of([name], 1)[name] == Outcome(Fate.STORED)


def test_answers_nobody_came_for_are_forgotten():
    send(ct_slice())
    send(ct_slice())
    old, young = kept()
    os.utime(old, (0, 0))
    assert answers.forget_old() == 1
    assert kept() == [young]


def test_an_indexer_that_is_awake_need_not_be_rung_for():
    assert not doorbell._is_awake()
    with doorbell.awake():
        assert doorbell._is_awake()
        assert doorbell._is_awake(), "looking changes nothing"
        with doorbell.awake():
            assert doorbell._is_awake(), "two indexers do not hinder each other"
        assert doorbell._is_awake()
    assert not doorbell._is_awake()
