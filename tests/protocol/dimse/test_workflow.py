"""Modality Worklist and MPPS over the wire, with DCMTK and pynetdicom as modalities."""

from __future__ import annotations

import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE

from apps.conformance import claims
from apps.conformance.document import Claim, Row, Section, Statement, Table
from apps.conformance.self_test import run
from apps.dicom import ups
from apps.dicom.data_sets import write_data_set
from apps.dicom.mpps import tag_of
from apps.dicom.worklist import TABLE as WORKLIST
from apps.network.associate_items import Remote
from tests.domain.worklist_rows import begun, data_set, ended, scheduled_item, wrong_entry
from tests.protocol.dimse import wire
from tests.protocol.dimse.conftest import DimseServer
from tests.protocol.dimse.wire import EXPLICIT

MWL = "1.2.840.10008.5.1.4.31"
MPPS = "1.2.840.10008.3.1.2.3.3"
MPPS_RETRIEVE = "1.2.840.10008.3.1.2.3.4"
STUDY = "1.2.3.4.5.6"

NAME = "Yamada^Tarou=山田^太郎=やまだ^たろう"

SEED = f"""
from tests.domain.worklist_rows import entry
entry(PatientName="{NAME}", PatientID="J1", StudyInstanceUID="{STUDY}", AccessionNumber="A1",
      RequestedProcedureID="RP1", ScheduledProcedureStepID="SP1")
entry(PatientName="Müller^Jörg", PatientID="D1", AccessionNumber="A2", Modality="MR",
      ScheduledStationAETitle="MR1", ScheduledProcedureStepID="SP2")
for number in range(40):
    entry(PatientID=f"N{{number:02}}", Modality="US", ScheduledProcedureStepID=f"US{{number:02}}")
"""


@pytest.fixture(scope="module")
def hospital(server: DimseServer) -> DimseServer:
    """The receiver, with a worklist."""
    done = server.manage("shell", "-v0", "-c", SEED)
    assert done.returncode == 0, done.stderr
    return server


@contextmanager
def associated(server: DimseServer, *classes: str) -> Iterator[Any]:
    """An association of pynetdicom's whose own reactor is kept out of the way.

    On a busy machine it now and then takes an answer off the queue that a request waits for.
    """
    entity = AE(ae_title="CT1")
    for each in classes:
        entity.add_requested_context(each)
    association = entity.associate("127.0.0.1", server.port, ae_title="PACSWEB")
    assert association.is_established
    reactor = association._reactor_checkpoint
    reactor.clear()
    time.sleep(0.05)
    server.wait_for(lambda: association._is_paused)
    association._reactor_checkpoint = threading.Event()
    try:
        yield association
        association.release()
    finally:
        reactor.set()


@pytest.fixture
def modality(hospital: DimseServer) -> Iterator[Any]:
    with associated(hospital, MWL, MPPS, MPPS_RETRIEVE) as association:
        yield association


def query(*, character_set: str = "", **keys: str) -> Dataset:
    asked = Dataset()
    if character_set:
        asked.SpecificCharacterSet = character_set.split("\\")
    step = Dataset()
    for each in ("ScheduledStationAETitle", "Modality", "ScheduledProcedureStepStartDate",
                 "ScheduledProcedureStepStartTime", "ScheduledPerformingPhysicianName",
                 "ScheduledProcedureStepID"):  # fmt: skip
        setattr(step, each, keys.pop(each, ""))
    asked.ScheduledProcedureStepSequence = [step]
    for each in ("PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID",
                 "RequestedProcedureID"):  # fmt: skip
        setattr(asked, each, keys.pop(each, ""))
    assert not keys
    return asked


def found(association: Any, asked: Dataset) -> tuple[list[Dataset], list[int]]:
    answers, statuses = [], []
    for status, identifier in association.send_c_find(asked, MWL):
        statuses.append(int(status.Status))
        if identifier is not None:
            answers.append(identifier)
    return answers, statuses


def as_sent(document: dict[str, Any]) -> Dataset:
    return Dataset.from_json(document)


# --- worklist -------------------------------------------------------------------------------------


@pytest.mark.stranger
def test_dcmtk_reads_the_worklist(hospital: DimseServer, tmp_path: Path) -> None:
    if not shutil.which("findscu"):
        pytest.skip("no findscu: install DCMTK")
    keys = ["(0040,0100)[0].Modality=CT", "(0040,0100)[0].ScheduledStationAETitle=CT1",
            "(0040,0100)[0].ScheduledProcedureStepStartDate=20240701-20240731",
            "(0040,0100)[0].ScheduledProcedureStepStartTime", "PatientName", "PatientID=J*",
            "StudyInstanceUID", "(0008,0005)=ISO_IR 192"]  # fmt: skip
    done = subprocess.run(
        ["findscu", "-W", "-aec", "PACSWEB", "-X", "-od", str(tmp_path),
         *(part for each in keys for part in ("-k", each)), "127.0.0.1", str(hospital.port)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (answer,) = tmp_path.glob("rsp*.dcm")
    shown = subprocess.run(
        ["dcmdump", "+U8", str(answer)], capture_output=True, text=True, check=True
    ).stdout
    assert "Yamada^Tarou=山田^太郎" in shown
    assert STUDY in shown
    assert shown.count("(fffe,e000)") == 1, "exactly one scheduled step"


def test_MWL_01_each_pending_has_one_step_and_all_answers_come_once(modality: Any) -> None:
    answers, statuses = found(modality, query(Modality="US"))
    assert statuses == [0xFF00] * 40 + [0x0000]
    assert all(len(each.ScheduledProcedureStepSequence) == 1 for each in answers)
    ids = [each.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID for each in answers]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize(
    ("asked", "patient", "name", "answered"),
    [
        ("ISO_IR 100", "D1", "Müller^Jörg", "ISO_IR 100"),
        ("", "D1", "Müller^Jörg", "ISO_IR 192"),
        ("ISO_IR 100", "J1", "Yamada^Tarou=山田^太郎=やまだ^たろう", "ISO_IR 192"),
        ("\\ISO 2022 IR 87", "J1", "Yamada^Tarou=山田^太郎=やまだ^たろう", ["", "ISO 2022 IR 87"]),
    ],
)
def test_answers_are_in_the_modalitys_character_set_if_that_has_every_letter(
    modality: Any, asked: str, patient: str, name: str, answered: object
) -> None:
    (answer,), _ = found(modality, query(character_set=asked, PatientID=patient))
    assert str(answer.PatientName) == name
    declared = answer.SpecificCharacterSet
    assert (declared if isinstance(declared, str) else list(declared)) == answered


def test_names_are_matched_in_the_modalitys_character_set(modality: Any) -> None:
    asked = query(character_set="\\ISO 2022 IR 87", PatientName="*=山田*")
    answers, _ = found(modality, asked)
    assert [each.PatientID for each in answers] == ["J1"]


def test_every_key_the_statement_claims_of_the_worklist_is_one(hospital: DimseServer) -> None:
    def tried(claimed: list[Claim]) -> dict[str, bool]:
        rows = tuple(Row((), claim) for claim in claimed)
        statement = Statement("", (Section("1", "", tables=(Table("", (), rows),)),))
        target = Remote("PACSWEB", "127.0.0.1", hospital.port, "CONFORMANCE")
        return {each.claim.id: each.passed for each in run(statement, target)}

    claimed = [claims.worklist_key(row) for row in WORKLIST]
    found = tried(claimed)
    assert len(found) == len(WORKLIST)
    assert all(found.values()), found
    more = Claim("worklist-key:Rows", "", "worklist-key", {"tag": 0x00280010, "in_step": False})
    assert not tried([*claimed, more])["worklist-key:Rows"]


def test_unknown_keys_are_admitted_and_wrong_ones_refused(modality: Any) -> None:
    asked = query(PatientID="J1")
    asked.Rows = 5
    answers, statuses = found(modality, asked)
    assert statuses == [0xFF01, 0x0000]
    assert "Rows" in answers[0]
    block = asked.private_block(0x0077, "ACME", create=True)
    block.add_new(0x01, "LO", "")
    (answer,), _ = found(modality, asked)
    assert not [each.tag for each in answer if each.tag.is_private]
    assert found(modality, query(ScheduledProcedureStepStartDate="soon"))[1] == [0xA900]


def test_FND_19_cancel_ends_a_worklist_query(modality: Any) -> None:
    # Tests before this one may have left entries, too.
    everything = [int(status.Status) for status, _ in modality.send_c_find(query(), MWL)]
    assert len(everything) > 40
    responses = modality.send_c_find(query(), MWL, msg_id=7)
    next(responses)
    modality.send_c_cancel(7, query_model=MWL)
    statuses = [int(status.Status) for status, _ in responses]
    # All may have been sent before the cancel came.
    assert statuses[-1] == 0xFE00 or statuses == everything[1:]
    assert set(statuses[:-1]) <= {0xFF00}


# --- MPPS -----------------------------------------------------------------------------------------


def test_MPP_05_another_character_set_adds_to_the_first(modality: Any) -> None:
    """PS3.4 F.7.2.2.3: what N-CREATE said keeps its letters; what is kept is Unicode."""
    first = as_sent(begun(data_set(StudyInstanceUID="1.2.9.5.1"), PatientID="J5"))
    first.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    first.PatientName = "Yamada^Tarou=山田^太郎"
    first.PerformedLocation = "検査室"
    assert modality.send_n_create(first, MPPS, "1.2.9.5")[0].Status == 0x0000
    letters = {"ISO_IR 100": "Schädel", "ISO_IR 144": "Череп", "ISO_IR 192": "頭部 Ö"}
    for character_set, text in letters.items():
        change = as_sent(data_set(PerformedProcedureStepDescription=text))
        change.SpecificCharacterSet = character_set
        assert modality.send_n_set(change, MPPS, "1.2.9.5")[0].Status == 0x0000
        asked = [0x00100010, 0x00400243, 0x00400254]
        status, kept = modality.send_n_get(asked, MPPS_RETRIEVE, "1.2.9.5")
        assert status.Status == 0x0000
        assert kept.SpecificCharacterSet == "ISO_IR 192"
        assert str(kept.PatientName) == "Yamada^Tarou=山田^太郎"
        assert kept.PerformedLocation == "検査室"
        assert kept.PerformedProcedureStepDescription == text


def test_MPP_the_life_of_a_step_over_the_wire(modality: Any, hospital: DimseServer) -> None:
    """N-CREATE, N-SET in progress, N-GET, N-SET completed; and what is refused on the way."""
    reference = data_set(StudyInstanceUID=STUDY, AccessionNumber="A1",
                         RequestedProcedureID="RP1", ScheduledProcedureStepID="SP1")  # fmt: skip
    first = as_sent(begun(reference, PatientID="J1"))
    first.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    first.PatientName = "Yamada^Tarou=山田^太郎"
    status, _ = modality.send_n_create(first, MPPS, "1.2.9.1")
    assert status.Status == 0x0000
    assert found(modality, query(PatientID="J1"))[0] == [], "MWL-03: it left the list"

    status, _ = modality.send_n_create(first, MPPS, "1.2.9.1")
    assert status.Status == 0x0111

    change = as_sent(data_set(PerformedProcedureStepDescription="Schädel", Modality="MR"))
    change.SpecificCharacterSet = "ISO_IR 100"
    status, _ = modality.send_n_set(change, MPPS, "1.2.9.1")
    assert status.Status == 0x0107
    assert status.AttributeIdentifierList == 0x00080060

    status, kept = modality.send_n_get(
        [0x00100010, 0x00400254, 0x00080060], MPPS_RETRIEVE, "1.2.9.1"
    )
    assert status.Status == 0x0000
    assert kept.SpecificCharacterSet == "ISO_IR 192"
    assert str(kept.PatientName) == "Yamada^Tarou=山田^太郎"
    assert (kept.PerformedProcedureStepDescription, kept.Modality) == ("Schädel", "CT")

    status, _ = modality.send_n_set(as_sent(ended("1.2.4", "1.2.5")), MPPS, "1.2.9.1")
    assert status.Status == 0x0000
    again = as_sent(data_set(PerformedProcedureStepDescription="x"))
    status, _ = modality.send_n_set(again, MPPS, "1.2.9.1")
    assert (status.Status, status.ErrorID) == (0x0110, 0xA710)
    assert status.ErrorComment == "Performed Procedure Step Object may no longer be updated"
    answers, _ = found(modality, query(PatientID="J1"))
    assert answers == []
    assert "Yamada" not in hospital.log()


def created(server: DimseServer, sent: bytes, uid: str) -> tuple[dict[int, bytes], bytes]:
    """An N-CREATE by hand: the library drops lists and UIDs of responses."""
    command = {"e0002": MPPS, "e0100": 0x0140, "e0110": 5, "e0800": 1}
    encoded = wire.command(**command, **({"e1000": uid} if uid else {}))
    with server.wire() as peer:
        peer.associate([wire.context(1, MPPS, EXPLICIT)], calling=b"CT1")
        peer.send(wire.p_data(wire.pdv(1, 3, encoded)) + wire.p_data(wire.pdv(1, 2, sent)))
        answer = peer.response()
        body = b"" if answer[0x0800] == b"\x01\x01" else peer.pdu()[1]
        peer.release()
    return answer, body


@pytest.mark.parametrize(
    ("changes", "expected", "shown"),
    [
        ({"PerformedProcedureStepStatus": "COMPLETED"}, 0x0106, b"COMPLETED"),
        ({"Modality": None}, 0x0120, b""),
        ({"Modality": ""}, 0x0121, b""),
    ],
)
def test_MPP_01_what_is_wrong_with_a_step_is_said_with_its_attributes(
    hospital: DimseServer, changes: dict[str, Any], expected: int, shown: bytes
) -> None:
    sent = write_data_set(begun(scheduled_item(None, "1.2.77"), **changes), EXPLICIT)
    answer, body = created(hospital, sent, "1.2.9.2")
    assert wire.status(answer) == expected
    tag = int(tag_of(next(iter(changes))), 16)
    assert answer[0x1005] == struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    assert shown in body, "the Attribute List holds the wrong value"
    assert bool(shown) == bool(body)


def test_a_step_nobody_began_cannot_be_set_or_read(modality: Any) -> None:
    status, _ = modality.send_n_set(as_sent(ended("1.2.4", "1")), MPPS, "1.2.9.2")
    assert status.Status == 0x0112
    status, _ = modality.send_n_get([0x00100010], MPPS_RETRIEVE, "1.2.9.2")
    assert status.Status == 0x0112


def test_a_uid_is_minted_for_a_step_without_one(modality: Any, hospital: DimseServer) -> None:
    sent = write_data_set(begun(scheduled_item(None, "1.2.78"), PatientID="U1"), EXPLICIT)
    answer, _ = created(hospital, sent, "")
    assert wire.status(answer) == 0x0000
    uid = answer[0x1000].rstrip(b"\0").decode()
    assert uid.startswith("2.25.")
    reason = {"PerformedProcedureStepDiscontinuationReasonCodeSequence": wrong_entry()}
    final = as_sent(ended("", status="DISCONTINUED", **reason))
    status, _ = modality.send_n_set(final, MPPS, uid)
    assert status.Status == 0x0000
    status, kept = modality.send_n_get([0x00400252, 0x00180015], MPPS_RETRIEVE, uid)
    assert (status.Status, kept.PerformedProcedureStepStatus) == (0x0001, "DISCONTINUED")


# --- unified procedure steps ----------------------------------------------------------------------


def test_UPS_a_work_item_is_pushed_found_taken_and_completed(hospital: DimseServer) -> None:
    """One association with three SOP Classes, as a workstation has them; pynetdicom as SCU."""
    with associated(hospital, ups.PUSH, ups.PULL, ups.WATCH) as workstation:
        _life_of_a_work_item(workstation)


def _life_of_a_work_item(workstation: Any) -> None:
    uid, key = "1.2.9.300", "2.25.77"
    pushed = as_sent(data_set(
        ScheduledProcedureStepPriority="HIGH", ProcedureStepLabel="Segment",
        ScheduledProcedureStepStartDateTime="20240705100000", InputReadinessState="READY",
        ProcedureStepState="SCHEDULED", PatientID="UPS1", PatientName="Müller^Jörg",
    ))  # fmt: skip
    assert workstation.send_n_create(pushed, ups.PUSH, uid)[0].Status == 0x0000
    assert workstation.send_n_create(pushed, ups.PUSH, uid)[0].Status == 0x0111

    asked = Dataset()
    asked.PatientID, asked.ProcedureStepState, asked.SOPInstanceUID = "UPS1", "SCHEDULED", ""
    asked.PatientName, asked.TransactionUID = "", ""
    answers = [
        (int(status.Status), answer) for status, answer in workstation.send_c_find(asked, ups.PULL)
    ]
    assert [each for each, _ in answers] == [0xFF01, 0x0000]
    assert (answers[0][1].SOPInstanceUID, str(answers[0][1].PatientName)) == (uid, "Müller^Jörg")
    assert "TransactionUID" not in answers[0][1]

    def act(number: int, abstract: str, **values: str) -> int:
        information = as_sent(data_set(**values))
        status, _ = workstation.send_n_action(information, number, ups.PUSH, uid, meta_uid=abstract)
        return int(status.Status)

    def change(**values: Any) -> int:
        sent = as_sent(data_set(**values))
        return int(workstation.send_n_set(sent, ups.PUSH, uid, meta_uid=ups.PULL)[0].Status)

    assert act(1, ups.PULL, ProcedureStepState="IN PROGRESS", TransactionUID=key) == 0x0000
    assert act(1, ups.PULL, ProcedureStepState="COMPLETED", TransactionUID="2.25.78") == 0xC301
    assert act(1, ups.PULL, ProcedureStepState="COMPLETED", TransactionUID=key) == 0xC304
    assert act(1, ups.PULL, ProcedureStepState="SCHEDULED", TransactionUID=key) == 0xC303
    assert act(1, ups.PUSH, ProcedureStepState="COMPLETED", TransactionUID=key) == 0x0123
    assert act(3, ups.WATCH, ReceivingAE="NOBODY", DeletionLock="FALSE") == 0xC308
    assert change(ProcedureStepLabel="x") == 0xC301
    code = data_set(CodeValue="W", CodingSchemeDesignator="99X", CodeMeaning="W")
    done = data_set(
        PerformedStationNameCodeSequence=[code], PerformedWorkitemCodeSequence=[code],
        PerformedProcedureStepStartDateTime="20240705", OutputInformationSequence=[],
        PerformedProcedureStepEndDateTime="20240705",
    )  # fmt: skip
    assert (
        change(UnifiedProcedureStepPerformedProcedureSequence=[done], TransactionUID=key) == 0x0000
    )
    status, kept = workstation.send_n_get([], ups.PUSH, uid, meta_uid=ups.WATCH)
    assert (status.Status, kept.ProcedureStepState) == (0x0000, "IN PROGRESS")
    assert "TransactionUID" not in kept
    assert act(1, ups.PULL, ProcedureStepState="COMPLETED", TransactionUID=key) == 0x0000
    assert act(1, ups.PULL, ProcedureStepState="COMPLETED", TransactionUID=key) == 0xB306
    assert act(2, ups.WATCH, ContactDisplayName="Doc") == 0xC311
    assert workstation.send_n_get([], ups.PUSH, "1.2.9.301", meta_uid=ups.WATCH)[0].Status == 0xC307


def test_who_may_not_is_refused_each_service_on_its_own(hospital: DimseServer) -> None:
    done = hospital.manage("ae", "add", "NOMPPS", "127.0.0.1", "104", "--no-may-mpps")
    assert done.returncode == 0, done.stderr

    def accepted() -> list[str]:
        entity = AE(ae_title="NOMPPS")
        entity.add_requested_context(MWL)
        entity.add_requested_context(MPPS)
        association = entity.associate("127.0.0.1", hospital.port, ae_title="PACSWEB")
        names = [str(each.abstract_syntax) for each in association.accepted_contexts]
        association.release()
        return names

    hospital.wait_for(lambda: accepted() == [MWL])
