"""From order to announced images on the running product: REST, worklist, MPPS, C-STORE, notice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import requests
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt

from tests.builders import CT_IMAGE_STORAGE, ct_slice, part10
from tests.domain.worklist_rows import begun, data_set, ended
from tests.servers import free_port
from tests.stack import Stack

MWL = "1.2.840.10008.5.1.4.31"
MPPS = "1.2.840.10008.3.1.2.3.3"
AVAILABILITY = "1.2.840.10008.5.1.4.33"


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.2)
    return found


class Ris:
    """A system that is told: MPPS in order, then that the images are here."""

    def __init__(self) -> None:
        self.port = free_port()
        self.got: list[tuple[str, Dataset]] = []
        entity = AE(ae_title="E2ERIS")
        for uid in (MPPS, AVAILABILITY):
            entity.add_supported_context(uid)
        handlers = [(evt.EVT_N_CREATE, self._created), (evt.EVT_N_SET, self._set)]
        self.server = entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=handlers
        )

    def _created(self, event: Any) -> tuple[int, None]:
        kind = "mpps" if event.request.AffectedSOPClassUID == MPPS else "notice"
        self.got.append((kind, event.attribute_list))
        return 0x0000, None

    def _set(self, event: Any) -> tuple[int, None]:
        self.got.append(("set", event.modification_list))
        return 0x0000, None


def modality(stack: Stack) -> Any:
    entity = AE(ae_title="E2ECT")
    for uid in (MWL, MPPS):
        entity.add_requested_context(uid)
    entity.add_requested_context(CT_IMAGE_STORAGE, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", stack.dicom_port, ae_title=stack.ae_title)
    assert association.is_established
    # On a busy machine the library's own reactor takes answers that its requests wait for.
    reactor = association._reactor_checkpoint
    reactor.clear()
    time.sleep(0.1)
    wait_for(lambda: association._is_paused)
    association._reactor_checkpoint = threading.Event()
    association.reactor = reactor
    return association


def test_an_order_becomes_images_that_the_ris_hears_of(stack: Stack) -> None:
    ris = Ris()
    done = stack.manage("ae", "add", "E2ERIS", "127.0.0.1", str(ris.port))
    assert done.returncode == 0, done.stderr
    done = stack.manage("shell", "-v0", "-c", (
        "from apps.worklist.models import WorkflowPeer\n"
        "from apps.network.models import ApplicationEntity\n"
        "WorkflowPeer.objects.create(application_entity=ApplicationEntity.objects.get("
        "title='E2ERIS'), forward_mpps=True, notify_availability=True)"
    ))  # fmt: skip
    assert done.returncode == 0, done.stderr
    scanner = modality(stack)
    try:
        _examine(stack, scanner, ris)
        scanner.release()
    finally:
        scanner.reactor.set()
        ris.server.shutdown()


def _examine(stack: Stack, scanner: Any, ris: Ris) -> None:
    api = stack.url("/api/worklist")
    ordered = requests.post(f"{api}/entries/", auth=stack.auth, timeout=30, json={"attributes": {
        "PatientName": "End^To^End", "PatientID": "E2E", "AccessionNumber": "E2E1",
        "Modality": "CT", "ScheduledStationAETitle": "E2ECT",
        "ScheduledProcedureStepStartDate": "20240705", "ScheduledProcedureStepStartTime": "1000",
    }})  # fmt: skip
    assert ordered.status_code == 201, ordered.text
    entry = ordered.json()

    asked = Dataset()
    asked.PatientID, asked.StudyInstanceUID, asked.AccessionNumber = "E2E", "", ""
    asked.RequestedProcedureID = ""
    step = Dataset()
    step.ScheduledStationAETitle, step.ScheduledProcedureStepID = "E2ECT", ""
    asked.ScheduledProcedureStepSequence = [step]
    (found,) = [each for _, each in scanner.send_c_find(asked, MWL) if each is not None]
    study = found.StudyInstanceUID
    assert study == entry["attributes"]["StudyInstanceUID"]

    reference = data_set(
        StudyInstanceUID=study, AccessionNumber="E2E1",
        RequestedProcedureID=found.RequestedProcedureID,
        ScheduledProcedureStepID=found.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID,
    )  # fmt: skip
    begin = Dataset.from_json(begun(reference, PatientID="E2E", PatientName="End^To^End"))
    assert scanner.send_n_create(begin, MPPS, "1.2.9.77.1")[0].Status == 0x0000

    image = ct_slice(study=study, PatientID="E2E", PatientName="End^To^End", AccessionNumber="E2E1")
    final = Dataset.from_json(ended(image.SeriesInstanceUID, image.SOPInstanceUID))
    assert scanner.send_n_set(final, MPPS, "1.2.9.77.1")[0].Status == 0x0000
    url = f"{api}/performed-steps/1.2.9.77.1/"
    performed = requests.get(url, auth=stack.auth, timeout=30).json()
    assert (performed["expected"], performed["missing"]) == (1, 1)

    part10(image)  # gives it File Meta Information
    assert scanner.send_c_store(image).Status == 0x0000
    wait_for(lambda: len(ris.got) >= 3)
    assert [kind for kind, _ in ris.got] == ["mpps", "set", "notice"]
    told = ris.got[2][1].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert told.ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert requests.get(url, auth=stack.auth, timeout=30).json()["missing"] == 0

    def linked() -> list[str]:
        row = requests.get(f"{api}/entries/{entry['id']}/", auth=stack.auth, timeout=30).json()
        assert row["status"] == "COMPLETED"
        return list(row["studies"])

    assert wait_for(linked) == [study]
