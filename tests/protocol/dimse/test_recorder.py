"""The association recorder, over real sockets: what happened is found in the table, in words."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.dimse import wire
from tests.protocol.dimse.conftest import DimseServer
from tests.protocol.dimse.wire import CT, EXPLICIT, IMPLICIT, VERIFICATION, context

ECHO = context(1, VERIFICATION, IMPLICIT)
C_ECHO = wire.command(e0002=VERIFICATION, e0100=0x0030, e0110=1, e0800=0x0101)


@pytest.fixture(scope="module")
def recording(
    tmp_path_factory: pytest.TempPathFactory, migrated_database: Path
) -> Iterator[DimseServer]:
    """A receiver that has met a good, a poor, a rejected, a rude and a silent peer."""
    server = DimseServer(tmp_path_factory.mktemp("recorder"), migrated_database)
    server.sql(
        "insert into network_networkpolicy (id, unknown_callers, check_called_title,"
        " max_associations, record_refused_uids) values (1, 'accept', 1, 200, 1)"
    )
    server.start("--artim-seconds", "2")
    with server.wire() as peer:
        peer.associate([ECHO, context(3, CT, EXPLICIT)], calling=b"GOOD")
        peer.send(wire.p_data(wire.pdv(1, 3, C_ECHO)))
        assert wire.status(peer.response()) == 0
        for number in (1, 2, 3):
            uid = f"1.2.3.{number}"
            data = wire.data_set(CT, uid, name=b"GEHEIM^PATIENT")
            assert wire.status(peer.store(3, wire.store_command(CT, uid), data)) == 0
        data = wire.data_set(CT, "1.2.3.4")
        assert wire.status(peer.store(3, wire.store_command(CT, "9.9.9"), data)) == 0xA900
        peer.release()
    with server.wire() as peer:
        peer.associate([context(1, VERIFICATION, wire.JPEG_BASELINE)], calling=b"POOR")
        peer.send(bytes.fromhex("07000000000400000000"))
        peer.closed()
    with server.wire() as peer:
        peer.rejection([ECHO], calling=b"LOST", called=b"ELSEWHERE")
    with server.wire() as peer:
        peer.associate([ECHO], calling=b"RUDE")
        peer.send(b"\xff" * 40)
        peer.closed()
    silent = [server.wire() for _ in range(30)]
    for each in silent:
        assert each.closed()
        each.socket.close()
    server.wait_for(lambda: sum(row["connections"] for row in rows(server)) >= 34)
    yield server
    server.stop()
    assert not server.faults(), server.log()


def rows(server: DimseServer) -> list[dict[str, Any]]:
    connection = sqlite3.connect(server.database, timeout=10)
    connection.row_factory = sqlite3.Row
    found = connection.execute(
        "select a.*, n.contexts from network_associationrecord a"
        " left join network_negotiationrecord n on n.id = a.negotiation_id"
    ).fetchall()
    connection.close()
    return [dict(each) for each in found]


def row(server: DimseServer, calling: str) -> dict[str, Any]:
    [found] = [each for each in rows(server) if each["calling_ae_title"] == calling]
    return found


def test_commands_are_counted_with_their_statuses(recording: DimseServer) -> None:
    good = row(recording, "GOOD")
    assert json.loads(good["operations"]) == {
        "C-ECHO": {"0000": 1},
        "C-STORE": {"0000": 3, "A900": 1},
    }
    assert good["ending"] == "released"
    assert good["ended_at"] > good["started_at"]
    assert good["received_bytes"] > 4 * 2000
    assert json.loads(good["refused"]) == [["9.9.9", "A900"]]


def test_no_patient_data_is_recorded(recording: DimseServer) -> None:
    assert "GEHEIM" not in json.dumps(rows(recording), default=str)


def test_what_was_proposed_and_answered_is_kept(recording: DimseServer) -> None:
    [context_of_poor] = json.loads(row(recording, "POOR")["contexts"])
    assert context_of_poor["why"] == "no common Transfer Syntax"
    assert context_of_poor["proposed"] == [wire.JPEG_BASELINE]
    assert row(recording, "POOR")["ending"] == "peer-aborted"


def test_a_rejection_says_why(recording: DimseServer) -> None:
    lost = row(recording, "LOST")
    assert (lost["ending"], lost["reason"]) == ("rejected", "called AE title not recognised")
    assert json.loads(lost["contexts"])[0]["abstract_syntax"] == VERIFICATION


def test_a_protocol_error_is_told_as_one(recording: DimseServer) -> None:
    assert row(recording, "RUDE")["ending"] == "protocol"


def test_silent_sockets_of_one_address_are_few_records(recording: DimseServer) -> None:
    silent = [each for each in rows(recording) if each["ending"] == "silent"]
    assert sum(each["connections"] for each in silent) >= 30
    assert len(silent) <= 10
    assert {each["reason"] for each in silent} >= {"nothing said within 2 s"}


def test_our_own_health_check_is_no_news(recording: DimseServer) -> None:
    code = "from apps.dimse.health import serving; print(serving(2.0))"
    assert recording.manage("shell", "-v0", "-c", code).stdout.strip() == "True"
    with recording.wire() as peer:
        peer.associate([ECHO], calling=b"AFTER")
        peer.release()
    recording.wait_for(lambda: any(each["calling_ae_title"] == "AFTER" for each in rows(recording)))
    assert not [each for each in rows(recording) if each["calling_ae_title"] == "PACSWEB"]


def test_a_database_that_is_away_costs_no_association(recording: DimseServer) -> None:
    recording.sql("alter table network_associationrecord rename to away")
    with recording.wire() as peer:
        peer.associate([ECHO], calling=b"MEANWHILE")
        peer.release()
    recording.wait_for(lambda: "cannot be recorded" in recording.log())
    recording.sql("alter table away rename to network_associationrecord")
    recording.wait_for(
        lambda: any(each["calling_ae_title"] == "MEANWHILE" for each in rows(recording))
    )
