"""C-MOVE SCP and the transfers behind it, against real Storage SCPs (PS3.4 C.4.2)."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelMove

from tests.builders import ct_slice, new_uid
from tests.protocol.dicomweb_archive import Archive
from tests.servers import free_port
from tests.stack import Stack

MOVE = StudyRootQueryRetrieveInformationModelMove
SLICES = 6


@dataclass
class Sink:
    """A Storage SCP that remembers what came and answers as told."""

    title: str
    port: int = field(default_factory=free_port)
    syntaxes: tuple[str, ...] = (ExplicitVRLittleEndian,)
    status: int = 0
    delay: float = 0.0
    fail: frozenset[str] = frozenset()
    refusal: int = 0xC000
    warn: frozenset[str] = frozenset()
    abort_at: str = ""
    came: list[Any] = field(default_factory=list)
    associations: int = 0
    goes_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.goes_on.set()

    def start(self) -> Any:
        ae = AE(ae_title=self.title)
        ae.add_supported_context(CTImageStorage, list(self.syntaxes))
        return ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=self.handlers())

    def handlers(self) -> list[Any]:
        """What answers; for a server of other classes too."""
        return [(evt.EVT_C_STORE, self._store), (evt.EVT_ACCEPTED, self._accepted)]

    def _accepted(self, _event: Any) -> None:
        self.associations += 1

    def _store(self, event: Any) -> int:
        time.sleep(self.delay)
        self.goes_on.wait(60)
        uid = str(event.request.AffectedSOPInstanceUID)
        if uid == self.abort_at:
            event.assoc.abort()
            return 0
        self.came.append(event.request)
        if uid in self.fail:
            return self.refusal
        return 0xB000 if uid in self.warn else self.status


@pytest.fixture(scope="module")
def study(stack: Stack, archive: Archive) -> list[Dataset]:
    uid, series = new_uid(), new_uid()
    made = [ct_slice(study=uid, series=series, number=n + 1) for n in range(SLICES)]
    assert archive.store(*made).status_code == 200
    return made


@pytest.fixture(scope="module")
def ports(stack: Stack) -> dict[str, int]:
    """AE titles that pacsweb knows, and where they listen when a test starts them."""
    found = {f"SINK{number}": free_port() for number in range(8)}
    script = "from apps.network.models import ApplicationEntity as A\n" + "\n".join(
        f"A.objects.create(title={title!r}, host='127.0.0.1', port={port})"
        for title, port in found.items()
    )
    stack.manage("shell", "-c", script)
    return found


@pytest.fixture
def sink(ports: dict[str, int], request: pytest.FixtureRequest) -> Iterator[Sink]:
    title, options = request.param
    made = Sink(title, ports[title], **options)
    server = made.start()
    yield made
    server.shutdown()


Told = tuple[Dataset, Dataset | None]


def moving(
    stack: Stack, destination: str, study_uid: str, *, cancel_after: int = 0
) -> Iterator[Told]:
    """Responses as they come."""
    ae = AE(ae_title="MOVER")
    ae.add_requested_context(MOVE)
    association = ae.associate("127.0.0.1", stack.dicom_port, ae_title=stack.ae_title)
    assert association.is_established
    keys = Dataset()
    keys.QueryRetrieveLevel, keys.StudyInstanceUID = "STUDY", study_uid
    responses = association.send_c_move(keys, destination, MOVE, msg_id=77)
    for came, response in enumerate(responses, start=1):
        yield response
        if cancel_after == came:
            association.send_c_cancel(77, query_model=MOVE)
    association.release()


def move(stack: Stack, destination: str, study_uid: str, *, cancel_after: int = 0) -> list[Told]:
    """All responses, the last one last."""
    return list(moving(stack, destination, study_uid, cancel_after=cancel_after))


def counts(response: Dataset) -> tuple[int, ...]:
    """Completed, failed, warning."""
    return (
        response.NumberOfCompletedSuboperations,
        response.NumberOfFailedSuboperations,
        response.NumberOfWarningSuboperations,
    )


@pytest.mark.parametrize("sink", [("SINK0", {})], indirect=True)
def test_MOV_01_success_has_no_number_of_remaining(
    stack: Stack, study: list[Dataset], sink: Sink
) -> None:
    ((final, identifier),) = move(stack, "SINK0", study[0].StudyInstanceUID)
    assert final.Status == 0
    assert counts(final) == (SLICES, 0, 0)
    assert "NumberOfRemainingSuboperations" not in final
    assert identifier is None
    assert sink.associations == 1
    assert [str(each.AffectedSOPInstanceUID) for each in sink.came] == [
        each.SOPInstanceUID for each in study
    ]


@pytest.mark.parametrize("sink", [("SINK0", {})], indirect=True)
def test_STO_08_the_originator_is_named_where_there_is_one(
    stack: Stack, study: list[Dataset], sink: Sink
) -> None:
    """PS3.7 9.1.1.1: AE title and Message ID of the C-MOVE; a sending of our own has neither."""
    move(stack, "SINK0", study[0].StudyInstanceUID)
    moved, sink.came = sink.came, []
    assert {str(each.MoveOriginatorApplicationEntityTitle) for each in moved} == {"MOVER"}
    assert {each.MoveOriginatorMessageID for each in moved} == {77}
    asked = {"peer": "SINK0", "studies": [study[0].StudyInstanceUID]}
    answer = requests.post(stack.url("/api/transfers/"), json=asked, auth=stack.auth, timeout=30)
    assert answer.status_code == 201
    stack.wait_until(lambda: len(sink.came) == SLICES)
    assert {each.MoveOriginatorApplicationEntityTitle for each in sink.came} == {None}
    assert {each.MoveOriginatorMessageID for each in sink.came} == {None}


@pytest.mark.parametrize("sink", [("SINK0", {})], indirect=True)
def test_MOV_12_whoever_waits_hears_of_us_though_nothing_goes_on(
    stack: Stack, study: list[Dataset], sink: Sink
) -> None:
    """The destination does not answer its first instance until three pendings have come."""
    sink.goes_on.clear()
    told = []
    try:
        for response, _ in moving(stack, "SINK0", study[0].StudyInstanceUID):
            told.append(response)
            if len(told) == 3:
                sink.goes_on.set()
    finally:
        sink.goes_on.set()
    waiting = told[:3]
    assert {each.Status for each in waiting} == {0xFF00}
    assert {each.NumberOfRemainingSuboperations for each in waiting} == {SLICES}
    assert {counts(each) for each in waiting} == {(0, 0, 0)}
    assert (told[-1].Status, counts(told[-1])) == (0, (SLICES, 0, 0))


@pytest.mark.parametrize("sink", [("SINK4", {"delay": 0.35})], indirect=True)
def test_MOV_04_the_counters_add_up_in_every_response(
    stack: Stack, study: list[Dataset], sink: Sink
) -> None:
    """Completed counts successes alone; the four are the total, the final one's three as well."""
    sink.fail = frozenset({study[0].SOPInstanceUID})
    sink.warn = frozenset({study[1].SOPInstanceUID, study[2].SOPInstanceUID})
    responses = [each for each, _ in move(stack, "SINK4", study[0].StudyInstanceUID)]
    assert len(responses) > 1
    for response in responses[:-1]:
        assert sum(counts(response)) + response.NumberOfRemainingSuboperations == SLICES
    assert counts(responses[-1]) == (SLICES - 3, 1, 2)


def test_MOV_05_unknown_destination_and_one_that_is_away(
    stack: Stack, study: list[Dataset], ports: dict[str, int]
) -> None:
    ((final, _),) = move(stack, "NOBODY", study[0].StudyInstanceUID)
    assert final.Status == 0xA801
    responses = move(stack, "SINK7", study[0].StudyInstanceUID)
    final, identifier = responses[-1]
    assert final.Status == 0xA702
    assert counts(final) == (0, SLICES, 0)
    assert identifier is not None
    assert len(identifier.FailedSOPInstanceUIDList) == SLICES


def test_MOV_06_nothing_matches_and_nobody_is_called(stack: Stack, ports: dict[str, int]) -> None:
    with socket.create_server(("127.0.0.1", ports["SINK6"])) as listener:
        ((final, _),) = move(stack, "SINK6", "1.2.3.4.5.999")
        listener.settimeout(0.3)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert final.Status == 0
    assert counts(final) == (0, 0, 0)


@pytest.mark.parametrize("sink", [("SINK1", {"status": 0x0111})], indirect=True)
def test_STO_07_a_duplicate_is_a_warning(stack: Stack, study: list[Dataset], sink: Sink) -> None:
    final, identifier = move(stack, "SINK1", study[0].StudyInstanceUID)[-1]
    assert final.Status == 0xB000
    assert counts(final) == (0, 0, SLICES)
    assert not identifier


@pytest.mark.parametrize("sink", [("SINK2", {})], indirect=True)
def test_MOV_03_failures_are_listed(stack: Stack, study: list[Dataset], sink: Sink) -> None:
    sink.fail = frozenset({study[1].SOPInstanceUID})
    sink.abort_at = study[3].SOPInstanceUID
    final, identifier = move(stack, "SINK2", study[0].StudyInstanceUID)[-1]
    assert final.Status == 0xB000
    assert counts(final) == (SLICES - 2, 2, 0)
    assert identifier is not None
    assert set(identifier.FailedSOPInstanceUIDList) == {*sink.fail, sink.abort_at}
    assert len(sink.came) == SLICES - 1


@pytest.mark.parametrize(
    "sink", [("SINK3", {"syntaxes": (ImplicitVRLittleEndian,)})], indirect=True
)
def test_MOV_08_what_is_refused_is_rewritten(
    stack: Stack, study: list[Dataset], sink: Sink
) -> None:
    final, _ = move(stack, "SINK3", study[0].StudyInstanceUID)[-1]
    assert final.Status == 0
    assert len(sink.came) == SLICES


@pytest.mark.parametrize("sink", [("SINK4", {"delay": 0.35})], indirect=True)
def test_MOV_11_cancel_ends_it_with_what_was_sent(
    stack: Stack, study: list[Dataset], sink: Sink
) -> None:
    responses = move(stack, "SINK4", study[0].StudyInstanceUID, cancel_after=1)
    final, _ = responses[-1]
    for response, _ in responses[:-1]:
        assert response.Status == 0xFF00
        assert sum(counts(response)) + response.NumberOfRemainingSuboperations == SLICES
    assert final.Status == 0xFE00
    assert final.NumberOfCompletedSuboperations < SLICES
    assert sum(counts(final)) + final.NumberOfRemainingSuboperations == SLICES
    sent = len(sink.came)
    time.sleep(0.8)
    assert len(sink.came) == sent


@pytest.mark.parametrize("sink", [("SINK5", {"delay": 0.1})], indirect=True)
def test_a_transfer_survives_its_requester(stack: Stack, study: list[Dataset], sink: Sink) -> None:
    ae = AE(ae_title="LEAVER")
    ae.add_requested_context(MOVE)
    association = ae.associate("127.0.0.1", stack.dicom_port, ae_title=stack.ae_title)
    keys = Dataset()
    keys.QueryRetrieveLevel, keys.StudyInstanceUID = "STUDY", study[0].StudyInstanceUID
    association.send_c_move(keys, "SINK5", MOVE, msg_id=5)
    while not sink.came:
        time.sleep(0.02)
    association.abort()
    until = time.monotonic() + 15
    while len(sink.came) < SLICES:
        assert time.monotonic() < until
        time.sleep(0.05)
