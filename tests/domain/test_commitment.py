"""Storage commitment and the scrub: what is verified, what is promised, and what is noticed."""

from __future__ import annotations

import dataclasses
import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pydicom.dataset import Dataset

from apps.access.actions.keep_rule import drop_rule
from apps.access.principals import system_principal
from apps.archive.models import Instance, Receipt, Study
from apps.commitment import pace
from apps.commitment.actions.accept_request import Asking, TransactionInUse, accept_request
from apps.commitment.actions.ask_peers import ask_again, ask_peers, request_commitment
from apps.commitment.actions.deliver_reports import (
    SAME_ASSOCIATION,
    deliver_reports,
    mark_reported,
    take_ready,
)
from apps.commitment.actions.forget_commitments import forget_commitments
from apps.commitment.actions.note_committed import note_committed, with_title
from apps.commitment.actions.scrub_blobs import (
    begin_when_due,
    change_scrub,
    scrub_blobs,
    start_scrub,
)
from apps.commitment.actions.verify_requests import verify_requests
from apps.commitment.models import (
    CommitmentInquiry,
    CommitmentPolicy,
    CommitmentRequest,
    ScrubRun,
)
from apps.commitment.references import unpack_references
from apps.commitment.selectors import event_type_of, outcomes_of
from apps.dicom.element_shapes import Encoding
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.dicom.storage_commitment import Reference, action_information
from apps.errors import InvalidRequest, NotFound
from apps.events.models import Event
from apps.ingest import inbox, spool
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.network.models import ApplicationEntity
from apps.storage.stores import blob_store
from apps.transfers.actions.end_transfer import conclude
from apps.transfers.models import Transfer, TransferInstance
from tests.builders import CT_IMAGE_STORAGE, ct_slice, part10

pytestmark = pytest.mark.django_db

IMPLICIT = Encoding(implicit=True, big_endian=False)
CT1 = Asking("CT1", "PACSWEB", "10.0.0.1")
ADMIN = system_principal("test")
State = CommitmentRequest.State


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    CommitmentPolicy.objects.create(pk=1, verify_rate=10_000, scrub_rate=10_000)


def send(*datasets: Dataset) -> None:
    for ds in datasets:
        raw = part10(ds)
        inbox.receive_part10(
            Provenance("dimse", "CT1", "PACSWEB", "10.0.0.1"),
            raw[:HEAD_LENGTH],
            [raw[HEAD_LENGTH:]],
        )


def stored(count: int = 3) -> list[Instance]:
    study = ct_slice().StudyInstanceUID
    send(*(ct_slice(study=study, number=number + 1) for number in range(count)))
    drain_inbox(60)
    return list(Instance.objects.order_by("instance_number"))


def asked(*uids: str, transaction: str = "1.2.3", sop_class: str = CT_IMAGE_STORAGE) -> bytes:
    wanted = [Reference(sop_class, uid) for uid in uids]
    return action_information(transaction, wanted, implicit=True)


def ask(*uids: str, transaction: str = "1.2.3", sop_class: str = CT_IMAGE_STORAGE):
    information = asked(*uids, transaction=transaction, sop_class=sop_class)
    return accept_request(CT1, information, IMPLICIT)


def outcome(request: CommitmentRequest) -> dict[str, int]:
    assert not verify_requests(30)
    request.refresh_from_db()
    assert request.state == State.VERIFIED, request.problem
    found = list(outcomes_of(request))
    assert len(found) == request.instances
    return {each.sop_instance_uid: each.failure for each in found}


def blob_path(instance: Instance) -> Path:
    return blob_path_of(instance.blob_key)


def alter(instance: Instance, offset: int) -> None:
    path = blob_path(instance)
    raw = bytearray(path.read_bytes())
    raw[offset] ^= 1
    path.unlink()  # the inbox may hold the same file by another name
    path.write_bytes(raw)


def test_what_is_stored_is_read_back_and_committed():
    instances = stored()
    uids = [each.sop_instance_uid for each in instances]
    request = ask(*uids)
    assert outcome(request) == dict.fromkeys(uids, 0)
    assert event_type_of(request) == 1
    assert set(Receipt.objects.values_list("verdict", flat=True)) == {"good"}
    assert all(each.indexed_at for each in instances)


def test_SC_07_each_failure_has_its_reason():
    first, second, third = stored()
    request = accept_request(
        CT1,
        action_information(
            "1.2.3",
            [
                Reference(CT_IMAGE_STORAGE, first.sop_instance_uid),
                Reference("1.2.840.10008.5.1.4.1.1.4", second.sop_instance_uid),
                Reference(CT_IMAGE_STORAGE, "1.2.3.4.5"),
                Reference("1.2.840.10008.1.1", "1.2.3.4.6"),
                Reference("1.2.826.0.1.3680043.9.9999.1", "1.2.3.4.7"),
            ],
            implicit=True,
        ),
        IMPLICIT,
    )
    assert outcome(request) == {
        first.sop_instance_uid: 0,
        second.sop_instance_uid: 0x0119,
        "1.2.3.4.5": 0x0112,
        "1.2.3.4.6": 0x0122,
        "1.2.3.4.7": 0x0112,
    }
    assert (request.failed, event_type_of(request)) == (4, 2)
    assert not Receipt.objects.filter(instance=third).exists()


def test_SC_08_deleted_and_altered_bytes_are_failures_and_raise_attention():
    good, deleted, changed = stored()
    blob_path(deleted).unlink()
    alter(changed, changed.size_bytes - 1)
    request = ask(*(each.sop_instance_uid for each in (good, deleted, changed)))
    assert outcome(request) == {
        good.sop_instance_uid: 0,
        deleted.sop_instance_uid: 0x0112,
        changed.sop_instance_uid: 0x0110,
    }
    (alert,) = Study.objects.get().alerts.all()
    assert "1 altered and 1 missing" in alert.text
    (event,) = Event.objects.filter(kind="InstancesDamaged")
    assert event.payload["found"] == {"missing": 1, "altered": 1}


@pytest.mark.parametrize("offset", [200, -1], ids=["File Meta", "pixel data"])
def test_a_single_bit_anywhere_is_noticed(offset: int):
    (instance,) = stored(1)
    alter(instance, offset % instance.size_bytes)
    assert outcome(ask(instance.sop_instance_uid)) == {instance.sop_instance_uid: 0x0110}


def test_a_blob_that_lost_its_end_or_grew_is_altered():
    short, long = stored(2)
    os.truncate(blob_path(short), short.size_bytes - 2)
    with blob_path(long).open("ab") as body:
        body.write(b"\0\0")
    assert set(outcome(ask(short.sop_instance_uid, long.sop_instance_uid)).values()) == {0x0110}


def test_what_waits_in_the_inbox_is_waited_for():
    ds = ct_slice()
    send(ds)
    request = ask(ds.SOPInstanceUID)
    assert not verify_requests(5)
    request.refresh_from_db()
    assert (request.state, request.verified) == (State.RECEIVED, 0)
    assert "inbox" in request.problem
    drain_inbox(60)
    CommitmentRequest.objects.update(next_attempt_at=None)
    assert outcome(request) == {ds.SOPInstanceUID: 0}


def test_undecided_bytes_in_quarantine_are_not_promised():
    ds = ct_slice()
    send(ds)
    drain_inbox(60)
    ds.PixelData = bytes(len(ds.PixelData))
    send(ds)
    drain_inbox(60)
    assert outcome(ask(ds.SOPInstanceUID)) == {ds.SOPInstanceUID: 0x0110}


def test_an_instance_named_twice_is_reported_once():
    (instance,) = stored(1)
    request = ask(instance.sop_instance_uid, instance.sop_instance_uid)
    assert request.instances == 1


def test_SC_04_a_transaction_uid_serves_once():
    (instance,) = stored(1)
    request = ask(instance.sop_instance_uid)
    assert ask(instance.sop_instance_uid).pk == request.pk  # our answer was lost, it asks again
    with pytest.raises(TransactionInUse):
        ask(instance.sop_instance_uid, "1.2.3.4")
    outcome(request)
    mark_reported(request, SAME_ASSOCIATION)
    with pytest.raises(TransactionInUse):
        ask(instance.sop_instance_uid)
    other = dataclasses.replace(CT1, calling_ae_title="CT2")
    assert accept_request(other, asked(instance.sop_instance_uid), IMPLICIT).pk != request.pk


def test_a_request_without_transaction_or_instances_is_refused_and_leaves_nothing():
    with pytest.raises(InvalidRequest):
        ask("1.2.3.4", transaction="")
    with pytest.raises(InvalidRequest):
        ask()
    assert not CommitmentRequest.objects.exists()


def test_receipts_say_who_was_told_once_the_report_is_delivered():
    first, second = stored(2)
    request = ask(first.sop_instance_uid, "1.2.3.4")
    outcome(request)
    assert not Receipt.objects.exclude(committed_at=None).exists()
    mark_reported(request, SAME_ASSOCIATION)
    note_committed()
    receipt = Receipt.objects.get()
    assert (receipt.instance_id, receipt.committed_to) == (first.pk, "CT1")
    assert receipt.committed_at is not None
    assert not Receipt.objects.filter(instance=second).exists()


def test_SC_06_a_peer_without_an_address_is_told_to_the_administrator_and_tried_again():
    (instance,) = stored(1)
    request = ask(instance.sop_instance_uid)
    outcome(request)
    assert deliver_reports() == 0
    request.refresh_from_db()
    assert "CT1 has no host and port" in request.problem
    assert request.next_attempt_at > timezone.now()
    ApplicationEntity.objects.create(title="CT1", host="127.0.0.1", port=1)
    CommitmentRequest.objects.update(next_attempt_at=None)
    assert deliver_reports() == 0
    request.refresh_from_db()
    assert request.problem == "CT1 at 127.0.0.1:1 cannot be reached: Connection refused."
    assert request.attempts == 2
    assert request.state == State.VERIFIED
    long_ago = timezone.now() - timedelta(days=15)
    CommitmentRequest.objects.update(next_attempt_at=None, verified_at=long_ago)
    assert deliver_reports() == 0
    request.refresh_from_db()
    assert request.state == State.GIVEN_UP


def test_an_open_association_keeps_its_report_from_the_worker():
    (instance,) = stored(1)
    mine = dataclasses.replace(CT1, association="host 1-1")
    request = accept_request(mine, asked(instance.sop_instance_uid), IMPLICIT)
    outcome(request)
    deliver_reports()
    request.refresh_from_db()
    assert request.attempts == 0
    assert [each.pk for each in take_ready("host 1-1")] == [request.pk]
    assert take_ready("host 1-1") == []  # somebody is at it


def test_a_worker_that_died_does_not_hold_a_request_for_long():
    (instance,) = stored(1)
    request = ask(instance.sop_instance_uid)
    CommitmentRequest.objects.update(leased_until=timezone.now() + timedelta(seconds=60))
    assert not verify_requests(5)
    request.refresh_from_db()
    assert request.verified == 0
    CommitmentRequest.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert outcome(request) == {instance.sop_instance_uid: 0}


@pytest.mark.parametrize("policy", [True, False])
def test_after_sending_the_peer_is_asked_where_its_policy_says_so(policy: bool):
    first, second, third = stored()
    peer = ApplicationEntity.objects.create(title="ARCHIVE", ask_commitment=policy)
    transfer = Transfer.objects.create(
        kind=Transfer.Kind.SEND,
        state=Transfer.State.RUNNING,
        peer=peer,
        peer_title="ARCHIVE",
        total=3,
        completed=1,
        warning=1,
        failed=1,
        not_before=timezone.now(),
    )
    states = TransferInstance.State
    for place, (instance, state) in enumerate(
        ((first, states.SENT), (second, states.WARNING), (third, states.FAILED))
    ):
        TransferInstance.objects.create(
            transfer=transfer,
            position=place,
            instance_key=instance.pk,
            sop_instance_uid=instance.sop_instance_uid,
            state=state,
        )
    conclude(transfer, Transfer.State.PARTLY)
    inquiries = CommitmentInquiry.objects.all()
    assert inquiries.count() == int(policy)
    for inquiry in inquiries:
        row = inquiry.references.get()
        assert set(unpack_references(bytes(row.packed))) == {
            (CT_IMAGE_STORAGE, first.sop_instance_uid),
            (CT_IMAGE_STORAGE, second.sop_instance_uid),
        }


def test_a_peer_that_never_reports_is_asked_again_and_then_given_up():
    peer = ApplicationEntity.objects.create(title="ARCHIVE")
    inquiry = request_commitment(peer, [(CT_IMAGE_STORAGE, "1.2.3")], "test")
    assert inquiry is not None
    assert ask_peers(0) == 0
    inquiry.refresh_from_db()
    assert (inquiry.state, inquiry.attempts) == ("to-ask", 1)
    assert "no host and port" in inquiry.problem
    uids = {inquiry.transaction_uid}
    for reminders in (1, 2):
        CommitmentInquiry.objects.update(state="asked", next_attempt_at=None)
        ask_peers(0)
        inquiry.refresh_from_db()
        uids.add(inquiry.transaction_uid)
        assert inquiry.reminders == reminders
    assert len(uids) == 3
    CommitmentInquiry.objects.update(state="asked", next_attempt_at=None)
    ask_peers(0)
    inquiry.refresh_from_db()
    assert (inquiry.state, "has not reported" in inquiry.problem) == ("given-up", True)
    assert Event.objects.filter(kind="CommitmentNotObtained").count() == 1
    assert ask_again(ADMIN, inquiry)
    inquiry.refresh_from_db()
    assert (inquiry.state, inquiry.reminders) == ("to-ask", 0)


def test_what_a_peer_promised_stays_when_the_peer_is_removed():
    peer = ApplicationEntity.objects.create(title="ARCHIVE")
    kept = request_commitment(peer, [(CT_IMAGE_STORAGE, "1.2.3")], "test")
    open_one = request_commitment(peer, [(CT_IMAGE_STORAGE, "1.2.4")], "test")
    assert kept is not None
    assert open_one is not None
    CommitmentInquiry.objects.filter(pk=kept.pk).update(state="committed")
    drop_rule(ADMIN, peer)
    ask_peers(0)
    kept.refresh_from_db()
    open_one.refresh_from_db()
    assert (kept.state, kept.peer_title, kept.references.count()) == ("committed", "ARCHIVE", 1)
    assert open_one.state == "given-up"
    assert open_one.problem == "ARCHIVE was removed here before it had answered."
    with pytest.raises(NotFound, match="no application entity here any more"):
        ask_again(ADMIN, open_one)
    again = ApplicationEntity.objects.create(title="ARCHIVE")
    assert ask_again(ADMIN, open_one)
    open_one.refresh_from_db()
    assert (open_one.state, open_one.peer) == ("to-ask", again)


def test_nothing_sent_is_nothing_asked():
    peer = ApplicationEntity.objects.create(title="ARCHIVE")
    assert request_commitment(peer, []) is None


def test_instances_of_no_patient_are_committed_too():
    ds = Dataset()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.39.1"  # Color Palette Storage
    ds.SOPInstanceUID = "1.2.3.4.5.6"
    ds.ContentLabel = "HOT"
    send(ds)
    drain_inbox(60)
    request = ask(ds.SOPInstanceUID, sop_class=ds.SOPClassUID)
    assert outcome(request) == {ds.SOPInstanceUID: 0}
    assert not Receipt.objects.exists()


def test_the_same_instance_sent_again_heals_what_is_damaged():
    study = ct_slice()
    send(study)
    drain_inbox(60)
    (instance,) = Instance.objects.all()
    alter(instance, -1)
    start_scrub(ADMIN)
    scrub_blobs(10)
    assert Study.objects.get().alerts.count() == 1
    damaged = instance.blob_key
    send(study)
    send(study)
    result = drain_inbox(60)
    assert (result.stored, result.already_stored, result.quarantined) == (0, 2, 0)
    instance.refresh_from_db()
    assert instance.blob_key != damaged
    assert not blob_path_of(damaged).exists()
    assert Study.objects.get().alerts.count() == 0
    assert Study.objects.get().size_bytes == instance.size_bytes
    assert Event.objects.filter(kind="InstancesRestored").count() == 1
    assert outcome(ask(instance.sop_instance_uid)) == {instance.sop_instance_uid: 0}


def blob_path_of(key: str) -> Path:
    path = blob_store().local_path(key)
    assert path is not None
    return path


# --- the scrub ------------------------------------------------------------------------------------


def test_a_scrub_finds_what_is_missing_and_what_is_altered_and_sees_it_healed(capsys):
    good, missing, altered = stored()
    kept = blob_path(missing).read_bytes()
    blob_path(missing).unlink()
    alter(altered, -1)
    with pytest.raises(CommandError):
        call_command("scrub")
    printed = capsys.readouterr().out
    assert "3 checked" in printed
    assert f"missing: {missing.sop_instance_uid}" in printed
    assert Study.objects.get().alerts.count() == 1
    verdicts = dict(Receipt.objects.values_list("instance_id", "verdict"))
    assert verdicts == {good.pk: "good", missing.pk: "missing", altered.pk: "altered"}
    run = ScrubRun.objects.get()
    assert (run.state, run.checked, run.missing, run.altered) == (ScrubRun.State.DONE, 3, 1, 1)

    blob_path(missing).write_bytes(kept)
    with pytest.raises(CommandError):
        call_command("scrub", study=Study.objects.get().study_instance_uid)
    assert "damaged: 1 altered." in Study.objects.get().alerts.get().text
    assert Event.objects.filter(kind="InstancesRestored").count() == 1
    assert Event.objects.filter(kind="InstancesDamaged").count() == 1


def test_a_scrub_resumes_where_it_stopped_and_can_be_paused_and_cancelled():
    instances = sorted(stored(3), key=lambda each: each.pk)
    run = start_scrub(ADMIN)
    ScrubRun.objects.update(cursor=instances[1].pk, checked=2)
    change_scrub(ADMIN, run, ScrubRun.State.PAUSED)
    assert not scrub_blobs(5)
    assert Receipt.objects.count() == 0
    assert start_scrub(ADMIN).pk == run.pk
    assert not scrub_blobs(5)
    run.refresh_from_db()
    assert (run.state, run.checked) == (ScrubRun.State.DONE, 3)
    assert list(Receipt.objects.values_list("instance_id", flat=True)) == [instances[2].pk]
    change_scrub(ADMIN, run, ScrubRun.State.CANCELLED)
    run.refresh_from_db()
    assert run.state == ScrubRun.State.DONE


def test_the_regular_scrub_begins_by_itself_and_not_too_often():
    stored(1)
    begin_when_due(ADMIN)
    begin_when_due(ADMIN)
    assert ScrubRun.objects.count() == 1
    scrub_blobs(5)
    begin_when_due(ADMIN)
    assert ScrubRun.objects.count() == 1
    ScrubRun.objects.update(started_at=timezone.now() - timedelta(days=31))
    begin_when_due(ADMIN)
    assert ScrubRun.objects.count() == 2


def test_a_scrub_costs_the_same_number_of_queries_whatever_its_size(
    django_assert_max_num_queries,
):
    stored(60)
    start_scrub(ADMIN)
    with django_assert_max_num_queries(24):
        assert not scrub_blobs(20)
    assert Receipt.objects.count() == 60


def test_reading_back_slows_down_while_instances_arrive(monkeypatch):
    slept = []
    monkeypatch.setattr(pace.time, "sleep", slept.append)
    for busy in (False, True):
        spent = pace.Pace(100, is_receiving=lambda busy=busy: busy)
        spent.spend(100_000_000)
    assert slept[0] == pytest.approx(0.75, abs=0.05)
    assert slept[1] == pytest.approx(3.75, abs=0.05)
    assert not spool.receiving()
    send(ct_slice())
    assert spool.receiving()
    assert len(spool.waiting()) == 1


def test_old_finished_requests_go_and_their_receipts_stay():
    (instance,) = stored(1)
    request = ask(instance.sop_instance_uid)
    outcome(request)
    mark_reported(request, SAME_ASSOCIATION)
    note_committed()
    assert forget_commitments() == 0
    CommitmentRequest.objects.update(received_at=timezone.now() - timedelta(days=366))
    assert forget_commitments() == 1
    assert Receipt.objects.get().committed_to == "CT1"


def test_a_list_of_titles_stays_short():
    titles = ""
    for number in range(40):
        titles = with_title(titles, f"STATION{number:04d}")
    assert len(titles) <= 255
    assert titles.endswith("STATION0039")
    assert with_title("A\\B", "A") == "B\\A"
