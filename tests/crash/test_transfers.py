"""kill -9 of the worker in the middle of transfers: finished by another, counters exact."""

from __future__ import annotations

import contextlib
from typing import Any

import pydicom
import pytest
import requests
from pydicom.dataset import Dataset
from pynetdicom import AE

from tests.builders import ct_slice, new_uid
from tests.protocol.dicomweb_archive import Archive
from tests.protocol.test_move import MOVE, Sink, counts
from tests.servers import free_port, listening
from tests.stack import Stack

pytestmark = pytest.mark.crash
SLICES = 30
# Before its half second was over, a worker may have sent this many that it did not write down.
UNWRITTEN = 12


def test_MOV_04_a_c_move_and_a_sending_survive_their_worker(own_stack: Stack) -> None:
    """One job serves a C-MOVE, the other sends to DCMTK; both are half done when it dies."""
    own_stack.start()
    sink = Sink("SLOW", free_port(), delay=0.1)
    port, folder = free_port(), own_stack.folder / "storescp"
    folder.mkdir()
    own_stack.manage("ae", "add", sink.title, "127.0.0.1", str(sink.port))
    own_stack.manage(
        "shell", "-c",
        "from apps.network.models import ApplicationEntity as A; A.objects.create("
        f"title='DCMTK', host='127.0.0.1', port={port}, send_limit_kib=60)",
    )  # fmt: skip
    study, series = new_uid(), new_uid()
    made = [ct_slice(study=study, series=series, number=n + 1, size=64) for n in range(SLICES)]
    assert Archive(own_stack).store(*made).status_code == 200
    sink.fail = frozenset({made[3].SOPInstanceUID, made[-2].SOPInstanceUID})
    sink.warn = frozenset({made[4].SOPInstanceUID, made[-1].SOPInstanceUID})
    with contextlib.ExitStack() as ends:
        ends.callback(sink.start().shutdown)
        ends.enter_context(listening(port, "storescp", "-od", str(folder), str(port)))
        sent = requests.post(
            own_stack.url("/api/transfers/"),
            json={"peer": "DCMTK", "studies": [study]},
            auth=own_stack.auth,
            timeout=30,
        ).json()
        ae = AE(ae_title="MOVER")
        ae.dimse_timeout = 90
        ae.add_requested_context(MOVE)
        association = ae.associate("127.0.0.1", own_stack.dicom_port, ae_title="PACSWEB")
        keys = Dataset()
        keys.QueryRetrieveLevel, keys.StudyInstanceUID = "STUDY", study
        responses = association.send_c_move(keys, sink.title, MOVE)
        own_stack.wait_until(
            lambda: len(sink.came) >= SLICES // 3 and len(list(folder.iterdir())) >= SLICES // 4
        )
        assert len(list(folder.iterdir())) < SLICES
        own_stack.kill("worker-transfer")
        told = list(responses)
        association.release()
        own_stack.wait_until(lambda: transfer(own_stack, sent["id"])["state"] == "succeeded", 60)
    for response, _ in told[:-1]:
        assert response.Status == 0xFF00
        assert sum(counts(response)) + response.NumberOfRemainingSuboperations == SLICES
    final, identifier = told[-1]
    assert final.Status == 0xB000
    assert counts(final) == (SLICES - 4, 2, 2)
    assert identifier is not None
    assert set(identifier.FailedSOPInstanceUIDList) == sink.fail
    came = [str(each.AffectedSOPInstanceUID) for each in sink.came]
    assert set(came) == {each.SOPInstanceUID for each in made}
    assert len(came) <= SLICES + UNWRITTEN
    row = transfer(own_stack, sent["id"])
    assert (row["completed"], row["warning"], row["failed"]) == (SLICES, 0, 0)
    assert row["attempts"] == 2
    assert sorted(pydicom.dcmread(path).SOPInstanceUID for path in folder.iterdir()) == sorted(
        each.SOPInstanceUID for each in made
    )


def transfer(stack: Stack, key: int) -> dict[str, Any]:
    row: dict[str, Any] = stack.get(f"/api/transfers/{key}/").json()
    return row
