"""Answers given before the index has spoken: only what is certain, and first come, first stored."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from pydicom import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian
from pydicom.uid import generate_uid as new_uid

from apps.archive.models import Instance, Study
from apps.coercion.models import CoercionRule
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.ingest import acknowledged, catching_up, inbox, pacing, spool
from apps.ingest.actions.drain_inbox import Inbox, drain_inbox
from apps.ingest.inbox import Commit, Fate, Incoming, Kept, Place, Waiter
from apps.ingest.leftovers import clean_writing
from apps.ingest.models import QuarantinedInstance
from apps.network.models import ApplicationEntity
from pacsweb.fresh_reads import FreshReadsMiddleware
from tests.builders import ct_slice, part10

FROM = Provenance("stow", user="sender")

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_folders")]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "_backlog", pacing.Backlog())
    catching_up._given_up.clear()


@pytest.fixture
def first() -> Dataset:
    """An indexed instance, whose series others are to follow into."""
    ds = ct_slice(number=1, seed=1)
    stored(ds)
    return ds


def next_of(first: Dataset, **said: str) -> Dataset:
    uids = {"study": first.StudyInstanceUID, "series": first.SeriesInstanceUID}
    return ct_slice(number=2, seed=2, **{**uids, **said})


def stored(ds: Dataset | bytes, door: str = "dimse") -> str:
    name = waits(ds, door)
    drain_inbox(60)
    return name


def waits(ds: Dataset | bytes, door: str = "dimse") -> str:
    raw = ds if isinstance(ds, bytes) else part10(ds)
    return inbox.receive_part10(Provenance(door), raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])


def synced(*objects: Dataset | bytes, came: Provenance = FROM) -> Commit:
    raws = [each if isinstance(each, bytes) else part10(each) for each in objects]
    commit = Commit(
        [inbox.begin_part10(came, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]]) for raw in raws],
        Waiter.NOW,
    )
    commit.sync()
    return commit


def stow(*objects: Dataset | bytes, came: Provenance = FROM) -> list[Kept]:
    outcomes = synced(*objects, came=came).finish()
    kept = [each for each in outcomes if isinstance(each, Kept)]
    assert kept == outcomes
    return kept


def place_of(ds: Dataset) -> Place:
    return Place("", ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID, coerced=False)


def hash_of(ds: Dataset) -> str:
    """Of the bytes that are stored under its UID."""
    row = Instance.objects.get(sop_instance_uid=ds.SOPInstanceUID)
    return bytes(row.dataset_sha256).hex()


def folder(name: str) -> list[Path]:
    return list(spool.folder(name).iterdir())


def test_one_more_instance_of_a_stored_series_is_certain_and_comes_to_pass(first):
    others = [next_of(first) for _ in range(3)]
    kept = stow(*others)
    assert [each.place for each in kept] == [place_of(ds) for ds in others]
    assert all(spool.is_waiting(each.name) for each in kept)
    assert sorted(catching_up.on_their_way()) == sorted(each.name for each in kept)
    drain_inbox(60)
    assert Instance.objects.count() == 4
    assert folder("writing") == folder(acknowledged.IN_HAND) == []
    assert folder("answers") == [], "nobody waits for these"


def _another_patient(first: Dataset) -> Dataset:
    return next_of(first, PatientID="SOMEBODY ELSE")


def _says_more(first: Dataset) -> Dataset:
    Study.objects.update(patient_id="")
    return next_of(first)


def _foreign_series(first: Dataset) -> Dataset:
    return next_of(first, study=new_uid())


def _known_uid(first: Dataset) -> Dataset:
    ds = next_of(first)
    ds.SOPInstanceUID = first.SOPInstanceUID
    return ds


def _coerced(first: Dataset) -> Dataset:
    CoercionRule.objects.create(
        name="all", direction="receive", operations="set InstitutionName = Here"
    )
    return next_of(first)


def _cut(first: Dataset) -> bytes:
    return part10(next_of(first))[:700]


def _long(first: Dataset) -> Dataset:
    ds = next_of(first)
    ds.ImageComments = "x" * 300
    ds.StudyDescription = "x" * 300
    return ds


@pytest.mark.filterwarnings("ignore:The value length")
@pytest.mark.parametrize(
    "unusual",
    [
        lambda _: ct_slice(),
        lambda first: next_of(first, series=new_uid()),
        _another_patient,
        _says_more,
        _foreign_series,
        _known_uid,
        _coerced,
        _cut,
        _long,
        lambda _: b"no DICOM at all" * 30,
        lambda first: part10(next_of(first), DeflatedExplicitVRLittleEndian),
    ],
)
def test_of_everything_unusual_nothing_is_foretold(
    first: Dataset, unusual: Callable[[Dataset], Dataset | bytes]
):
    (kept,) = stow(unusual(first))
    assert kept.place is None
    assert spool.SpoolName.parse(kept.name).waiter is Waiter.NOW
    assert folder("writing") == []


def test_the_same_uid_twice_in_one_request_is_certain_for_the_first_alone(first):
    one, two = next_of(first), next_of(first)
    two.SOPInstanceUID = one.SOPInstanceUID
    two.InstanceNumber = 9
    kept = stow(one, two)
    assert [each.place for each in kept] == [place_of(one), None]
    drain_inbox(60)
    (case,) = QuarantinedInstance.objects.all()
    assert case.reason == "other-bytes"
    assert hash_of(one) == kept[0].name.rpartition("-")[2]
    assert inbox.outcome_of([kept[1].name], 1)[kept[1].name].fate is Fate.QUARANTINED


def test_who_was_answered_for_is_stored_though_another_came_before(first):
    """A C-STORE of the same UID with other bytes is in the inbox already, and unindexed."""
    mine, other = next_of(first), next_of(first)
    other.SOPInstanceUID = mine.SOPInstanceUID
    other.InstanceNumber = 9
    earlier = waits(other)
    (kept,) = stow(mine)
    assert kept.place == place_of(mine)
    assert earlier < kept.name, "the inbox is worked off in this order"
    drain_inbox(60)
    assert hash_of(mine) == kept.name.rpartition("-")[2]
    (case,) = QuarantinedInstance.objects.all()
    assert case.reason == "other-bytes"
    assert not spool.waiting()


def test_what_the_indexer_has_in_hand_is_not_foretold(first):
    ds = next_of(first)
    other = spool.claim(spool.SpoolName.parse(waits(ct_slice())))
    assert other is not None
    with acknowledged.indexing([(other, ds.SOPInstanceUID)]) as later:
        assert not later
        (kept,) = stow(ds)
    other.release()
    assert kept.place is None
    assert folder(acknowledged.IN_HAND) == []


def test_a_claim_that_is_no_longer_believed_is_not_answered_for(first, monkeypatch):
    """Its request was stopped for seconds, between the claim and the inbox."""
    ds, other = next_of(first), next_of(first)
    other.SOPInstanceUID = ds.SOPInstanceUID
    other.InstanceNumber = 9
    move = spool.make_ready

    def late(files):
        monkeypatch.setattr(acknowledged, "MAKING_SECONDS", -1.0)
        monkeypatch.setattr(spool, "make_ready", move)
        stored(other)
        move(files)

    monkeypatch.setattr(spool, "make_ready", late)
    (kept,) = stow(ds)
    assert kept.place is None
    drain_inbox(60)
    told = inbox.outcome_of([kept.name], 1)[kept.name]
    assert told.fate is Fate.QUARANTINED


@pytest.fixture
def being_written() -> Iterator[Incoming]:
    """A file of a request that is at work, or was killed."""
    with inbox.begin_part10(FROM, b"half of it", []) as incoming:
        yield incoming


def test_a_request_that_is_between_claim_and_inbox_keeps_others_waiting(first, being_written):
    ds = next_of(first)
    assert acknowledged.claim(ds.SOPInstanceUID, being_written.path)
    with inbox.begin_part10(FROM, b"another", []) as another:
        assert not acknowledged.claim(ds.SOPInstanceUID, another.path)
        acknowledged.withdraw(ds.SOPInstanceUID, another.number)
    assert acknowledged.is_claimed_by(ds.SOPInstanceUID, being_written.number)
    other = waits(ds)
    drain_inbox(60)
    assert spool.is_waiting(other)
    assert catching_up.on_their_way() == [], "no answer was given yet"
    acknowledged.withdraw(ds.SOPInstanceUID, being_written.number)
    drain_inbox(60)
    assert Instance.objects.count() == 2


def test_what_a_killed_request_left_behind_holds_nobody_for_long(first, being_written, monkeypatch):
    ds = next_of(first)
    acknowledged.claim(ds.SOPInstanceUID, being_written.path)
    (kept,) = stow(ds)
    assert kept.place is None
    monkeypatch.setattr(acknowledged, "MAKING_SECONDS", -1.0)
    drain_inbox(60)
    assert Instance.objects.count() == 2
    assert acknowledged.claims() == {}
    acknowledged.claim(new_uid(), being_written.path)
    assert acknowledged.sweep() == 0
    assert clean_writing(older_than=-1.0) == 0, "a claim is no file, and the other is held"
    assert len(acknowledged.claims()) == 1
    assert acknowledged.sweep(older_than=-1.0) == 1
    assert acknowledged.claims() == {}


def test_a_claim_left_behind_before_the_clock_was_set_back_holds_nobody_either(
    first, being_written, monkeypatch
):
    ds = next_of(first)
    acknowledged.claim(ds.SOPInstanceUID, being_written.path)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 3600)
    stored(ds)
    assert Instance.objects.count() == 2


def test_a_claim_outlives_the_move_of_its_file(first):
    """By whichever name: the claim is one more of the same file."""
    (kept,) = stow(next_of(first))
    (number,) = acknowledged.claims().values()
    path = spool.folder("ready") / kept.name
    assert path.stat().st_ino == number
    assert path.stat().st_nlink == 2
    drain_inbox(60)
    stored_as = Instance.objects.get(sop_instance_uid=kept.place.instance).blob_key
    blob = Path(settings.PACSWEB.storage_url.removeprefix("file://")) / stored_as
    assert blob.stat().st_nlink == 1


def test_a_disk_that_takes_no_claim_makes_the_request_wait(first, monkeypatch):
    def refuses(*_names: object) -> None:
        raise OSError(1, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", refuses)
        (kept,) = stow(next_of(first))
    assert kept.place is None
    drain_inbox(60)
    assert inbox.outcome_of([kept.name], 1)[kept.name].fate is Fate.STORED


def test_a_folder_that_cannot_be_written_fails_the_request_and_leaves_no_claim(first):
    commit = synced(next_of(first))
    ready = spool.folder("ready")
    ready.rename(ready.with_name("aside"))
    ready.touch()
    try:
        outcomes = commit.finish()
    finally:
        ready.unlink()
        ready.with_name("aside").rename(ready)
    assert not isinstance(outcomes[0], Kept)
    assert folder("writing") == []


def test_while_the_indexer_does_not_keep_up_requests_wait_for_it(first, monkeypatch):
    waits(ct_slice())
    monkeypatch.setattr(pacing, "MOMENTS_SECONDS", 0.0)
    (kept,) = stow(next_of(first))
    assert kept.place is None


def test_rules_for_a_sender_alone_do_not_concern_the_web(first):
    ApplicationEntity.objects.create(title="CT1", duplicates="replace")
    (kept,) = stow(next_of(first))
    assert kept.place is not None


# -- reading


def test_a_reader_waits_for_what_was_answered_and_no_longer(first, monkeypatch):
    (kept,) = stow(next_of(first))
    later: list[Kept] = []

    def ring() -> None:
        drain_inbox(60)
        # Somebody goes on storing.
        later.extend(stow(next_of(first)))

    monkeypatch.setattr(catching_up, "ring", ring)
    assert catching_up.catch_up()
    assert not spool.is_waiting(kept.name)
    assert spool.is_waiting(later[0].name)


def test_a_reader_ends_the_gathering_of_a_batch(first):
    waits(next_of(first))
    spool.hurry()
    groups = Inbox().batch()
    assert len(next(groups)) == 1
    waits(next_of(first))
    assert list(groups) == []
    assert not spool.is_hurried()


def test_a_reader_gives_up_once_and_not_with_every_page(first, monkeypatch):
    monkeypatch.setattr(catching_up, "LONGEST_SECONDS", 0.3)
    stow(next_of(first))
    began = time.monotonic()
    assert not catching_up.catch_up()
    assert time.monotonic() - began >= 0.3
    monkeypatch.setattr(catching_up, "LONGEST_SECONDS", 600.0)
    assert not catching_up.catch_up()
    drain_inbox(60)
    assert catching_up.catch_up()


@pytest.fixture
def asked() -> Callable[[str, str], tuple[HttpResponse, list[int]]]:
    """Answers 404 while there is one instance; what each look at the archive counted."""

    def ask(method: str, path: str) -> tuple[HttpResponse, list[int]]:
        counts: list[int] = []

        def inner(_request: HttpRequest) -> HttpResponse:
            counts.append(Instance.objects.count())
            return HttpResponse(status=200 if counts[-1] > 1 else 404)

        request = HttpRequest()
        request.method, request.path_info = method, path
        response = FreshReadsMiddleware(inner)(request)
        assert isinstance(response, HttpResponse)
        return response, counts

    return ask


def test_a_search_that_cannot_wait_longer_says_so(first, asked, monkeypatch):
    monkeypatch.setattr(catching_up, "LONGEST_SECONDS", 0.1)
    stow(next_of(first))
    response, counts = asked("GET", "/dicom-web/instances")
    assert counts == [1]
    assert response["Warning"] == (
        '299 pacsweb "Instances received moments ago are not searchable yet."'
    )
    for method, path in [("POST", "/dicom-web/studies/1.2"), ("GET", "/static/a")]:
        assert "Warning" not in asked(method, path)[0]
    drain_inbox(60)
    assert "Warning" not in asked("GET", "/dicom-web/instances")[0]


@pytest.mark.parametrize(
    ("where", "looks"),
    [
        (("GET", "/dicom-web/studies"), [2]),
        (("GET", "/dicom-web/changes"), [2]),
        (("DELETE", "/dicom-web/studies/1"), [2]),
        (("DELETE", "/dicom-web/studies/1/series/2/instances/3"), [2]),
        (("GET", "/dicom-web/studies/1/series/2/metadata"), [2]),
        (("GET", "/dicom-web/studies/1/series/2/instances/3"), [1, 2]),
        (("GET", "/dicom-web/studies/1/series/2/instances/3/frames/1"), [1, 2]),
        (("GET", "/wado"), [1, 2]),
        (("GET", "/fhir/ImagingStudy"), [2]),
        (("GET", "/api/studies/"), [2]),
        (("GET", "/admin/archive/study/"), [2]),
        (("POST", "/dicom-web/commitment-requests/1"), [2]),
    ],
)
def test_every_door_sees_what_was_stored_before(
    first, asked, monkeypatch: pytest.MonkeyPatch, where: tuple[str, str], looks: list[int]
):
    stow(next_of(first))
    monkeypatch.setattr(catching_up, "ring", lambda: drain_inbox(60))
    response, counts = asked(*where)
    assert counts == looks
    assert response.status_code == 200
