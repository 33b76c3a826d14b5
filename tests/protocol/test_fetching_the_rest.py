"""A fetch that was cut short goes on with what is missing, and with nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from tests.builders import ct_slice, new_uid
from tests.protocol.dicomweb_archive import Archive
from tests.servers import free_port
from tests.stack import Stack

IMAGES = 5


class Source:
    """An archive with one study. The first `fails` retrievals end after two instances.

    While `go` is not set nothing follows those two.
    """

    def __init__(self, destination: int) -> None:
        self.title = "SOURCE"
        self.port = free_port()
        self.study, self.series = new_uid(), new_uid()
        self.made = [
            ct_slice(study=self.study, series=self.series, number=number + 1)
            for number in range(IMAGES)
        ]
        self.fails = 0
        self.go = threading.Event()
        self.go.set()
        self.moved: list[Dataset] = []
        self._destination = destination

    def start(self) -> Any:
        ae = AE(ae_title="SOURCE")
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        ae.add_supported_context(StudyRootQueryRetrieveInformationModelMove)
        ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        handlers = [(evt.EVT_C_FIND, self._find), (evt.EVT_C_MOVE, self._move)]
        return ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset]]:
        level = event.identifier.QueryRetrieveLevel
        assert event.identifier.StudyInstanceUID == self.study
        for each in self.made if level == "IMAGE" else self.made[:1]:
            ds = Dataset()
            ds.QueryRetrieveLevel = level
            ds.StudyInstanceUID, ds.SeriesInstanceUID = self.study, self.series
            if level == "IMAGE":
                ds.SOPInstanceUID = each.SOPInstanceUID
            yield 0xFF00, ds

    def _move(self, event: Any) -> Iterator[Any]:
        self.moved.append(event.identifier)
        wanted = event.identifier.get("SOPInstanceUID") or [e.SOPInstanceUID for e in self.made]
        wanted = [wanted] if isinstance(wanted, str) else list(wanted)
        yield "127.0.0.1", self._destination
        yield len(wanted)
        for place, each in enumerate(e for e in self.made if e.SOPInstanceUID in wanted):
            if place == 2:
                assert self.go.wait(120)
            if self.fails and place == 2:
                self.fails -= 1
                failed = Dataset()
                failed.FailedSOPInstanceUIDList = wanted[2:]
                yield 0xA702, failed
                return
            each.file_meta = FileMetaDataset()
            each.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            yield 0xFF00, each


@pytest.fixture(scope="module")
def source(stack: Stack) -> Iterator[Source]:
    made = Source(stack.dicom_port)
    stack.manage("ae", "add", "SOURCE", "127.0.0.1", str(made.port))
    server = made.start()
    yield made
    server.shutdown()


def test_the_rest_of_a_study_is_asked_for_by_its_instances(
    stack: Stack, archive: Archive, source: Source
) -> None:
    source.fails = 1

    def call(method: str, path: str, **options: Any) -> Any:
        url = stack.url("/api" + path)
        return requests.request(method, url, auth=stack.auth, timeout=30, **options).json()

    asked = {"peer": "SOURCE", "keys": {"StudyInstanceUID": source.study}}
    path = f"/transfers/{call('POST', '/transfers/fetch/', json=asked)['id']}/"
    stack.wait_until(lambda: bool(call("GET", path)["message"]))
    row = call("GET", path)
    assert (row["state"], row["completed"], row["failed"]) == ("waiting", 2, 3)
    assert row["message"] == "SOURCE could not send 3 of the instances."
    here = f"/studies/?uid={source.study}"

    def count() -> int:
        rows = call("GET", here)["studies"]
        return int(rows[0]["NumberOfStudyRelatedInstances"]) if rows else 0

    stack.wait_until(lambda: count() == 2)
    call("POST", path + "retry/")
    stack.wait_until(lambda: count() == IMAGES)
    stack.wait_until(lambda: call("GET", path)["state"] == "succeeded")
    whole, rest = source.moved
    assert whole.QueryRetrieveLevel == "STUDY"
    assert (rest.QueryRetrieveLevel, rest.SeriesInstanceUID) == ("IMAGE", source.series)
    assert list(rest.SOPInstanceUID) == [each.SOPInstanceUID for each in source.made[2:]]
    row = call("GET", path)
    assert (row["total"], row["completed"], row["failed"]) == (3, 3, 0)
