"""C-GET SCP over real associations (PS3.4 C.4.3), rules MOV-*."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    PatientRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelGet,
)

from tests.builders import ct_slice, new_uid, part10
from tests.protocol.dimse import wire
from tests.protocol.dimse.archive import INDEX, store, three_studies
from tests.protocol.dimse.conftest import DimseServer
from tests.protocol.dimse.test_find import find
from tests.protocol.dimse.test_find import query as find_keys
from tests.protocol.dimse.wire import EXPLICIT, context

STUDY_ROOT = StudyRootQueryRetrieveInformationModelGet
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
MR = str(MRImageStorage)


@pytest.fixture(scope="module")
def studies() -> list[Dataset]:
    return three_studies()


@pytest.fixture(scope="module")
def compressed() -> Dataset:
    """A study whose one instance is stored in JPEG 2000."""
    ds = ct_slice(size=32, PatientID="J2K")
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    return ds


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory,
    migrated_database: Path,
    studies: list[Dataset],
    compressed: Dataset,
) -> Iterator[DimseServer]:
    running = DimseServer(tmp_path_factory.mktemp("get"), migrated_database)
    try:
        running.start()
        store(running, studies)
        file = running.folder / "j2k.dcm"
        file.write_bytes(part10(compressed, JPEG2000Lossless))
        sent = subprocess.run(
            ["storescu", "-xv", "-aec", "PACSWEB", "127.0.0.1", str(running.port), str(file)],
            check=False,
        )
        assert sent.returncode == 0
        assert "stored=1" in running.manage("shell", "-c", INDEX).stdout
        yield running
    finally:
        running.stop()
    assert not running.faults(), running.log()


def retrieve(
    server: DimseServer,
    keys: dict[str, Any],
    *,
    model: Any = STUDY_ROOT,
    syntaxes: tuple[str, ...] = (ExplicitVRLittleEndian,),
    store_status: int = 0,
    with_role: bool = True,
) -> tuple[list[Dataset], list[tuple[Dataset, Dataset | None]]]:
    """What came, and the responses with their identifiers."""
    came: list[Dataset] = []

    def handle(event: Any) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        came.append(dataset)
        return store_status

    ae = AE()
    ae.add_requested_context(model)
    ae.add_requested_context(CTImageStorage, list(syntaxes))
    roles = [build_role(CTImageStorage, scp_role=True)] if with_role else []
    association = ae.associate(
        "127.0.0.1",
        server.port,
        ae_title="PACSWEB",
        ext_neg=roles,
        evt_handlers=[(evt.EVT_C_STORE, handle)],
    )
    assert association.is_established
    identifier = Dataset()
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    try:
        return came, list(association.send_c_get(identifier, model))
    finally:
        association.release()


def test_a_study_comes_back_as_it_was(archive: DimseServer, studies: list[Dataset]) -> None:
    study = studies[4].StudyInstanceUID
    came, responses = retrieve(archive, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study})
    sent = {each.SOPInstanceUID: each for each in studies if each.StudyInstanceUID == study}
    assert len(came) == len(sent) == 4
    for each in came:
        original = Dataset(sent[each.SOPInstanceUID])
        assert dict(each) == dict(original)
    final, identifier = responses[-1]
    assert final.Status == 0
    assert identifier is None
    assert "NumberOfRemainingSuboperations" not in final
    assert final.NumberOfCompletedSuboperations == 4
    assert (final.NumberOfFailedSuboperations, final.NumberOfWarningSuboperations) == (0, 0)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_MOV_08_what_the_peer_refused_is_decoded(
    archive: DimseServer, compressed: Dataset, syntax: str
) -> None:
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": compressed.StudyInstanceUID}
    (came,), responses = retrieve(archive, keys, syntaxes=(syntax,))
    assert responses[-1][0].Status == 0
    assert came.file_meta.TransferSyntaxUID == syntax
    assert (came.pixel_array == compressed.pixel_array).all()
    assert came.PatientName == compressed.PatientName
    assert len(came) == len(compressed)


def test_the_stored_syntax_goes_out_untouched(archive: DimseServer, compressed: Dataset) -> None:
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": compressed.StudyInstanceUID}
    (came,), _ = retrieve(archive, keys, syntaxes=(JPEG2000Lossless,))
    assert came.PixelData == compressed.PixelData


def test_MOV_02_all_warned_is_B000_and_MOV_03_without_a_list(
    archive: DimseServer, studies: list[Dataset]
) -> None:
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": studies[0].StudyInstanceUID}
    _, responses = retrieve(archive, keys, store_status=0xB007)
    final, identifier = responses[-1]
    assert final.Status == 0xB000
    assert final.NumberOfWarningSuboperations == 4
    assert not identifier


def test_MOV_02_all_failed_is_A702_and_MOV_03_names_them(
    archive: DimseServer, studies: list[Dataset]
) -> None:
    study = studies[0].StudyInstanceUID
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study}
    _, responses = retrieve(archive, keys, store_status=0xA700)
    final, identifier = responses[-1]
    assert final.Status == 0xA702
    assert final.NumberOfFailedSuboperations == 4
    assert identifier is not None
    assert set(identifier.FailedSOPInstanceUIDList) == {
        each.SOPInstanceUID for each in studies if each.StudyInstanceUID == study
    }


def test_MOV_10_without_the_role_instances_fail_and_the_association_lives(
    archive: DimseServer, studies: list[Dataset]
) -> None:
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": studies[0].StudyInstanceUID}
    came, responses = retrieve(archive, keys, with_role=False)
    assert not came
    assert responses[-1][0].Status == 0xA702


def test_MOV_06_nothing_matches(archive: DimseServer) -> None:
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3.999"}
    came, responses = retrieve(archive, keys)
    assert not came
    assert responses[-1][0].Status == 0
    assert responses[-1][0].NumberOfCompletedSuboperations == 0


def test_lists_of_uids_at_the_level_and_one_above(
    archive: DimseServer, studies: list[Dataset]
) -> None:
    one = studies[0]
    keys = {
        "QueryRetrieveLevel": "IMAGE",
        "StudyInstanceUID": one.StudyInstanceUID,
        "SeriesInstanceUID": one.SeriesInstanceUID,
        "SOPInstanceUID": [one.SOPInstanceUID, studies[1].SOPInstanceUID],
    }
    came, _ = retrieve(archive, keys)
    assert {each.SOPInstanceUID for each in came} == set(keys["SOPInstanceUID"])


@pytest.mark.parametrize(
    ("keys", "offending"),
    [
        ({"QueryRetrieveLevel": "STUDY"}, 0x0020000D),
        ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""}, 0x0020000D),
        ({"QueryRetrieveLevel": "PATIENT", "PatientID": "P*"}, 0x00100020),
        ({"QueryRetrieveLevel": "PATIENT", "PatientID": "P0\\P1"}, 0x00100020),
        ({"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": "1.2"}, 0x00100020),
    ],
)
def test_MOV_09_the_unique_key_must_say_what(
    archive: DimseServer, keys: dict[str, Any], offending: int
) -> None:
    model = (
        PatientRootQueryRetrieveInformationModelGet
        if "PatientID" in keys or keys["QueryRetrieveLevel"] == "SERIES"
        else STUDY_ROOT
    )
    came, responses = retrieve(archive, keys, model=model)
    assert not came
    assert responses[-1][0].Status == 0xA900
    assert offending in _offending(responses[-1][0])


def _offending(response: Dataset) -> list[int]:
    named = response.OffendingElement
    return [int(each) for each in named] if hasattr(named, "__iter__") else [int(named)]


def test_MOV_09_a_patient(archive: DimseServer, studies: list[Dataset]) -> None:
    model = PatientRootQueryRetrieveInformationModelGet
    came, _ = retrieve(archive, {"QueryRetrieveLevel": "PATIENT", "PatientID": "P1"}, model=model)
    assert {each.PatientID for each in came} == {"P1"}
    assert len(came) == 4


def test_a_blob_that_is_gone_is_one_failure(
    archive: DimseServer, studies: list[Dataset], tmp_path: Path
) -> None:
    study = studies[8].StudyInstanceUID
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study}
    victim = next(
        path
        for path in (archive.folder / "blobs").rglob("*")
        if path.is_file() and studies[8].SOPInstanceUID.encode() in path.read_bytes()
    )
    shutil.move(victim, tmp_path / "kept")
    try:
        came, responses = retrieve(archive, keys)
    finally:
        shutil.move(tmp_path / "kept", victim)
    final, identifier = responses[-1]
    assert final.Status == 0xB000
    assert (final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (3, 1)
    assert len(came) == 3
    assert identifier is not None
    assert identifier.FailedSOPInstanceUIDList == studies[8].SOPInstanceUID


def test_cancel_stops_before_the_next_instance(
    archive: DimseServer, studies: list[Dataset]
) -> None:
    get = str(STUDY_ROOT)
    uid = get.encode()
    role = wire.item(0x54, len(str(CTImageStorage)).to_bytes(2, "big")
                     + str(CTImageStorage).encode() + b"\0\1")  # fmt: skip
    study = studies[0].StudyInstanceUID
    asked = wire.explicit(0x00080052, b"CS", b"STUDY ")
    asked += wire.explicit(0x0020000D, b"UI", study.encode() + b"\0" * (len(study) % 2))
    assert uid
    with archive.wire() as peer:
        peer.associate(
            [context(1, get, EXPLICIT), context(3, str(CTImageStorage), EXPLICIT)],
            users=wire.user_information(extra=role),
        )
        command = wire.command(e0002=get, e0100=0x0010, e0110=9, e0700=0, e0800=1)
        cancel = wire.command(e0100=0x0FFF, e0120=9, e0800=0x0101)
        peer.send(wire.p_data(wire.pdv(1, 3, command), wire.pdv(1, 2, asked)))
        first = peer.response()
        assert first[0x0100] == b"\1\0"
        number = int.from_bytes(first[0x0110], "little")
        while not _last_data_fragment(peer):
            pass
        peer.send(wire.p_data(wire.pdv(1, 3, cancel)))
        answer = wire.command(
            e0002=str(CTImageStorage), e0100=0x8001, e0120=number, e0800=0x0101, e0900=0,
            e1000=first[0x1000].rstrip(b"\0").decode(),
        )  # fmt: skip
        peer.send(wire.p_data(wire.pdv(3, 3, answer)))
        final = peer.response()
        assert wire.status(final) == 0xFE00
        assert final[0x1021] == b"\1\0"
        assert final[0x1020] == b"\3\0"
        peer.release()


def _last_data_fragment(peer: wire.Wire) -> bool:
    kind, body = peer.pdu()
    assert kind == 4
    last = False
    while body:
        length = int.from_bytes(body[:4], "big")
        last = bool(body[5] & 2)
        body = body[4 + length :]
    return last


def test_MOV_13_a_view_that_was_not_negotiated_changes_nothing(
    archive: DimseServer, studies: list[Dataset]
) -> None:
    """PS3.4 C.4.2.3.2, C.4.3.3.2: without the option the SCP does what it does without the key."""
    one = studies[0]
    keys = {"QueryRetrieveLevel": "SERIES", "QueryRetrieveView": "ENHANCED",
            "StudyInstanceUID": one.StudyInstanceUID,
            "SeriesInstanceUID": one.SeriesInstanceUID}  # fmt: skip
    came, responses = retrieve(archive, keys)
    assert responses[-1][0].Status == 0
    assert [each.SOPClassUID for each in came] == [CTImageStorage] * 2
    del keys["SeriesInstanceUID"]
    _, responses = retrieve(archive, keys)
    assert responses[-1][0].Status == 0xA900, "the level still needs its unique key"
    assert _offending(responses[-1][0]) == [0x0020000E]
    asked = find_keys(StudyInstanceUID=one.StudyInstanceUID, QueryRetrieveView="ENHANCED")
    (answer,), statuses = find(archive, asked)
    assert [each.Status for each in statuses] == [0xFF00, 0x0000]
    assert "QueryRetrieveView" not in answer


@pytest.mark.parametrize(("uid", "asked"), [(str(STUDY_ROOT), b"\1\1"), (MOVE, b"\0\1")])
def test_MOV_13_enhanced_conversion_is_not_agreed_to(
    archive: DimseServer, uid: str, asked: bytes
) -> None:
    item = wire.item(0x56, len(uid).to_bytes(2, "big") + uid.encode() + asked)
    with archive.wire() as peer:
        users = wire.user_information(extra=item)
        accepted = peer.associate([context(1, uid, EXPLICIT)], users=users)
        (answer,) = accepted.user_items[0x56]
        assert answer[-2:] == asked[:1] + b"\0"
        peer.release()


def test_MOV_07_more_than_a_counter_holds_is_refused(archive: DimseServer) -> None:
    """The counters are US (PS3.7 E.1): 65,536 instances are not begun to be sent."""
    study = _huge_study(archive, 65_536)
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study}
    came, ((final, identifier),) = retrieve(archive, keys)
    assert final.Status == 0xA701
    assert "65535" in final.ErrorComment
    assert not came
    assert not identifier
    assert archive.manage("ae", "add", "HUGE", "127.0.0.1", "104").returncode == 0
    ae = AE()
    ae.add_requested_context(MOVE)
    association = ae.associate("127.0.0.1", archive.port, ae_title="PACSWEB")
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", study
    ((final, _),) = association.send_c_move(identifier, "HUGE", MOVE)
    association.release()
    assert final.Status == 0xA701
    with sqlite3.connect(archive.database) as database:
        assert database.execute("SELECT count(*) FROM transfers_transfer").fetchone() == (0,)
    database.close()


def _huge_study(server: DimseServer, count: int) -> str:
    """Rows alone: a study of so many instances, copied from one that is there."""
    with sqlite3.connect(server.database, timeout=20) as database:
        study, series = _copied(database, "archive_study"), _copied(database, "archive_series")
        database.execute("UPDATE archive_series SET study_id = ? WHERE id = ?", (study, series))
        columns = _columns(database, "archive_instance")
        values = {"sop_instance_uid": "'1.2.7.' || n", "study_id": str(study),
                  "series_id": str(series), "blob_key": "'none/' || n"}  # fmt: skip
        database.execute(
            "WITH RECURSIVE numbers(n) AS"
            " (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"
            f" INSERT INTO archive_instance ({', '.join(columns)})"
            f" SELECT {', '.join(values.get(name, name) for name in columns)} FROM numbers,"
            " (SELECT * FROM archive_instance LIMIT 1)",
            (count,),
        )
    database.close()
    return "1.2.7"


def _copied(database: sqlite3.Connection, table: str) -> int:
    """A copy of its first row, under a UID of its own; its key."""
    columns = _columns(database, table)
    own = ["'1.2.7'" if name in {"study_instance_uid", "series_instance_uid"} else name
           for name in columns]  # fmt: skip
    done = database.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(own)} FROM {table} LIMIT 1"
    )
    return int(done.lastrowid or 0)


def _columns(database: sqlite3.Connection, table: str) -> list[str]:
    rows = database.execute(f"PRAGMA table_info({table})").fetchall()
    return [name for _, name, *_ in rows if name != "id"]


def test_a_class_that_was_not_proposed_fails(archive: DimseServer) -> None:
    other = ct_slice(study=new_uid(), SOPClassUID=MR, Modality="MR")
    file = archive.folder / "mr.dcm"
    file.write_bytes(part10(other))
    sent = subprocess.run(
        ["storescu", "-aec", "PACSWEB", "127.0.0.1", str(archive.port), str(file)], check=False
    )
    assert sent.returncode == 0
    archive.manage("shell", "-c", INDEX)
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": other.StudyInstanceUID}
    came, responses = retrieve(archive, keys)
    assert not came
    assert responses[-1][0].Status == 0xA702
