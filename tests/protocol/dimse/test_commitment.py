"""Storage commitment (SC-...) over real sockets: pynetdicom asks us, reports to us, is asked."""

from __future__ import annotations

import contextlib
import gc
import json
import queue
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.uid import generate_uid as new_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import CTImageStorage, StorageCommitmentPushModel

from tests.builders import ct_slice
from tests.protocol.dimse.conftest import ROOT, DimseServer, free_port

# Who has a row here, and the port it listens on. The others are strangers.
PORTS = {title: free_port() for title in ("CT3", "CT4", "CT5", "ARCHIVE")}
WELL_KNOWN = "1.2.840.10008.1.20.1.1"
pytestmark = pytest.mark.filterwarnings(
    # pynetdicom leaves sockets of ended associations to the garbage collector.
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module", autouse=True)
def _sockets_of_pynetdicom() -> Iterator[None]:
    """Collected here and not in somebody else's test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@dataclass
class Heard:
    """One N-EVENT-REPORT as a peer got it."""

    event_type: int
    raw: bytes
    implicit: bool
    calling: str
    requestor: bool
    well_known: bool

    @property
    def ds(self) -> Dataset:
        return read_dataset(BytesIO(self.raw), self.implicit, True)

    def uids(self, keyword: str) -> list[str]:
        return [each.ReferencedSOPInstanceUID for each in self.ds.get(keyword, [])]


class Peer:
    """A modality that asks for commitment, and listens for what it is told."""

    def __init__(self, title: str, syntax: str = ImplicitVRLittleEndian) -> None:
        self.title, self.port = title, PORTS.get(title, 0)
        self.heard: queue.Queue[Heard] = queue.Queue()
        self.answer = 0x0000
        self._entity = AE(ae_title=title)
        self._entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        self._entity.add_requested_context(StorageCommitmentPushModel, syntax)
        self._unanswered: list[Heard] = []
        self._handlers = [(evt.EVT_N_EVENT_REPORT, self._hear), (evt.EVT_PDU_SENT, self._sent)]
        self._server: Any = None

    def _hear(self, event: Any) -> tuple[int, None]:
        request = event.request
        self._unanswered.append(
            Heard(
                event.event_type,
                request.EventInformation.getvalue(),
                event.context.transfer_syntax == ImplicitVRLittleEndian,
                event.assoc.requestor.ae_title,
                event.assoc.is_requestor,
                (request.AffectedSOPClassUID, request.AffectedSOPInstanceUID)
                == (StorageCommitmentPushModel, WELL_KNOWN),
            )
        )
        return self.answer, None

    def _sent(self, _: Any) -> None:
        """Heard is what is answered too: a release before that would leave it unanswered."""
        while self._unanswered:
            self.heard.put(self._unanswered.pop(0))

    @contextlib.contextmanager
    def listening(self, *, scp_role: bool = True) -> Iterator[Peer]:
        listener = AE(ae_title=self.title)
        listener.add_supported_context(
            StorageCommitmentPushModel, scu_role=not scp_role, scp_role=scp_role
        )
        self._server = listener.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=self._handlers
        )
        try:
            yield self
        finally:
            self._server.shutdown()

    @contextlib.contextmanager
    def associated(self, server: DimseServer) -> Iterator[Any]:
        association = self._entity.associate(
            "127.0.0.1", server.port, ae_title="PACSWEB", evt_handlers=self._handlers
        )
        assert association.is_established
        try:
            yield association
        finally:
            association.release()

    def report(self, seconds: float = 15) -> Heard:
        return self.heard.get(timeout=seconds)


def request_of(*uids: str, transaction: str = "", sop_class: str = CTImageStorage) -> Dataset:
    ds = Dataset()
    ds.TransactionUID = transaction or new_uid()
    ds.ReferencedSOPSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        ds.ReferencedSOPSequence.append(item)
    return ds


def ask(association: Any, ds: Dataset, action: int = 1, instance: str = WELL_KNOWN) -> int:
    status, _ = association.send_n_action(ds, action, StorageCommitmentPushModel, instance)
    return int(status.Status)


def store(association: Any, count: int = 3) -> list[str]:
    uids = []
    for number in range(count):
        ds = ct_slice(number=number + 1)
        ds.file_meta = Dataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        assert association.send_c_store(ds).Status == 0
        uids.append(ds.SOPInstanceUID)
    return uids


PEERS = {
    title: {"host": "127.0.0.1", "port": port, "may_commit": title != "CT5"}
    for title, port in PORTS.items()
}


class Worker:
    def __init__(self, server: DimseServer) -> None:
        self._server = server
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._server.folder / "worker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.protocol.dimse.worker", json.dumps(PEERS)],
                cwd=ROOT,
                env=self._server.environment,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)


@pytest.fixture(scope="module")
def working(server: DimseServer) -> Iterator[DimseServer]:
    worker = Worker(server)
    worker.start()
    yield server
    worker.kill()
    log = (server.folder / "worker.log").read_text()
    assert "Traceback" not in log, log


def rows(server: DimseServer, statement: str, *values: object) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(server.database, timeout=10)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def top_level(raw: bytes, implicit: bool) -> list[tuple[int, bytes]]:
    """Tag and value, by hand: PS3.5 7.1.2 and 7.1.3, Little Endian, stated lengths."""
    found, at = [], 0
    while at < len(raw):
        group, element = struct.unpack_from("<HH", raw, at)
        if implicit or group == 0xFFFE:
            (length,), head = struct.unpack_from("<I", raw, at + 4), 8
        elif raw[at + 4 : at + 6] == b"SQ":
            (length,), head = struct.unpack_from("<I", raw, at + 8), 12
        else:
            (length,), head = struct.unpack_from("<H", raw, at + 6), 8
        found.append((group << 16 | element, raw[at + head : at + head + length]))
        at += head + length
    assert at == len(raw)
    return found


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_SC_01_the_promise_comes_after_the_answer_on_the_same_association(
    working: DimseServer, syntax: str
):
    peer = Peer("CT1", syntax)
    transaction = new_uid()
    with peer.associated(working) as association:
        uids = store(association)
        assert ask(association, request_of(*uids, transaction=transaction)) == 0x0000
        report = peer.report()
    assert (report.event_type, report.requestor, report.well_known) == (1, True, True)
    elements = top_level(report.raw, report.implicit)
    assert [tag for tag, _ in elements] == [0x00080054, 0x00081195, 0x00081199]
    assert elements[0][1] == b"PACSWEB "
    assert elements[1][1].rstrip(b"\0").decode() == transaction
    items = top_level(elements[2][1], report.implicit)
    assert [tag for tag, _ in items] == [0xFFFEE000] * 3
    for (_, item), uid in zip(items, uids, strict=True):
        (class_tag, sop_class), (uid_tag, value) = top_level(item, report.implicit)
        assert (class_tag, uid_tag) == (0x00081150, 0x00081155)
        assert sop_class.rstrip(b"\0").decode() == CTImageStorage
        assert value.rstrip(b"\0").decode() == uid
    kept = "SELECT state, reported_on FROM commitment_commitmentrequest WHERE transaction_uid = ?"
    expected = [("reported", "the association of the request")]
    working.wait_for(lambda: rows(working, kept, transaction) == expected)


def test_images_go_on_arriving_while_a_report_is_delivered(working: DimseServer):
    peer = Peer("CT1")
    with peer.associated(working) as association:
        uids = store(association, 1)
        assert ask(association, request_of(*uids)) == 0
        more = threading.Thread(target=peer.report)
        more.start()
        with Peer("CT2").associated(working) as other:
            store(other, 20)
        more.join(15)
        assert not more.is_alive()


def test_SC_05_on_a_new_association_in_the_SCP_role_under_the_title_that_was_asked(
    working: DimseServer,
):
    peer = Peer("CT3")
    with peer.listening():
        with peer.associated(working) as association:
            uids = store(association)
            assert ask(association, request_of(*uids, "1.2.3.4.5")) == 0
        report = peer.report()
    assert (report.event_type, report.requestor, report.calling) == (2, False, "PACSWEB")
    assert report.uids("ReferencedSOPSequence") == uids
    (failed,) = report.ds.FailedSOPSequence
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("1.2.3.4.5", 0x0112)


def test_SC_02_04_the_wrong_question_gets_the_right_status(working: DimseServer):
    peer = Peer("CT1")
    with peer.associated(working) as association:
        (uid,) = store(association, 1)
        assert ask(association, request_of(uid), instance="1.2.3") == 0x0112
        assert ask(association, request_of(uid), action=2) == 0x0123
        nothing = request_of(uid)
        del nothing.TransactionUID
        assert ask(association, nothing) == 0x0115
        assert ask(association, request_of()) == 0x0115
        asked = request_of(uid)
        assert ask(association, asked) == 0
        assert peer.report().ds.TransactionUID == asked.TransactionUID
        working.wait_for(
            lambda: rows(
                working,
                "SELECT 1 FROM commitment_commitmentrequest "
                "WHERE transaction_uid = ? AND state = 'reported'",
                asked.TransactionUID,
            )
        )
        assert ask(association, asked) == 0x0131


def test_SC_06_a_peer_that_refuses_our_role_is_told_to_the_administrator(working: DimseServer):
    peer = Peer("CT4")
    peer.answer = 0x0110
    with peer.listening(scp_role=False), peer.associated(working) as association:
        (uid,) = store(association, 1)
        asked = request_of(uid)
        assert ask(association, asked) == 0
        assert peer.report().event_type == 1
        working.wait_for(lambda: "SCP role" in _problem(working, asked), 10)


def _problem(server: DimseServer, asked: Dataset) -> str:
    statement = "SELECT problem FROM commitment_commitmentrequest WHERE transaction_uid = ?"
    return str(rows(server, statement, asked.TransactionUID)[0][0])


def test_who_may_not_ask_is_not_offered_the_service(working: DimseServer):
    entity = AE(ae_title="CT5")
    entity.add_requested_context(StorageCommitmentPushModel)

    def refused() -> bool:
        association = entity.associate("127.0.0.1", working.port, ae_title="PACSWEB")
        if association.is_established:
            association.release()
        return not association.accepted_contexts

    working.wait_for(refused)


def test_a_request_survives_a_crash_of_everything(own_server: DimseServer):
    """SC-06: kill -9 of receiver and worker between the answer and the report."""
    own_server.start()
    peer = Peer("CT3")
    with peer.associated(own_server) as association:
        uids = store(association, 2)
        assert ask(association, request_of(*uids)) == 0
        assert own_server.process is not None
        for pid in [*own_server.children(), own_server.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                subprocess.run(["kill", "-9", str(pid)], check=False)
        own_server.process.wait(10)
    worker = Worker(own_server)
    own_server.start()
    with peer.listening():
        worker.start()
        try:
            own_server.wait_for(lambda: bool(_verified(own_server)))
            # The dead association's claim runs out by itself; here at once.
            own_server.sql("UPDATE commitment_commitmentrequest SET association_until = NULL")
            report = peer.report()
        finally:
            worker.kill()
    assert report.event_type == 1
    assert report.uids("ReferencedSOPSequence") == uids


def _verified(server: DimseServer) -> list[tuple[Any, ...]]:
    return rows(server, "SELECT 1 FROM commitment_commitmentrequest WHERE state = 'verified'")


# --- we ask -------------------------------------------------------------------------------------


class Archive:
    """A peer that commits, on the same association or, role reversed, on one of its own."""

    def __init__(self, server: DimseServer, *, new_association: bool, missing: str = "") -> None:
        self.port = PORTS["ARCHIVE"]
        self._server, self._new_association, self._missing = server, new_association, missing
        self.statuses: queue.Queue[int] = queue.Queue()
        self._entity = AE(ae_title="ARCHIVE")
        self._entity.add_supported_context(StorageCommitmentPushModel)

    @contextlib.contextmanager
    def listening(self) -> Iterator[Archive]:
        handlers = [(evt.EVT_N_ACTION, self._asked)]
        running = self._entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=handlers
        )
        try:
            yield self
        finally:
            running.shutdown()

    def _asked(self, event: Any) -> tuple[int, None]:
        report = Dataset()
        asked = event.action_information
        report.TransactionUID = asked.TransactionUID
        good = [
            e for e in asked.ReferencedSOPSequence if e.ReferencedSOPInstanceUID != self._missing
        ]
        bad = [
            e for e in asked.ReferencedSOPSequence if e.ReferencedSOPInstanceUID == self._missing
        ]
        report.ReferencedSOPSequence = good
        for each in bad:
            each.FailureReason = 0x0213
        if bad:
            report.FailedSOPSequence = bad
        threading.Thread(target=self._tell, args=(event.assoc, report, bool(bad))).start()
        return 0x0000, None

    def _tell(self, association: Any, report: Dataset, failures: bool) -> None:
        if self._new_association:
            caller = AE(ae_title="ARCHIVE")
            caller.add_requested_context(StorageCommitmentPushModel)
            role = build_role(StorageCommitmentPushModel, scp_role=True)
            association = caller.associate(
                "127.0.0.1", self._server.port, ae_title="PACSWEB", ext_neg=[role]
            )
            granted = association.acceptor.role_selection[StorageCommitmentPushModel]
            assert granted.scp_role
            assert not granted.scu_role
        else:
            threading.Event().wait(0.3)  # our answer to the N-ACTION goes first
        status, _ = association.send_n_event_report(
            report, 2 if failures else 1, StorageCommitmentPushModel, WELL_KNOWN
        )
        self.statuses.put(status.get("Status", -1))
        if self._new_association:
            association.release()


@pytest.mark.parametrize("new_association", [False, True], ids=["same", "new"])
def test_we_ask_and_keep_what_the_peer_says(working: DimseServer, new_association: bool):
    with Peer("CT1").associated(working) as association:
        kept, missing = store(association, 2)
    stored = "SELECT count(*) FROM archive_instance WHERE sop_instance_uid IN (?, ?)"
    working.wait_for(lambda: rows(working, stored, kept, missing) == [(2,)])
    archive = Archive(working, new_association=new_association, missing=missing)
    with archive.listening():
        question = ["ARCHIVE", [(CTImageStorage, uid) for uid in (kept, missing)]]
        written = working.folder / "ask.new"
        written.write_text(json.dumps(question))
        written.rename(working.folder / "ask")
        assert archive.statuses.get(timeout=15) == 0
    inquiry = "SELECT state, instances, failed FROM commitment_commitmentinquiry ORDER BY id DESC"
    working.wait_for(lambda: rows(working, inquiry)[0] == ("failed", 2, 1))
    # Also where the report came before our own worker could write down that it had asked.
    asked = "SELECT asked_at <= answered_at FROM commitment_commitmentinquiry ORDER BY id DESC"
    working.wait_for(lambda: rows(working, asked)[0] == (1,))
    copied = rows(
        working,
        "SELECT i.sop_instance_uid, r.copied_to FROM archive_receipt r "
        "JOIN archive_instance i ON i.id = r.instance_id WHERE r.copied_to <> '' "
        "AND i.sop_instance_uid IN (?, ?)",
        kept,
        missing,
    )
    assert copied == [(kept, "ARCHIVE")]


def test_a_report_about_nothing_we_asked_is_refused(working: DimseServer):
    caller = AE(ae_title="ARCHIVE")
    caller.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    association = caller.associate("127.0.0.1", working.port, ae_title="PACSWEB", ext_neg=[role])
    assert association.is_established
    try:
        status, _ = association.send_n_event_report(
            request_of("1.2.3"), 1, StorageCommitmentPushModel, WELL_KNOWN
        )
        assert status.Status == 0x0115
        status, _ = association.send_n_event_report(
            request_of("1.2.3"), 7, StorageCommitmentPushModel, WELL_KNOWN
        )
        assert status.Status == 0x0113
    finally:
        association.release()


def test_SC_08_bytes_deleted_behind_the_index_are_not_promised(working: DimseServer):
    peer = Peer("CT1")
    with peer.associated(working) as association:
        uids = store(association, 2)
        statement = "SELECT blob_key FROM archive_instance WHERE sop_instance_uid = ?"
        working.wait_for(lambda: bool(rows(working, statement, uids[1])))
        key = rows(working, statement, uids[0])[0][0]
        (working.folder / "blobs" / Path(key)).unlink()
        assert ask(association, request_of(*uids)) == 0
        report = peer.report()
    assert report.event_type == 2
    assert report.uids("FailedSOPSequence") == [uids[0]]
    assert report.uids("ReferencedSOPSequence") == [uids[1]]
