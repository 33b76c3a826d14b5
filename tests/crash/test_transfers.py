"""kill -9 of the worker in the middle of a transfer: finished by another, counters exact."""

from __future__ import annotations

import time

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE

from tests.builders import ct_slice, new_uid
from tests.protocol.dicomweb_archive import Archive
from tests.protocol.test_move import MOVE, Sink, counts
from tests.servers import free_port
from tests.stack import Stack

pytestmark = pytest.mark.crash
SLICES = 30


def test_a_c_move_survives_its_worker(own_stack: Stack) -> None:
    own_stack.start()
    sink = Sink("SLOW", free_port(), delay=0.1)
    own_stack.manage("ae", "add", sink.title, "127.0.0.1", str(sink.port))
    study, series = new_uid(), new_uid()
    made = [ct_slice(study=study, series=series, number=n + 1) for n in range(SLICES)]
    assert Archive(own_stack).store(*made).status_code == 200
    server = sink.start()
    try:
        ae = AE(ae_title="MOVER")
        ae.dimse_timeout = 90
        ae.add_requested_context(MOVE)
        association = ae.associate("127.0.0.1", own_stack.dicom_port, ae_title="PACSWEB")
        keys = Dataset()
        keys.QueryRetrieveLevel, keys.StudyInstanceUID = "STUDY", study
        responses = association.send_c_move(keys, sink.title, MOVE)
        while len(sink.came) < SLICES // 3:
            time.sleep(0.02)
        own_stack.kill("worker-transfer")
        final = [status for status, _ in responses][-1]
        association.release()
    finally:
        server.shutdown()
    assert final.Status == 0
    assert counts(final) == (SLICES, 0, 0)
    came = [str(each.AffectedSOPInstanceUID) for each in sink.came]
    assert set(came) == {each.SOPInstanceUID for each in made}
    # What was sent in the last half second before the end was not written down.
    assert len(came) <= SLICES + 8
