"""kill -9 of the worker in the middle of a storage commitment (PS3.4 J.3): one report, once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.uid import generate_uid as new_uid

from tests.builders import ct_slice
from tests.protocol.dimse.conftest import DimseServer
from tests.protocol.dimse.test_commitment import Peer, Worker, ask, request_of, rows

pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"  # as in test_commitment
)
PATIENCE = 120.0  # a crowded machine starts a worker slowly
STORED = 8
UNKNOWN = 2000  # two parts of the request; what is stored is in the third
REQUEST = "SELECT state, verified, failed, leased_until FROM commitment_commitmentrequest"
POLICY = (
    "INSERT OR REPLACE INTO commitment_commitmentpolicy (id, verify_rate, report_for_days,"
    " answer_within_hours, keep_days, check_new, scrub, scrub_every_days, scrub_rate)"
    " VALUES (1, ?, 14, 24, 365, 0, 0, 30, 20)"
)


class SlowPeer(Peer):
    """Keeps whoever reports to it waiting for the answer, until `answers` is set."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.answers = threading.Event()

    def _hear(self, event: Any) -> tuple[int, None]:
        outcome = super()._hear(event)
        self._sent(event)  # it is heard now, and answered later
        self.answers.wait(PATIENCE)
        return outcome


def request(server: DimseServer) -> tuple[Any, ...]:
    return rows(server, REQUEST)[0]


RECEIPTS = "SELECT count(*) FROM archive_receipt WHERE committed_at IS NOT NULL"


@contextlib.contextmanager
def working(server: DimseServer) -> Iterator[Worker]:
    """A worker that does not outlive the block."""
    worker = Worker(server)
    worker.start()
    try:
        yield worker
    finally:
        worker.kill()


def killed(server: DimseServer, worker: Worker) -> None:
    """Dead, and its lease has run out: it does by itself after 90 s."""
    worker.kill()
    assert request(server)[3] is not None
    server.sql("UPDATE commitment_commitmentrequest SET leased_until = NULL")


def test_SC_06_the_worker_dies_while_it_reads_and_again_while_it_reports(
    own_server: DimseServer,
) -> None:
    own_server.start()
    own_server.sql(POLICY, 1)  # 1 MB/s: slow enough to be met in the middle
    peer = SlowPeer("CT3")
    with peer.associated(own_server) as association:
        stored = store_large(association)
        unknown = [new_uid() for _ in range(UNKNOWN)]
        assert ask(association, request_of(*unknown, *stored)) == 0
    with working(own_server) as worker:
        own_server.wait_for(lambda: request(own_server)[1] == UNKNOWN, PATIENCE)
        killed(own_server, worker)
    state, verified, failed, _ = request(own_server)
    assert (state, verified, failed) == ("received", UNKNOWN, UNKNOWN)

    own_server.sql(POLICY, 1000)
    with peer.listening():
        with working(own_server) as worker:
            first = peer.report(PATIENCE)
            killed(own_server, worker)  # the peer has the report, and nobody its answer
        assert request(own_server)[0] == "verified"
        peer.answers.set()
        with working(own_server):
            second = peer.report(PATIENCE)
            own_server.wait_for(lambda: request(own_server)[0] == "reported", PATIENCE)
            own_server.wait_for(lambda: rows(own_server, RECEIPTS) == [(STORED,)], PATIENCE)
            assert peer.heard.empty()
    assert first.raw == second.raw
    assert second.event_type == 2
    assert second.uids("ReferencedSOPSequence") == stored
    assert second.uids("FailedSOPSequence") == unknown
    assert {each.FailureReason for each in second.ds.FailedSOPSequence} == {0x0112}
    assert request(own_server)[:3] == ("reported", UNKNOWN + STORED, UNKNOWN)
    told = rows(own_server, "SELECT payload FROM events_event WHERE kind = 'CommitmentReported'")
    assert len(told) == 1


def store_large(association: Any) -> list[str]:
    """Half a megabyte each."""
    made = [ct_slice(number=number + 1, size=512) for number in range(STORED)]
    for ds in made:
        ds.ensure_file_meta()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        assert association.send_c_store(ds).Status == 0
    return [ds.SOPInstanceUID for ds in made]
