"""Sending, fetching and asking other systems by REST and on the command line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pydicom.dataset import Dataset

from tests.builders import ct_slice, new_uid
from tests.protocol.dicomweb_archive import Archive
from tests.protocol.test_move import Sink
from tests.servers import free_port
from tests.stack import Stack

OURSELVES = "PACSWEB"
SLICES = 5


@pytest.fixture(scope="module")
def study(archive: Archive) -> list[Dataset]:
    uid, series = new_uid(), new_uid()
    made = [
        ct_slice(study=uid, series=series, number=n + 1, PatientID="TR-1", PatientName="Ä^B")
        for n in range(SLICES)
    ]
    assert archive.store(*made).status_code == 200
    return made


@pytest.fixture(scope="module")
def sink(stack: Stack) -> Iterator[Sink]:
    made = Sink("RESTSINK", free_port())
    peers = {made.title: made.port, OURSELVES: stack.dicom_port, "AWAY": free_port()}
    stack.manage(
        "shell",
        "-c",
        "from apps.network.models import ApplicationEntity as A\n"
        + "\n".join(
            f"A.objects.create(title={title!r}, host='127.0.0.1', port={port})"
            for title, port in peers.items()
        ),
    )
    server = made.start()
    yield made
    server.shutdown()


def call(stack: Stack, method: str, path: str, **options: Any) -> requests.Response:
    return requests.request(
        method, stack.url("/api" + path), auth=stack.auth, timeout=30, **options
    )


def ended(stack: Stack, transfer: int) -> dict[str, Any]:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        row: dict[str, Any] = call(stack, "GET", f"/transfers/{transfer}/").json()
        if row["state"] not in {"waiting", "running"}:
            return row
        time.sleep(0.1)
    raise AssertionError(row)


def test_a_study_is_sent_and_each_instance_has_its_outcome(
    stack: Stack, study: list[Dataset], sink: Sink
) -> None:
    sink.fail = frozenset({study[2].SOPInstanceUID})
    asked = {"peer": sink.title, "studies": [study[0].StudyInstanceUID]}
    answer = call(stack, "POST", "/transfers/", json=asked)
    assert answer.status_code == 201, answer.text
    row = ended(stack, answer.json()["id"])
    assert (row["state"], row["completed"], row["failed"]) == ("partly", SLICES - 1, 1)
    path = f"/transfers/{row['id']}/"
    (failed,) = call(stack, "GET", path + "instances/?state=failed").json()
    assert failed["sop_instance_uid"] == study[2].SOPInstanceUID
    assert failed["status"] == 0xC000
    sink.fail, before = frozenset(), len(sink.came)
    assert call(stack, "POST", path + "retry/").status_code == 200
    row = ended(stack, row["id"])
    assert (row["state"], row["completed"], row["failed"]) == ("succeeded", SLICES, 0)
    assert len(sink.came) == before + 1


def test_a_peer_without_room_gets_the_rest_later(
    stack: Stack, study: list[Dataset], sink: Sink
) -> None:
    """A7xx (PS3.4 B.2.3) may pass: what was refused so waits, and is all that is sent again."""
    full = {study[1].SOPInstanceUID, study[4].SOPInstanceUID}
    sink.came, sink.fail, sink.refusal = [], frozenset(full), 0xA701
    asked = {"peer": sink.title, "studies": [study[0].StudyInstanceUID]}
    path = f"/transfers/{call(stack, 'POST', '/transfers/', json=asked).json()['id']}/"
    stack.wait_until(lambda: bool(call(stack, "GET", path).json()["message"]))
    row = call(stack, "GET", path).json()
    assert row["message"] == (
        f"{sink.title} is out of resources: it answered 2 of the instances with A701."
    )
    assert (row["state"], row["completed"], row["failed"]) == ("waiting", SLICES - 2, 0)
    assert row["attempts"] < row["most_attempts"]
    waiting = call(stack, "GET", path + "instances/?state=waiting").json()
    assert {each["sop_instance_uid"]: each["status"] for each in waiting} == dict.fromkeys(
        full, 0xA701
    )
    sink.came, sink.fail = [], frozenset({study[4].SOPInstanceUID})
    assert call(stack, "POST", path + "retry/").status_code == 200
    stack.wait_until(lambda: call(stack, "GET", path).json()["completed"] == SLICES - 1)
    assert {str(each.AffectedSOPInstanceUID) for each in sink.came} == full

    # Its last attempt: then what was refused has failed, with the peer's own status.
    stack.wait_until(lambda: call(stack, "GET", path).json()["state"] == "waiting")
    stack.manage("shell", "-c", f"from apps.transfers.models import Transfer as T; "
                 f"T.objects.filter(pk={row['id']}).update(attempts=5)")  # fmt: skip
    call(stack, "POST", path + "retry/")
    row = ended(stack, row["id"])
    assert (row["state"], row["completed"], row["failed"]) == ("partly", SLICES - 1, 1)
    assert row["message"].endswith("Given up after 6 attempts.")
    (failed,) = call(stack, "GET", path + "instances/?state=failed").json()
    assert failed["status"] == 0xA701
    sink.fail, sink.refusal = frozenset(), 0xC000


def test_one_that_is_away_is_tried_again_until_cancelled(
    stack: Stack, study: list[Dataset], sink: Sink
) -> None:
    asked = {"peer": "AWAY", "instances": [study[0].SOPInstanceUID]}
    transfer = call(stack, "POST", "/transfers/", json=asked).json()["id"]
    until = time.monotonic() + 15
    while not (row := call(stack, "GET", f"/transfers/{transfer}/").json())["message"]:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert row["state"] == "waiting"
    assert "cannot be reached" in row["message"]
    assert row["not_before"] > row["created_at"]
    assert call(stack, "DELETE", f"/transfers/{transfer}/").json()["state"] == "cancelled"


def test_another_archive_is_asked_and_fetched_from(
    stack: Stack, study: list[Dataset], sink: Sink
) -> None:
    assert call(stack, "POST", f"/peers/{OURSELVES}/echo/").json() == {"status": "0000"}
    (found,) = call(stack, "GET", f"/peers/{OURSELVES}/search/?PatientID=TR-1").json()
    assert found["StudyInstanceUID"] == study[0].StudyInstanceUID
    assert found["PatientName"] == "Ä^B"
    asked = {"peer": OURSELVES, "keys": {"StudyInstanceUID": study[0].StudyInstanceUID}}
    answer = call(stack, "POST", "/transfers/fetch/", json=asked)
    assert answer.status_code == 201, answer.text
    row = ended(stack, answer.json()["id"])
    assert (row["state"], row["completed"], row["total"]) == ("succeeded", SLICES, SLICES)


def test_a_study_is_fetched_on_the_association_that_asks(
    stack: Stack, study: list[Dataset], sink: Sink
) -> None:
    asked = {
        "peer": OURSELVES,
        "keys": {"StudyInstanceUID": study[0].StudyInstanceUID},
        "method": "get",
    }
    answer = call(stack, "POST", "/transfers/fetch/", json=asked)
    row = ended(stack, answer.json()["id"])
    assert (row["state"], row["completed"], row["total"]) == ("succeeded", SLICES, SLICES)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/transfers/", {"peer": "NOBODY", "studies": ["1.2"]}, 404),
        ("/transfers/", {"peer": OURSELVES, "studies": ["1.2.3.4.999"]}, 404),
        ("/transfers/", {"studies": ["1.2"]}, 400),
        ("/transfers/fetch/", {"peer": OURSELVES, "keys": {"PatientName": "A"}}, 400),
        ("/transfers/fetch/", {"peer": OURSELVES, "keys": {}}, 400),
        ("/peers/AWAY/echo/", None, 502),
        ("/peers/NOBODY/echo/", None, 404),
    ],
)
def test_what_makes_no_sense_is_answered_plainly(
    stack: Stack, sink: Sink, path: str, body: Any, status: int
) -> None:
    answer = call(stack, "POST", path, json=body)
    assert answer.status_code == status, answer.text


def test_the_command_line_does_the_same(stack: Stack, study: list[Dataset], sink: Sink) -> None:
    assert "answered 0000" in stack.manage("dicom", "echo", OURSELVES).stdout
    found = stack.manage("dicom", "find", OURSELVES, "PatientID=TR-1").stdout
    assert study[0].StudyInstanceUID in found
    sent = stack.manage("dicom", "send", sink.title, study[0].StudyInstanceUID).stdout
    assert f"{SLICES} sent, 0 with a warning, 0 failed" in sent
    refused = stack.manage("dicom", "echo", "AWAY", check=False)
    assert refused.returncode == 2
    assert "cannot be reached" in refused.stderr
