"""kill -9 of the worker in the middle of transfers: finished by another, counters exact."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import pydicom
import pytest
import requests
from pydicom.dataset import Dataset
from pynetdicom import AE

from tests.builders import ct_slice, new_uid
from tests.protocol.dicomweb_archive import Archive
from tests.protocol.odd_web_archive import SECRET, USER, OddWebArchive, serving
from tests.protocol.test_move import MOVE, Sink, counts
from tests.servers import free_port, listening
from tests.stack import Stack

pytestmark = pytest.mark.crash
SLICES = 30
# Before its half second was over, a worker may have sent this many that it did not write down.
UNWRITTEN = 12
# One more request than the one that is answered in time (`apps.transfers.web_sending`).
AT_ONCE, SENT_BY_WEB = 50, 56


def test_MOV_04_a_c_move_and_a_sending_survive_their_worker(own_stack: Stack) -> None:
    """One job serves a C-MOVE, the other sends to DCMTK; both are half done when it dies.

    So are a fetch from an archive that speaks DICOMweb, and a sending there.
    """
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
        web = ByWeb(own_stack, ends.enter_context(serving()))
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
        web.begin()
        own_stack.wait_until(
            lambda: (
                len(sink.came) >= SLICES // 3
                and len(list(folder.iterdir())) >= SLICES // 4
                and web.half_done()
            )
        )
        assert len(list(folder.iterdir())) < SLICES
        own_stack.kill("worker-transfer")
        web.killed()
        told = list(responses)
        association.release()
        own_stack.wait_until(lambda: transfer(own_stack, sent["id"])["state"] == "succeeded", 60)
        web.check()
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


class ByWeb:
    """A study that comes from an archive that speaks DICOMweb, and one that goes there."""

    def __init__(self, stack: Stack, port: int) -> None:
        self.stack = stack
        stack.manage(
            "shell", "-c",
            "from apps.network.models import WebArchive as W; W.objects.create(name='far',"
            f"url='http://127.0.0.1:{port}/base', user='{USER}', secret='{SECRET}')",
        )  # fmt: skip
        self.patient, self.goes = new_uid()[-12:], new_uid()
        OddWebArchive.manner[self.patient] = "takes the first"
        series = new_uid()
        made = [
            ct_slice(study=self.goes, series=series, number=n + 1, PatientID=self.patient)
            for n in range(SENT_BY_WEB)
        ]
        assert Archive(stack).store(*made).status_code == 200
        self.comes = OddWebArchive.new_study("half", images=SLICES)
        self.asked = OddWebArchive.asked[self.comes]

    def begin(self) -> None:
        OddWebArchive.go.clear()
        self.fetch = self._post("fetch/", {"keys": {"StudyInstanceUID": self.comes}})
        self.send = self._post("", {"studies": [self.goes]})

    def _post(self, path: str, asked: dict[str, Any]) -> int:
        url = self.stack.url(f"/api/transfers/{path}")
        asked = {"archive": "far", **asked}
        answer = requests.post(url, json=asked, auth=self.stack.auth, timeout=30)
        return int(answer.json()["id"])

    def here(self) -> set[str]:
        rows = self.stack.get(f"/dicom-web/studies/{self.comes}/instances")
        return {each["00080018"]["Value"][0] for each in rows.json()} if rows.ok else set()

    def half_done(self) -> bool:
        sent = transfer(self.stack, self.send)["completed"]
        return sent == AT_ONCE and len(self.here()) >= SLICES // 4

    def killed(self) -> None:
        """What is here by now is not asked for again."""
        self.came = self.here()
        assert len(self.came) < SLICES
        self.asked.clear()
        OddWebArchive.go.set()

    def check(self) -> None:
        for key, total in ((self.fetch, SLICES), (self.send, SENT_BY_WEB)):
            self.stack.wait_until(lambda key=key: transfer(self.stack, key)["state"] == "succeeded")
            row = transfer(self.stack, key)
            assert (row["total"], row["completed"], row["attempts"]) == (total, total, 2), row
        there = {each.SOPInstanceUID for each in OddWebArchive.studies[self.comes]}
        self.stack.wait_until(lambda: self.here() == there)
        single = [path.rsplit("/", 1)[1] for path in self.asked if "/instances/" in path]
        assert not set(single) & self.came
        assert f"/studies/{self.comes}" not in self.asked
        report = self.stack.manage("shell", "-c", TOLD.format(study=self.comes)).stdout
        assert report.splitlines()[-1] == f"{SLICES} {SLICES} 0"
        stored = [each for each in OddWebArchive.stored if each.PatientID == self.patient]
        times = Counter(int(each.InstanceNumber) for each in stored)
        assert set(times) == set(range(1, SENT_BY_WEB + 1))
        assert {number for number, count in times.items() if count > 1} <= set(
            range(AT_ONCE + 1, SENT_BY_WEB + 1)
        )


TOLD = """
from apps.events.models import Event
from apps.ingest.models import QuarantinedInstance
told = [uid for event in Event.objects.filter(kind="InstancesStored",
        study_instance_uid="{study}") for uid in event.payload["sop_instance_uids"]]
print(len(told), len(set(told)), QuarantinedInstance.objects.count())
"""


def transfer(stack: Stack, key: int) -> dict[str, Any]:
    row: dict[str, Any] = stack.get(f"/api/transfers/{key}/").json()
    return row
