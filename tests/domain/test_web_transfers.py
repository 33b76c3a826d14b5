"""Transfers with DICOMweb archives: nothing is counted twice, taken twice, or done by half."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.access.principals import Principal, PrincipalKind, system_principal
from apps.archive.models import Instance
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.dimse.management.commands.dicom import Command
from apps.errors import InvalidRequest
from apps.events.models import Event
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.receiving import WADO_RS
from apps.network.models import ApplicationEntity, WebArchive
from apps.storage.stores import blob_store
from apps.transfers.actions.cancel_transfer import cancel_transfer
from apps.transfers.actions.claim_transfer import claim_transfer
from apps.transfers.actions.list_instances import list_instances
from apps.transfers.actions.note_progress import LeaseLost
from apps.transfers.actions.request_transfer import (
    Fetch,
    fetch_from_archive,
    fetch_from_other,
    fetch_once,
    send_to_archive,
)
from apps.transfers.actions.retry_transfer import retry_transfer
from apps.transfers.models import Transfer
from apps.transfers.running import run_due_transfers, run_transfer
from tests.builders import ct_slice, new_uid, part10
from tests.protocol.odd_web_archive import SECRET, USER, OddWebArchive, serving

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _folders(data_folders: Path) -> None:
    """An inbox and blobs of the test's own."""


@pytest.fixture
def north() -> Iterator[WebArchive]:
    with serving() as port:
        yield WebArchive.objects.create(
            name="north", url=f"http://127.0.0.1:{port}/base", user=USER, secret=SECRET
        )


def _stored(raw: bytes) -> None:
    source = Provenance("import", source_address="127.0.0.1")
    inbox.receive_part10(source, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])


def _after_a_run(transfer: Transfer) -> Transfer:
    claimed = claim_transfer("test")
    assert claimed is not None
    run_transfer(claimed)
    transfer.refresh_from_db()
    return transfer


def test_what_cannot_be_read_is_counted_once_however_often_the_rest_is_sent(
    north: WebArchive,
) -> None:
    study, series, patient = new_uid(), new_uid(), new_uid()[-12:]
    for number in (1, 2, 3):
        image = ct_slice(study=study, series=series, number=number, PatientID=patient)
        _stored(part10(image))
    drain_inbox(100)
    keys = list(Instance.objects.order_by("pk").values_list("pk", flat=True))
    lost = blob_store().local_path(Instance.objects.get(pk=keys[1]).blob_key)
    assert lost is not None
    lost.unlink()
    OddWebArchive.manner[patient] = "hangs up"

    transfer = send_to_archive(system_principal("test"), archive=north, keys=keys)
    row = _after_a_run(transfer)
    assert (row.state, row.total, row.completed, row.failed) == ("partly", 3, 2, 1)


def _fetch(north: WebArchive, study: str) -> Transfer:
    return fetch_from_archive(
        system_principal("test"), archive=north, level="STUDY", keys={"StudyInstanceUID": study}
    ).transfer


def test_what_an_archive_calls_a_part_is_not_done(north: WebArchive) -> None:
    study = OddWebArchive.new_study("a part of it")
    row = _after_a_run(_fetch(north, study))
    assert (row.state, row.total, row.completed) == ("waiting", 4, 4)
    assert row.message == "north says that it did not send all it has (206)."
    # More has come there: that comes here, and it is asked once more.
    image = OddWebArchive.studies[study][0]
    OddWebArchive.studies[study].append(ct_slice(study=study, series=image.SeriesInstanceUID))
    row = _after_a_run(_due(row))
    assert (row.state, row.total, row.completed) == ("waiting", 5, 5)
    row = _after_a_run(_due(row))
    assert (row.state, row.total, row.completed, row.failed) == ("partly", 5, 5, 0)
    assert row.message.endswith("(206), and sent nothing more when it was asked again.")
    assert OddWebArchive.asked[study].count(f"/studies/{study}") == 3


def _due(row: Transfer) -> Transfer:
    drain_inbox(100)
    Transfer.objects.update(not_before=timezone.now())
    return row


def test_a_long_list_is_written_in_parts_and_goes_on_where_it_was_cut(north: WebArchive) -> None:
    transfer = _fetch(north, OddWebArchive.new_study())
    assert claim_transfer("test") is not None
    there = {f"1.2.{number}": "1.3" for number in range(4_100)}
    with CaptureQueriesContext(connection) as asked:
        list_instances(transfer.pk, "test", dict(list(there.items())[:3_000]))
    counted = [each for each in asked if 'SET "total"' in each["sql"]]
    assert len(counted) == 2  # transactions of their own, each with its rows
    listed = list_instances(transfer.pk, "test", there)
    assert {uid for uid, each in listed.items() if each.waits} == there.keys()
    transfer.refresh_from_db()
    positions = transfer.instances.order_by("position").values_list("position", flat=True)
    assert (transfer.total, list(positions)) == (4_100, list(range(4_100)))
    with pytest.raises(LeaseLost):
        list_instances(transfer.pk, "another", {"1.9": "1.3"})


def test_what_is_here_is_taken_once_more_at_most(north: WebArchive) -> None:
    study = OddWebArchive.new_study("twice", images=9)
    for image in OddWebArchive.studies[study]:
        _stored(part10(image))
    drain_inbox(100)
    row = _after_a_run(_fetch(north, study))
    assert (row.state, row.total, inbox.depth().files) == ("succeeded", 0, 9)


def test_a_failure_that_nobody_foresaw_is_an_attempt(north: WebArchive) -> None:
    keyless = Transfer.objects.create(
        kind=Transfer.Kind.PULL, archive=north, peer_title="north", level="IMAGE", keys={},
        method=WADO_RS, most_attempts=2, not_before=timezone.now(),
    )  # fmt: skip
    row = _after_a_run(keyless)
    assert (row.state, row.lease_until) == ("waiting", None)
    assert row.message == "It failed here: an administrator finds more in the log."


def test_what_another_transfer_fetches_is_not_fetched_again_by_a_retry(north: WebArchive) -> None:
    asker, study = system_principal("test"), OddWebArchive.new_study("a part of it")
    first = _fetch(north, study)
    cancel_transfer(asker, first.pk)
    second = _fetch(north, study)
    assert second.pk != first.pk
    with pytest.raises(InvalidRequest, match=f"Transfer {second.pk} fetches this already"):
        retry_transfer(asker, first.pk)
    cancel_transfer(asker, second.pk)
    assert retry_transfer(asker, first.pk).state == "waiting"


def test_a_person_who_joins_does_not_wait_for_the_next_attempt_and_a_rule_does(
    north: WebArchive,
) -> None:
    study = OddWebArchive.new_study("a part of it")
    row = _after_a_run(_fetch(north, study))
    later = row.not_before
    assert later > timezone.now()
    assert _fetch(north, study).not_before == later
    person = replace(system_principal("somebody"), kind=PrincipalKind.USER)
    keys = {"StudyInstanceUID": study}
    fetch = fetch_from_archive(person, archive=north, level="STUDY", keys=keys)
    assert (fetch.joined, fetch.transfer.pk) == (True, row.pk)
    assert fetch.transfer.not_before <= timezone.now()
    assert fetch.transfer.attempts == 0


HOSTILE = "T\x7f\x9b2J\u202eEND\U000e0001"


def test_what_an_archive_says_does_not_steer_the_terminal(north: WebArchive) -> None:
    """U+009B begins a control sequence, as ESC and [ do; U+202E turns the line round."""
    study = OddWebArchive.new_study(PatientName=f"HOSTILE^{HOSTILE}")
    told = {}
    for how in ((), ("--json",)):
        out = StringIO()
        call_command("dicom", "find", "north", "PatientName=hostile*", *how, stdout=out)
        told[how] = out.getvalue()
        assert told[how].replace("\n", "").isprintable()
        assert study in told[how]
    (row,) = map(json.loads, told["--json",].splitlines())
    assert row["PatientName"] == f"HOSTILE^{HOSTILE}"
    transfer = _fetch(north, study)
    Transfer.objects.update(state="failed", message=f"north says {HOSTILE}")
    transfer.refresh_from_db()
    out = StringIO()
    with pytest.raises(SystemExit):
        Command(stdout=out)._follow([transfer], {"no_wait": False})
    assert out.getvalue().strip().isprintable()


def test_who_asks_a_peer_for_what_it_sends_already_joins_that_transfer() -> None:
    far = ApplicationEntity.objects.create(title="FARPEER", host="127.0.0.1", port=1)
    anna, bert = (
        replace(system_principal(name), kind=PrincipalKind.USER) for name in ("anna", "bert")
    )
    keys = {"StudyInstanceUID": new_uid()}

    def asked(who: Principal, how: str = "move", **more: str) -> Fetch:
        level = "SERIES" if more else "STUDY"
        return fetch_from_other(who, other=far, level=level, keys={**keys, **more}, method=how)

    first = asked(anna)
    assert not first.joined
    assert (asked(anna).joined, asked(anna).transfer.shared) == (True, False)
    second = asked(bert, SeriesInstanceUID=new_uid())
    assert (second.transfer.pk, second.transfer.shared) == (first.transfer.pk, True)
    # One by the other method may be what does not work.
    other = asked(bert, "get")
    assert (other.joined, asked(bert, "auto").joined) == (False, True)
    Transfer.objects.filter(pk=first.transfer.pk).update(state="running")
    assert not asked(bert).transfer.asked_again  # it would all be sent once more
    for each in (first, other):
        cancel_transfer(anna, each.transfer.pk)
        Transfer.objects.update(state="cancelled")
    third = asked(bert)
    assert not third.joined
    with pytest.raises(InvalidRequest, match=f"Transfer {third.transfer.pk} fetches this already"):
        retry_transfer(anna, first.transfer.pk)


def test_who_reads_through_the_gateway_shares_the_transfer_and_says_so_once() -> None:
    far = ApplicationEntity.objects.create(title="FARPEER", host="127.0.0.1", port=1)
    anna, bert = (
        replace(system_principal(name), kind=PrincipalKind.USER) for name in ("anna", "bert")
    )
    keys = {"StudyInstanceUID": new_uid()}

    def asked(who: Principal) -> tuple[int, bool, int]:
        row = fetch_once(who, peer=far, level="STUDY", keys=keys)
        row.refresh_from_db()
        return row.pk, row.shared, Event.objects.filter(kind="TransferJoined").count()

    first, _, _ = asked(anna)
    assert asked(anna) == (first, False, 0)
    assert asked(bert) == asked(anna) == asked(bert) == (first, True, 1)


def test_the_command_line_knows_archives_that_speak_dicomweb(north: WebArchive) -> None:
    def told(*words: str) -> str:
        out = StringIO()
        call_command("dicom", *words, stdout=out)
        return out.getvalue()

    study = OddWebArchive.new_study(PatientName="LINE^ONE")
    assert "north answered 200" in told("echo", "north")
    assert study in told("find", "north", "PatientName=line*")
    assert "was requested" in told("get", "north", study, "--no-wait")
    run_due_transfers()
    assert drain_inbox(100).stored == 5
    assert "was requested" in told("send", "north", study, "--no-wait")
    run_due_transfers()
    sent = {each.SOPInstanceUID for each in OddWebArchive.stored}
    assert {each.SOPInstanceUID for each in OddWebArchive.studies[study]} <= sent
    with pytest.raises(CommandError, match="sends nothing elsewhere"):
        told("move", "north", study, "--to", "ELSE")
    with pytest.raises(CommandError, match="no application entity or DICOMweb archive called NO"):
        told("echo", "NO")


@pytest.mark.parametrize(("deaths", "runs"), [(9, True), (10, False)])
def test_a_transfer_that_kills_its_worker_is_given_up(
    north: WebArchive, deaths: int, runs: bool
) -> None:
    """Each claim counts; none of these was ended by its worker."""
    transfer = _fetch(north, OddWebArchive.new_study("a part of it"))
    Transfer.objects.update(most_attempts=2)
    for _ in range(deaths):
        assert claim_transfer("a worker that dies") is not None
        Transfer.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    row = _after_a_run(transfer)
    assert (row.state, row.attempts) == ("partly" if runs else "failed", deaths + 1)
    assert row.completed == (4 if runs else 0)
    assert ("again and again" in row.message) is not runs
