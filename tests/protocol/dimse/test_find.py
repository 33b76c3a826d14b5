"""C-FIND SCP over real associations (PS3.4 C.4.1), rules FND-*."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    PatientStudyOnlyQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from tests.protocol.dimse import wire
from tests.protocol.dimse.archive import MANY_PATIENTS, store, three_studies
from tests.protocol.dimse.conftest import DimseServer
from tests.protocol.dimse.wire import EXPLICIT, STUDY_ROOT_FIND, context

PATIENT_ROOT = PatientRootQueryRetrieveInformationModelFind
STUDY_ROOT = StudyRootQueryRetrieveInformationModelFind
STUDY_ROOT_GET = StudyRootQueryRetrieveInformationModelGet
STUDY_ROOT_MOVE = StudyRootQueryRetrieveInformationModelMove
MANY = 20_000


@pytest.fixture(scope="module")
def studies() -> list[Dataset]:
    return three_studies()


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory, migrated_database: Path, studies: list[Dataset]
) -> Iterator[DimseServer]:
    running = DimseServer(tmp_path_factory.mktemp("find"), migrated_database)
    try:
        running.start()
        store(running, studies)
        done = running.manage("shell", "-c", MANY_PATIENTS.format(count=MANY))
        assert done.returncode == 0, done.stderr
        yield running
    finally:
        running.stop()
    assert not running.faults(), running.log()


def query(**keys: Any) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


def find(
    server: DimseServer,
    identifier: Dataset,
    model: Any = STUDY_ROOT,
    options: bytes = b"",
    syntax: str = EXPLICIT,
) -> tuple[list[Dataset], list[Any]]:
    """Answers, and the statuses from the first to the last."""
    ae = AE()
    ae.add_requested_context(model, syntax)
    items = []
    if options:
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid = model
        item.service_class_application_information = options
        items.append(item)
    association = ae.associate("127.0.0.1", server.port, ae_title="PACSWEB", ext_neg=items)
    assert association.is_established
    try:
        found = list(association.send_c_find(identifier, model))
    finally:
        association.release()
    answers = [answer for _, answer in found if answer is not None]
    return answers, [status for status, _ in found]


def names(answers: list[Dataset]) -> list[str]:
    return sorted(str(each.PatientName) for each in answers)


def test_FND_01_zero_length_keys_are_matched_by_all_and_returned(archive: DimseServer) -> None:
    answers, statuses = find(
        archive, query(PatientName="", AccessionNumber="A*", StudyDescription="")
    )
    assert len(answers) == 3
    assert {each.StudyDescription for each in answers} == {"Head"}
    assert [each.Status for each in statuses] == [0xFF00] * 3 + [0]


def test_FND_22_level_ae_title_availability_and_character_set(archive: DimseServer) -> None:
    keys = query(PatientName="", PatientID="P1", InstanceAvailability="")
    (answer,), _ = find(archive, keys)
    assert answer.QueryRetrieveLevel == "STUDY"
    assert answer.RetrieveAETitle == "PACSWEB"
    assert answer.InstanceAvailability == "ONLINE"
    assert answer.SpecificCharacterSet == "ISO_IR 192"
    assert answer.PatientName.ideographic == "山田^太郎"
    plain, _ = find(archive, query(PatientName="", PatientID="P2"))
    assert "SpecificCharacterSet" not in plain[0]
    assert set(plain[0].keys()) == {0x00080052, 0x00080054, 0x00100010, 0x00100020, 0x0020000D}


@pytest.mark.parametrize(
    ("terms", "name", "answered"),
    [
        ("ISO_IR 100", "Müller*", "ISO_IR 100"),
        ("ISO_IR 192", "müller*", "ISO_IR 192"),
        (["", "ISO 2022 IR 87"], "*=山田*", ["", "ISO 2022 IR 87"]),
    ],
)
def test_FND_22_answers_come_in_the_querier_s_character_set(
    archive: DimseServer, terms: Any, name: str, answered: Any
) -> None:
    keys = query(PatientName="", PatientID="P*")
    keys.SpecificCharacterSet = terms
    keys.PatientName = name
    (answer,), _ = find(archive, keys)
    assert answer.SpecificCharacterSet == answered
    assert str(answer.PatientName).partition("=")[0] in {"Müller^Jörg", "Yamada^Tarou"}


def test_FND_22_a_set_without_the_letters_gives_way_to_unicode(archive: DimseServer) -> None:
    keys = query(PatientName="", PatientID="P1")
    keys.SpecificCharacterSet = "ISO_IR 100"
    (answer,), _ = find(archive, keys)
    assert answer.SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.parametrize("syntax", [wire.IMPLICIT, wire.EXPLICIT, wire.BIG_ENDIAN])
def test_answers_in_every_plain_transfer_syntax(
    archive: DimseServer, studies: list[Dataset], syntax: str
) -> None:
    keys = query(
        QueryRetrieveLevel="IMAGE",
        StudyInstanceUID=studies[0].StudyInstanceUID,
        SeriesInstanceUID=studies[0].SeriesInstanceUID,
        SOPInstanceUID="",
        Rows=None,
        InstanceNumber="",
        PixelSpacing="",
    )
    answers, statuses = find(archive, keys, syntax=syntax)
    assert sorted(each.InstanceNumber for each in answers) == [1, 2]
    assert {each.Rows for each in answers} == {16}
    assert {tuple(each.PixelSpacing) for each in answers} == {(0.5, 0.5)}
    assert statuses[0].Status == 0xFF00


def test_FND_06_component_groups_match_on_their_own(archive: DimseServer) -> None:
    answers, _ = find(
        archive, query(PatientName="yamada*=山田*=", SpecificCharacterSet="ISO_IR 192")
    )
    assert len(answers) == 1


def test_FND_08_date_and_time_are_independent_unless_negotiated(archive: DimseServer) -> None:
    keys = {"StudyDate": "20240105-20240107", "StudyTime": "100000-140000", "PatientName": ""}
    apart, _ = find(archive, query(**keys, PatientID="P*"))
    assert len(apart) == 1
    combined, _ = find(archive, query(**keys, PatientID="P*"), options=b"\0\1\0\0\0")
    assert len(combined) == 1  # 5 January 0900 is before the interval, 7 January 2300 behind it
    assert names(combined) == names(apart)
    wide = {"StudyDate": "20240105-20240107", "StudyTime": "080000-020000", "PatientName": ""}
    combined, _ = find(archive, query(**wide, PatientID="P*"), options=b"\0\1\0\0\0")
    assert len(combined) == 2


def test_FND_11_a_timezone_counts_only_when_negotiated(archive: DimseServer) -> None:
    keys = query(PatientID="P2", StudyDate="", TimezoneOffsetFromUTC="+0100")
    (answer,), _ = find(archive, keys)
    assert "TimezoneOffsetFromUTC" not in answer
    (answer,), _ = find(archive, keys, options=b"\0\0\0\1\0")
    assert answer.TimezoneOffsetFromUTC == "+0100"


def test_extended_negotiation_answers_only_what_we_can(archive: DimseServer) -> None:
    uid = STUDY_ROOT_FIND.encode()
    asked = len(uid).to_bytes(2, "big") + uid + b"\1\1\1\1\1\1\1\1"
    with archive.wire() as peer:
        accepted = peer.associate(
            [context(1, STUDY_ROOT_FIND, EXPLICIT)],
            users=wire.user_information(extra=wire.item(0x56, asked)),
        )
        peer.release()
    assert accepted.user_items[0x56] == [asked[:-8] + b"\1\1\1\1\0\1\1"]


def test_what_has_no_value_and_all_of_several_when_negotiated(archive: DimseServer) -> None:
    # Of the three: there are thousands of others, and none of them adds anything here.
    nobody = query(PatientID="P*", PatientName="", ReferringPhysicianName='""')
    everybody = names(find(archive, query(PatientID="P*", PatientName=""))[0])
    assert len(everybody) == 3
    assert not find(archive, nobody)[0]
    assert names(find(archive, nobody, options=b"\0\0\0\0\0\1")[0]) == everybody
    several = query(PatientID="P*", ModalitiesInStudy=["CT", "XX"])
    assert find(archive, several)[0]
    assert not find(archive, several, options=b"\0\0\0\0\0\0\1")[0]


def test_names_that_sound_alike_when_negotiated(archive: DimseServer) -> None:
    assert not find(archive, query(PatientName="Smyth^Jon"))[0]
    answers, _ = find(archive, query(PatientName="Smyth^Jon"), options=b"\0\0\1")
    assert names(answers) == ["Smith^John"]


def test_FND_12_a_list_of_uids(archive: DimseServer, studies: list[Dataset]) -> None:
    uids = [studies[0].StudyInstanceUID, studies[-1].StudyInstanceUID, "1.2.999"]
    answers, _ = find(archive, query(StudyInstanceUID=uids))
    assert sorted(each.StudyInstanceUID for each in answers) == sorted(uids[:2])


def test_FND_13_a_sequence_key_has_one_item(archive: DimseServer) -> None:
    keys = query(ProcedureCodeSequence=[Dataset(), Dataset()])
    _, statuses = find(archive, keys)
    assert statuses[-1].Status == 0xA900
    assert statuses[-1].OffendingElement == 0x00081032


@pytest.mark.parametrize(
    ("level", "keys", "offending"),
    [
        ("SERIES", {"StudyInstanceUID": ""}, 0x0020000D),
        ("SERIES", {"StudyInstanceUID": ["1.2", "1.3"]}, 0x0020000D),
        ("SERIES", {"SeriesInstanceUID": ""}, 0x0020000D),
        ("PATIENT", {"PatientName": ""}, 0x00080052),
        ("NOTHING", {"PatientName": ""}, 0x00080052),
    ],
)
def test_FND_16_what_breaks_the_hierarchy_is_named(
    archive: DimseServer, level: str, keys: dict[str, Any], offending: int
) -> None:
    answers, statuses = find(archive, query(QueryRetrieveLevel=level, **keys))
    assert not answers
    assert statuses[-1].Status == 0xA900
    assert statuses[-1].OffendingElement == offending


def test_FND_16_relational_queries_when_negotiated(archive: DimseServer) -> None:
    keys = query(QueryRetrieveLevel="SERIES", PatientName="Smith*", SeriesInstanceUID="")
    answers, statuses = find(archive, keys, options=b"\1")
    assert len(answers) == 2
    assert [each.Status for each in statuses] == [0xFF00, 0xFF00, 0]


def test_FND_17_unsupported_optional_keys_show_in_every_pending(archive: DimseServer) -> None:
    keys = query(PatientID="P*")
    keys.add_new(0x00291010, "LO", "private")
    answers, statuses = find(archive, keys)
    assert len(answers) == 3
    assert [each.Status for each in statuses] == [0xFF01] * 3 + [0]
    padded = query(PatientID="P*")
    padded.add_new(0xFFFCFFFC, "OB", bytes(4))
    assert [each.Status for each in find(archive, padded)[1]] == [0xFF00] * 3 + [0]


def test_four_levels_of_the_patient_root(archive: DimseServer, studies: list[Dataset]) -> None:
    one = studies[0]
    above: dict[str, Any] = {}
    counts = []
    for level, keyword in (
        ("PATIENT", "PatientID"),
        ("STUDY", "StudyInstanceUID"),
        ("SERIES", "SeriesInstanceUID"),
        ("IMAGE", "SOPInstanceUID"),
    ):
        keys = query(QueryRetrieveLevel=level, **above, **{keyword: ""})
        if level == "PATIENT":
            keys.PatientID = "P*"
        answers, _ = find(archive, keys, PATIENT_ROOT)
        counts.append(len(answers))
        above[keyword] = one[keyword].value
    assert counts == [3, 1, 2, 2]


def test_patient_study_only_stops_at_studies(archive: DimseServer) -> None:
    model = PatientStudyOnlyQueryRetrieveInformationModelFind
    answers, _ = find(archive, query(PatientID="P0", StudyDate=""), model)
    assert [each.StudyDate for each in answers] == ["20240105"]
    _, statuses = find(archive, query(QueryRetrieveLevel="SERIES", PatientID="P0"), model)
    assert statuses[-1].Status == 0xA900


def test_FND_19_cancel_ends_the_answers_within_a_second(archive: DimseServer) -> None:
    ae = AE()
    ae.add_requested_context(STUDY_ROOT, EXPLICIT)
    association = ae.associate("127.0.0.1", archive.port, ae_title="PACSWEB")
    answers = association.send_c_find(query(PatientID="MANY", StudyDescription=""), STUDY_ROOT)
    for _ in range(10):
        next(answers)
    association.send_c_cancel(1, query_model=STUDY_ROOT)
    since = time.monotonic()
    rest = [status.Status for status, _ in answers]
    assert time.monotonic() - since < 5  # the library takes its time with what was sent before
    assert rest[-1] == 0xFE00
    assert len(rest) < MANY - 11
    association.release()


# Two million looks into lists of values: seconds inside one statement.
EXPENSIVE = [f"*{first}{second}*" for first in "QYJWZF" for second in "ABCDEFGHIKLMNOPQ"]


@pytest.fixture
def expensive(archive: DimseServer) -> tuple[bytes, bytes]:
    """The command and the identifier of a query that finds nothing, late."""
    archive.sql("UPDATE archive_study SET modalities_in_study = ? WHERE patient_id = 'MANY'",
                "CT\\MR\\PT\\NM\\US\\XA\\DX\\CR\\MG\\SR")  # fmt: skip
    asked = "\\".join(EXPENSIVE)
    identifier = wire.explicit(0x00080052, b"CS", b"STUDY ")
    identifier += wire.explicit(0x00080061, b"CS", (asked + " " * (len(asked) % 2)).encode())
    identifier += wire.explicit(0x0020000D, b"UI", b"")
    command = wire.command(e0002=STUDY_ROOT_FIND, e0100=0x0020, e0110=7, e0700=0, e0800=1)
    return command, identifier


def test_FND_19_cancel_is_answered_within_a_second_inside_a_statement(
    archive: DimseServer, expensive: tuple[bytes, bytes]
) -> None:
    command, identifier = expensive
    with archive.wire(60) as peer:
        peer.associate([context(1, STUDY_ROOT_FIND, EXPLICIT)])
        peer.send(wire.p_data(wire.pdv(1, 3, command)) + wire.p_data(wire.pdv(1, 2, identifier)))
        peer.socket.settimeout(1.0)
        with pytest.raises(TimeoutError):
            peer.pdu()  # it is at work, and would be for long
        peer.socket.settimeout(60)
        cancel = wire.command(e0100=0x0FFF, e0120=7, e0800=0x0101)
        peer.send(wire.p_data(wire.pdv(1, 3, cancel)))
        since = time.monotonic()
        final = peer.response()
        took = time.monotonic() - since
        assert wire.status(final) == 0xFE00
        assert final[0x0800] == b"\x01\x01"  # no data set
        peer.release()
    assert took < 1.0 + busy_seconds()


def test_a_statement_nobody_waits_for_any_more_ends(
    archive: DimseServer, expensive: tuple[bytes, bytes]
) -> None:
    """The association is lost while the database works: the process is idle soon."""
    command, identifier = expensive
    with archive.wire(60) as peer:
        peer.associate([context(1, STUDY_ROOT_FIND, EXPLICIT)])
        peer.send(wire.p_data(wire.pdv(1, 3, command)) + wire.p_data(wire.pdv(1, 2, identifier)))
        before = processor_seconds(archive)
        archive.wait_for(lambda: processor_seconds(archive) > before + 0.1)
    lost = processor_seconds(archive)
    archive.wait_for(lambda: idle(archive))
    assert processor_seconds(archive) - lost < 2, "of about five that it takes"


def processor_seconds(server: DimseServer) -> float:
    """What the receiver's children have used so far."""
    stats = [Path(f"/proc/{pid}/stat").read_text() for pid in server.children()]
    ticks = sum(sum(map(int, each.rpartition(")")[2].split()[11:13])) for each in stats)
    return ticks / os.sysconf("SC_CLK_TCK")


def idle(server: DimseServer) -> bool:
    before = processor_seconds(server)
    time.sleep(0.5)
    return processor_seconds(server) - before < 0.05


def busy_seconds() -> float:
    """What a crowded machine takes for nothing: how late a short sleep ends, many times over."""
    began = time.monotonic()
    time.sleep(0.05)
    return 20 * (time.monotonic() - began - 0.05)


def test_FND_20_all_matches_are_answered_in_flat_memory(archive: DimseServer) -> None:
    before = archive.resident()
    asked = wire.explicit(0x00080052, b"CS", b"STUDY ") + wire.explicit(0x00100020, b"LO", b"MANY")
    asked += wire.explicit(0x0020000D, b"UI", b"")
    command = wire.command(e0002=STUDY_ROOT_FIND, e0100=0x0020, e0110=7, e0700=0, e0800=1)
    with archive.wire(30) as peer:
        peer.associate([context(1, STUDY_ROOT_FIND, EXPLICIT)])
        peer.send(wire.p_data(wire.pdv(1, 3, command), wire.pdv(1, 2, asked)))
        time.sleep(1.0)  # nobody reads: what is not sent must not pile up
        assert archive.resident() - before < 16 * 1024 * 1024
        pending = 0
        while wire.status(peer.response()) == 0xFF00:
            pending += 1
            kind, _ = peer.pdu()  # the identifier
            assert kind == 4
        peer.release()
    assert pending == MANY
    assert archive.resident() - before < 16 * 1024 * 1024


def test_a_caller_without_the_right_is_not_offered_the_service(archive: DimseServer) -> None:
    assert archive.manage("ae", "add", "SENDONLY", "h", "104", "--no-may-query").returncode == 0

    def not_offered() -> bool:
        with archive.wire() as peer:
            accepted = peer.associate([context(1, STUDY_ROOT_FIND, EXPLICIT)], calling=b"SENDONLY")
            peer.release()
        return accepted.contexts[1][0] == 1

    archive.wait_for(not_offered)


def test_what_is_no_identifier_is_refused_and_the_association_lives(archive: DimseServer) -> None:
    command = wire.command(e0002=STUDY_ROOT_FIND, e0100=0x0020, e0110=7, e0700=0, e0800=1)
    other = wire.command(e0002=STUDY_ROOT_FIND, e0100=0x0140, e0110=8, e0800=0x0101)
    with archive.wire() as peer:
        peer.associate([context(1, STUDY_ROOT_FIND, EXPLICIT)])
        for junk in (b"\x08\x00\x52\x00CS\xff", b"\xff" * 400, b""):
            peer.send(wire.p_data(wire.pdv(1, 3, command), wire.pdv(1, 2, junk)))
            assert wire.status(peer.response()) in {0xA900, 0xC000}
        peer.send(wire.p_data(wire.pdv(1, 3, other)))
        assert wire.status(peer.response()) == 0x0211
        peer.release()


SEARCHED = """
from apps.access.searches import waiting_searches
from apps.events.models import Event
try:
    waiting = [(each.actor.name, each.resource, each.query) for each in waiting_searches()]
except Exception:
    waiting = []
events = Event.objects.filter(kind="ArchiveSearched", door="dimse")
print(waiting + [(e.actor_name, e.payload["resource"], e.payload["query"]) for e in events])
"""


def test_SEC_02_a_query_is_noted_with_its_keys(archive: DimseServer) -> None:
    find(archive, query(PatientName="SMITH*", StudyDate=""))
    said = archive.manage("shell", "-c", SEARCHED)
    assert "'studies', {'PatientName': 'SMITH*'}" in said.stdout, said.stdout + said.stderr


@pytest.mark.parametrize("service", ["find", "get", "move"])
def test_what_a_store_request_was_answered_for_is_waited_for(archive: DimseServer, service: str):
    """No indexer runs here; who reads asks it to hurry, and goes on when the file is indexed."""
    inbox = archive.folder / "inbox"
    waiting = inbox / "ready" / f"{time.time_ns():020d}-paabbccdd-1-{'ab' * 32}"
    for each in (waiting.parent, inbox / "writing", inbox / "awake"):
        each.mkdir(parents=True, exist_ok=True)
    waiting.touch()
    (inbox / "writing" / f"claim-{service}").hardlink_to(waiting)
    (inbox / "awake" / "hurry").unlink(missing_ok=True)
    ae = AE()
    for model in (STUDY_ROOT, STUDY_ROOT_GET, STUDY_ROOT_MOVE):
        ae.add_requested_context(model, EXPLICIT)
    association = ae.associate("127.0.0.1", archive.port, ae_title="PACSWEB")
    asked = query(StudyInstanceUID="1.2.3.4")
    answers: list[Any] = []

    def ask() -> None:
        if service == "find":
            answers.extend(association.send_c_find(asked, STUDY_ROOT))
        elif service == "get":
            answers.extend(association.send_c_get(asked, STUDY_ROOT_GET))
        else:
            answers.extend(association.send_c_move(asked, "ANY-SCP", STUDY_ROOT_MOVE))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        archive.wait_for((inbox / "awake" / "hurry").exists, 30)
    finally:
        waiting.unlink()
        asking.join(30)
        association.release()
    assert answers
