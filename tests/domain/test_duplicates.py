"""What becomes of other bytes under a known UID, by the rule for their sender."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from apps.archive.models import Instance
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.events.models import Event
from apps.ingest import inbox, spool
from apps.ingest.actions import index_batch as index_batch_module
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.models import QuarantinedInstance
from apps.network.models import ApplicationEntity
from apps.retrieve.metadata import dicom_json_of
from tests.builders import ct_slice, part10
from tests.domain.test_whole_corpus import counts_are_exact

pytestmark = pytest.mark.django_db
FROM = Provenance("dimse", "CT1", "PACSWEB", "10.0.0.1")


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    pass


def send(dataset: Dataset, provenance: Provenance = FROM) -> None:
    raw = part10(dataset)
    inbox.receive_part10(provenance, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])


def index() -> None:
    drain_inbox(60)
    assert spool.waiting() == []
    counts_are_exact()


def the_case() -> QuarantinedInstance:
    return QuarantinedInstance.objects.get()


def description() -> str:
    """What the stored instance says."""
    return dicom_json_of(Instance.objects.get().pk)["00081030"]["Value"][0]


def events(kind: str) -> list[Event]:
    return list(Event.objects.filter(kind=kind).order_by("sequence"))


def again(duplicates: str, *, door: str = "dimse") -> tuple[Dataset, Dataset]:
    """An instance, and one of the same UID with other content, from a sender with that rule."""
    ApplicationEntity.objects.create(title="CT1", duplicates=duplicates)
    first = ct_slice()
    second = copy.deepcopy(first)
    second.StudyDescription = "Second"
    sender = Provenance(door, "CT1", "PACSWEB", "10.0.0.1")
    for dataset in (first, second):
        send(dataset, sender)
        index()
    return first, second


def test_STO_06_by_rule_the_second_takes_the_place_and_the_first_is_kept():
    first, _second = again("replace")
    assert description() == "Second"
    aside = QuarantinedInstance.objects.get(state="kept")
    assert aside.sop_instance_uid == first.SOPInstanceUID
    (told,) = events("InstanceReplaced")
    assert told.actor_name == "duplicates of CT1"
    # And back again: what was displaced is no less a duplicate.
    send(first)
    index()
    assert description() == "Head"
    assert len(events("InstanceReplaced")) == 2


def test_STO_06_by_rule_the_second_is_dropped_and_that_is_told():
    first, _second = again("ignore")
    assert description() == "Head"
    assert not QuarantinedInstance.objects.exists()
    (told,) = events("DuplicatesIgnored")
    assert told.payload == {"sop_instance_uids": [first.SOPInstanceUID]}


@pytest.mark.parametrize(("duplicates", "door"), [("refuse", "dimse"), ("ignore", "stow")])
def test_STO_06_what_came_past_the_refusal_or_by_another_door_is_set_aside(duplicates, door):
    again(duplicates, door=door)
    assert description() == "Head"
    assert the_case().reason == "other-bytes"


def test_an_object_that_also_moved_to_another_study_waits_for_a_person_whatever_the_rule():
    ApplicationEntity.objects.create(title="CT1", duplicates="replace")
    first = ct_slice()
    second = ct_slice(SOPInstanceUID=first.SOPInstanceUID)
    for dataset in (first, second):
        send(dataset)
        index()
    assert the_case().reason == "other-series"


def test_a_crash_between_the_rows_and_the_exchange_is_made_good_by_the_next_run(monkeypatch):
    ApplicationEntity.objects.create(title="CT1", duplicates="replace")
    first = ct_slice()
    second = copy.deepcopy(first)
    second.StudyDescription = "Second"
    send(first)
    index()
    send(second)

    def dies(step: str) -> None:
        if step == "indexed":
            raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(index_batch_module, "crash_point", dies)
        with pytest.raises(SystemExit):
            index()
    assert description() == "Head"
    index()
    assert description() == "Second"
