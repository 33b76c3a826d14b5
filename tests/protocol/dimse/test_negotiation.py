"""Association rules NEG-01 to NEG-12 of the specification, over real sockets."""

from __future__ import annotations

import contextlib
import re
import struct
import subprocess
import time
from pathlib import Path

import pytest

from tests.protocol.dimse import wire
from tests.protocol.dimse.conftest import DimseServer
from tests.protocol.dimse.wire import (
    BIG_ENDIAN,
    CT,
    EXPLICIT,
    IMPLICIT,
    JPEG_BASELINE,
    STUDY_ROOT_FIND,
    VERIFICATION,
    context,
    user_information,
)

ECHO = [context(1, VERIFICATION, IMPLICIT)]
PRIVATE_CLASS = "1.2.826.0.1.3680043.9.9999.1"
PRIVATE_SYNTAX = "1.2.826.0.1.3680043.9.9999.2"
C_ECHO = wire.command(e0002=VERIFICATION, e0100=0x0030, e0110=1, e0800=0x0101)


def echo(server: DimseServer) -> int:
    with server.wire() as peer:
        peer.associate(ECHO)
        peer.send(wire.p_data(wire.pdv(1, 3, C_ECHO)))
        response = peer.response()
        peer.release()
    return wire.status(response)


def test_NEG_01_128_contexts_each_with_one_transfer_syntax(server: DimseServer) -> None:
    proposed = [
        context(number, f"1.2.840.10008.5.1.4.1.1.{number}", EXPLICIT, IMPLICIT, JPEG_BASELINE)
        for number in range(1, 256, 2)
    ]
    with server.wire() as peer:
        accepted = peer.associate(proposed)
        peer.release()
    assert sorted(accepted.contexts) == list(range(1, 256, 2))
    assert {result for result, _ in accepted.contexts.values()} == {0}
    assert {tuple(syntaxes) for _, syntaxes in accepted.contexts.values()} == {(EXPLICIT,)}


def test_NEG_01_an_even_context_id_is_no_association(server: DimseServer) -> None:
    with server.wire() as peer:
        peer.send(wire.associate_rq([context(2, VERIFICATION, IMPLICIT)]))
        kind, _ = peer.pdu()
        assert kind == 7


def test_NEG_02_result_codes_tell_the_truth(server: DimseServer) -> None:
    with server.wire() as peer:
        accepted = peer.associate(
            [
                context(1, VERIFICATION, IMPLICIT),
                context(3, VERIFICATION, JPEG_BASELINE),
                context(5, STUDY_ROOT_FIND, IMPLICIT),
                context(7, PRIVATE_CLASS, PRIVATE_SYNTAX),
                context(9, "1.2.840.10008.5.1.1.9", IMPLICIT),
                context(11, "1.2.840.10008.1.3.10", IMPLICIT),
            ]
        )
        peer.release()
    results = {number: result for number, (result, _) in accepted.contexts.items()}
    assert results == {1: 0, 3: 4, 5: 0, 7: 0, 9: 3, 11: 3}
    assert accepted.contexts[7][1] == [PRIVATE_SYNTAX]


def test_NEG_02_a_peer_that_may_not_store_is_told_so(own_server: DimseServer) -> None:
    added = own_server.manage("ae", "add", "LOOKER", "127.0.0.1", "104", "--no-may-store")
    assert added.returncode == 0, added.stderr
    own_server.start()
    with own_server.wire() as peer:
        accepted = peer.associate([*ECHO, context(3, CT, EXPLICIT)], calling=b"LOOKER")
        peer.release()
    assert {number: result for number, (result, _) in accepted.contexts.items()} == {1: 0, 3: 1}


def test_NEG_03_wrong_called_title(server: DimseServer) -> None:
    with server.wire() as peer:
        assert peer.rejection(ECHO, called=b"SOMEBODY") == (1, 1, 7)


def test_NEG_03_unknown_calling_title_is_refused_when_the_policy_says_so(
    own_server: DimseServer,
) -> None:
    own_server.sql(
        "insert into network_networkpolicy (id, unknown_callers, check_called_title,"
        " max_associations) values (1, 'refuse', 1, 200)"
    )
    assert own_server.manage("ae", "add", "KNOWN", "127.0.0.1", "104").returncode == 0
    own_server.start()
    with own_server.wire() as peer:
        assert peer.rejection(ECHO, calling=b"STRANGER") == (1, 1, 3)
    with own_server.wire() as peer:
        peer.associate(ECHO, calling=b"KNOWN")
        peer.release()
    # Run-time facts count with the next association, in every process, without a restart.
    for verb, address in (("remove", ()), ("add", ("127.0.0.1", "104"))):
        assert own_server.manage("ae", verb, "KNOWN", *address).returncode == 0
        for _ in range(4):
            with own_server.wire() as peer:
                peer.send(wire.associate_rq(ECHO, calling=b"KNOWN"))
                kind, body = peer.pdu()
            refused = kind == 3 and tuple(body[1:4]) == (1, 1, 3)
            assert refused == (verb == "remove")


def test_NEG_03_unknown_callers_only_on_loopback_by_default(own_server: DimseServer) -> None:
    own_server.environment["PACSWEB_BIND"] = "0.0.0.0"
    own_server.start()
    with own_server.wire() as peer:
        assert peer.rejection(ECHO) == (1, 1, 3)


def test_NEG_03_address_of_a_known_title_is_checked(own_server: DimseServer) -> None:
    for title, host in (("HERE", "localhost"), ("ELSEWHERE", "192.0.2.7")):
        done = own_server.manage("ae", "add", title, host, "104", "--match-address")
        assert done.returncode == 0, done.stderr
    own_server.start()
    with own_server.wire() as peer:
        assert peer.rejection(ECHO, calling=b"ELSEWHERE") == (1, 1, 3)
    with own_server.wire() as peer:
        peer.associate(ECHO, calling=b"HERE")
        peer.release()


def test_NEG_03_full_is_transient_and_counts_over_all_processes(own_server: DimseServer) -> None:
    own_server.sql(
        "insert into network_networkpolicy (id, unknown_callers, check_called_title,"
        " max_associations) values (1, 'accept', 1, 3)"
    )
    own_server.start()
    peers = [own_server.wire() for _ in range(3)]
    for peer in peers:
        peer.associate(ECHO)
    with own_server.wire() as late:
        assert late.rejection(ECHO) == (2, 3, 2)
    peers[0].release()  # and it is counted no more, though it has not closed yet
    with own_server.wire() as again:
        again.associate(ECHO)
        again.release()
    for peer in peers:
        peer.socket.close()


def test_NEG_03_busy_while_no_policy_could_be_read_yet(tmp_path: Path) -> None:
    server = DimseServer(tmp_path / "data", None).start()
    try:
        with server.wire() as peer:
            assert peer.rejection(ECHO) == (2, 3, 1)
    finally:
        server.stop()


def test_NEG_03_the_last_known_policy_holds_while_the_database_is_away(
    own_server: DimseServer,
) -> None:
    own_server.sql(
        "insert into network_networkpolicy (id, unknown_callers, check_called_title,"
        " max_associations) values (1, 'refuse', 1, 200)"
    )
    assert own_server.manage("ae", "add", "KNOWN", "127.0.0.1", "104").returncode == 0
    own_server.start()
    with contextlib.ExitStack() as stack:
        for _ in range(6):  # held open together, so that both processes have answered
            stack.enter_context(own_server.wire()).associate(ECHO, calling=b"KNOWN")
    for table in ("network_applicationentity", "network_networkpolicy", "storage_storagepolicy"):
        own_server.sql(f"alter table {table} rename to {table}_away")
    own_server.wait_for(lambda: "the last known hold" in own_server.log())
    with own_server.wire() as peer:
        peer.associate([context(1, CT, EXPLICIT)], calling=b"KNOWN")
        data = wire.data_set(CT, "1.2.3.3")
        assert wire.status(peer.store(1, wire.store_command(CT, "1.2.3.3"), data)) == 0
        peer.release()
    with own_server.wire() as peer:
        assert peer.rejection(ECHO, calling=b"STRANGER") == (1, 1, 3)


def test_NEG_03_wrong_application_context(server: DimseServer) -> None:
    with server.wire() as peer:
        assert peer.rejection(ECHO, application_context="1.2.3.4") == (1, 1, 2)


def test_NEG_04_title_fields_come_back_as_received(server: DimseServer) -> None:
    with server.wire() as peer:
        accepted = peer.associate(ECHO, called=b"  PACSWEB", calling=b" Modality 1")
        peer.release()
    assert accepted.raw[4:20] == b"  PACSWEB".ljust(16)
    assert accepted.raw[20:36] == b" Modality 1".ljust(16)


def test_NEG_04_titles_are_case_sensitive_and_never_blank(server: DimseServer) -> None:
    with server.wire() as peer:
        assert peer.rejection(ECHO, called=b"pacsweb") == (1, 1, 7)
    for name, reason in (("called", 7), ("calling", 3)):
        for title in (b"", bytes(16), "RÖNTGEN".encode("latin-1"), b"CT\n1", b"A\\B"):
            with server.wire() as peer:
                assert peer.rejection(ECHO, **{name: title}) == (1, 1, reason), title


@pytest.mark.parametrize("padding", [b"\0" * 9, b"\0old bits", b" \0 \0"])
def test_NEG_04_titles_end_at_a_NUL(server: DimseServer, padding: bytes) -> None:
    """Devices written in C pad with NUL, or with what their buffer held."""
    with server.wire() as peer:
        accepted = peer.associate(ECHO, called=b"PACSWEB" + padding, calling=b"RAWSCU1" + padding)
        peer.release()
    assert accepted.raw[4:20] == (b"PACSWEB" + padding).ljust(16)


@pytest.mark.parametrize("maximum", [0, 8, 64, 16384, 0xFFFFFFFF])
def test_NEG_05_answers_keep_to_the_peer_s_maximum(server: DimseServer, maximum: int) -> None:
    with server.wire() as peer:
        peer.associate([context(1, CT, EXPLICIT)], users=user_information(maximum))
        data = wire.data_set(CT, "1.2.3.5.5")
        peer.send(wire.p_data(wire.pdv(1, 3, wire.store_command(CT, "1.2.3.5.5"))))
        peer.send(wire.p_data(wire.pdv(1, 2, data)))
        encoded = b""
        while True:
            kind, body = peer.pdu()
            assert kind == 4
            assert not maximum or len(body) <= maximum
            encoded += body[6:]
            if body[5] & 2:
                break
        assert wire.status(wire.elements(encoded)) == 0
        peer.release()


def test_NEG_05_our_maximum_is_128_KiB_and_longer_PDUs_are_taken(server: DimseServer) -> None:
    with server.wire() as peer:
        accepted = peer.associate([context(1, CT, EXPLICIT)])
        assert accepted.user_items[0x51] == [struct.pack(">I", 128 * 1024)]
        data = wire.data_set(CT, "1.2.3.5.6", pixels=3_000_000)
        assert wire.status(peer.store(1, wire.store_command(CT, "1.2.3.5.6"), data)) == 0
        peer.release()


@pytest.mark.parametrize("kind", [1, 2, 4, 5, 7])
def test_NEG_05_a_declared_length_of_4_GB_allocates_nothing(server: DimseServer, kind: int) -> None:
    before = server.resident()
    with server.wire() as peer:
        if kind != 1:
            peer.associate([context(1, CT, EXPLICIT), context(3, VERIFICATION, IMPLICIT)])
            if kind == 4:
                identifier = wire.command(e0002=VERIFICATION, e0100=0x20, e0110=1, e0800=1)
                peer.send(wire.p_data(wire.pdv(3, 3, identifier)))
        peer.send(struct.pack(">BxI", kind, 0xFFFFFFFF))
        if kind == 4:
            peer.send(struct.pack(">IBB", 0xFFFFFF00, 3, 0))
        peer.send(bytes(2000))
        assert peer.closed()
    assert server.resident() - before < 8 << 20
    assert echo(server) == 0


def test_NEG_06_command_sets_are_implicit_little_endian_in_any_context(
    server: DimseServer,
) -> None:
    with server.wire() as peer:
        peer.associate([context(1, VERIFICATION, BIG_ENDIAN), context(3, CT, BIG_ENDIAN)])
        peer.send(wire.p_data(wire.pdv(1, 3, C_ECHO)))
        response = peer.response()
        assert next(iter(response)) == 0
        assert wire.status(response) == 0
        stored = peer.store(3, wire.store_command(CT, "1.2.3.6"), b"\0\x08\0\x60CS\0\2CT")
        assert next(iter(stored)) == 0
        body = sum(8 + len(value) for element, value in stored.items() if element)
        assert struct.unpack("<I", stored[0]) == (body,)
        peer.release()


@pytest.mark.parametrize(
    ("abstract", "proposed", "granted", "result"),
    [
        (VERIFICATION, (1, 0), [(1, 0)], 0),
        (VERIFICATION, (1, 1), [(1, 0)], 0),
        (VERIFICATION, (0, 1), [], 1),
        # C-GET sends back on the same association, so for storage the requestor may be both.
        (CT, (1, 1), [(1, 1)], 0),
        (CT, (0, 1), [(0, 1)], 0),
        (CT, (1, 0), [(1, 0)], 0),
        (CT, (0, 0), [], 1),
    ],
)
def test_NEG_07_roles_are_only_ever_lowered(
    server: DimseServer,
    abstract: str,
    proposed: tuple[int, int],
    granted: list[tuple[int, int]],
    result: int,
) -> None:
    uid = abstract.encode()
    role = wire.item(0x54, struct.pack(">H", len(uid)) + uid + bytes(proposed))
    with server.wire() as peer:
        accepted = peer.associate(
            [context(1, abstract, EXPLICIT)], users=user_information(extra=role)
        )
        peer.release()
    assert accepted.contexts[1][0] == result
    assert [tuple(raw[-2:]) for raw in accepted.user_items.get(0x54, [])] == granted


def test_NEG_07_no_role_item_without_a_proposal(server: DimseServer) -> None:
    with server.wire() as peer:
        accepted = peer.associate([context(1, CT, EXPLICIT)])
        assert 0x54 not in accepted.user_items
        data = wire.data_set(CT, "1.2.3.7")
        assert wire.status(peer.store(1, wire.store_command(CT, "1.2.3.7"), data)) == 0
        peer.release()


def test_NEG_08_unknown_items_and_sub_items_are_ignored(server: DimseServer) -> None:
    strange = wire.item(0x5F, b"from the future") + wire.item(0xF3, b"")
    with server.wire() as peer:
        accepted = peer.associate(
            ECHO, users=user_information(extra=strange), extra_items=wire.item(0x77, b"unknown")
        )
        peer.release()
    assert accepted.contexts[1][0] == 0
    assert not set(accepted.user_items) & {0x5F, 0xF3}


@pytest.mark.parametrize(
    "odd",
    [
        wire.item(0x52, b"1.2.3.4\0"),
        wire.item(0x52, b"1.02.none"),
        wire.item(0x52, b""),
        wire.item(0x55, b"A VERSION NAME BEYOND MEASURE"),
        wire.item(0x55, "Größe\0".encode("latin-1")),
        wire.item(0x58, b"\x09\1\0\4mary\0\0"),
    ],
)
def test_NEG_08_what_a_device_says_of_itself_turns_nobody_away(
    server: DimseServer, odd: bytes
) -> None:
    users = wire.item(0x50, wire.item(0x51, struct.pack(">I", 16384)) + odd)
    with server.wire() as peer:
        assert peer.associate(ECHO, users=users).contexts[1][0] == 0
        peer.release()


def test_NEG_02_a_context_without_transfer_syntaxes_gets_its_result(server: DimseServer) -> None:
    with server.wire() as peer:
        accepted = peer.associate([context(1, VERIFICATION), context(3, VERIFICATION, IMPLICIT)])
        peer.release()
    assert {number: result for number, (result, _) in accepted.contexts.items()} == {1: 4, 3: 0}


def test_NEG_07_only_1_proposes_a_role(server: DimseServer) -> None:
    role = wire.item(0x54, struct.pack(">H", len(CT)) + CT.encode() + b"\1\xff")
    with server.wire() as peer:
        accepted = peer.associate([context(1, CT, IMPLICIT)], users=user_information(extra=role))
        peer.release()
    assert [each[-2:] for each in accepted.user_items[0x54]] == [b"\1\0"]


def test_NEG_08_only_the_lowest_bit_of_the_version_counts(server: DimseServer) -> None:
    with server.wire() as peer:
        peer.associate(ECHO, version=0x8003)
        peer.release()
    with server.wire() as peer:
        assert peer.rejection(ECHO, version=0x8002) == (1, 2, 2)


def identity(kind: int, primary: bytes, secondary: bytes = b"", *, respond: bool = True) -> bytes:
    value = bytes([kind, respond]) + struct.pack(">H", len(primary)) + primary
    return wire.item(0x58, value + struct.pack(">H", len(secondary)) + secondary)


def test_NEG_09_user_identity_with_a_positive_response(own_server: DimseServer) -> None:
    made = own_server.manage(
        "shell",
        "-c",
        "from apps.access.models import User;"
        "User.objects.create_user('modality', password='right passcode')",
    )
    assert made.returncode == 0, made.stderr
    own_server.start()

    def outcome(item: bytes) -> list[bytes] | tuple[int, int, int] | None:
        with own_server.wire() as peer:
            peer.send(wire.associate_rq(ECHO, users=user_information(extra=item)))
            kind, body = peer.pdu()
            if kind == 3:
                return body[1], body[2], body[3]
            return wire.Accepted.parse(body).user_items.get(0x59)

    assert outcome(identity(2, b"modality", b"right passcode")) == [b"\0\0"]
    assert outcome(identity(2, b"modality", b"wrong")) == (1, 2, 1)
    assert outcome(identity(2, b"nobody", b"right passcode", respond=False)) == (1, 2, 1)
    assert outcome(identity(2, b"modality", b"right passcode", respond=False)) is None
    assert outcome(identity(1, b"modality")) == [b"\0\0"]
    # SAML is not supported: accepted without a response (PS3.7 D.3.3.7).
    assert outcome(identity(4, b"<assertion/>")) is None
    assert "right passcode" not in own_server.log()


def test_NEG_10_one_abstract_syntax_in_several_contexts(server: DimseServer) -> None:
    with server.wire() as peer:
        accepted = peer.associate(
            [
                context(1, CT, JPEG_BASELINE),
                context(3, CT, IMPLICIT, EXPLICIT),
                context(5, CT, EXPLICIT),
                context(7, CT, PRIVATE_SYNTAX, EXPLICIT),
            ]
        )
        peer.release()
    assert {number: names for number, (_, names) in accepted.contexts.items()} == {
        1: [JPEG_BASELINE],
        3: [IMPLICIT],
        5: [EXPLICIT],
        7: [EXPLICIT],
    }


def test_NEG_11_silent_sockets_are_closed_and_block_nobody(own_server: DimseServer) -> None:
    own_server.start("--artim-seconds", "3")
    silent = [own_server.wire() for _ in range(200)]
    for half in silent[100:]:
        half.send(wire.associate_rq(ECHO)[:40])
    began = time.monotonic()
    assert echo(own_server) == 0
    assert time.monotonic() - began < 2
    for peer in silent:
        assert peer.closed()
        peer.socket.close()
    assert time.monotonic() - began < 8


def test_NEG_11_a_thousand_descriptors_are_no_limit(own_server: DimseServer) -> None:
    """select() fails from descriptor 1,024 on; nothing here may use it."""
    own_server.environment["PACSWEB_DIMSE_PROCESSES"] = "1"
    own_server.start("--artim-seconds", "60")
    silent = [own_server.wire() for _ in range(1020)]
    try:
        with own_server.wire() as peer:
            peer.associate([context(1, CT, EXPLICIT)])
            data = wire.data_set(CT, "1.2.3.11")
            assert wire.status(peer.store(1, wire.store_command(CT, "1.2.3.11"), data)) == 0
            child = own_server.children()[0]
            highest = max(int(each.name) for each in Path(f"/proc/{child}/fd").iterdir())
            assert highest > 1023
            peer.release()
    finally:
        for each in silent:
            each.socket.close()


def test_NEG_12_logs_carry_no_patient_data(own_server: DimseServer) -> None:
    own_server.environment["PACSWEB_LOG_LEVEL"] = "DEBUG"
    own_server.start()
    with own_server.wire() as peer:
        peer.associate([context(1, CT, EXPLICIT), context(3, VERIFICATION, IMPLICIT)])
        data = wire.data_set(CT, "1.2.3.12", name=b"GEHEIM^PATIENT")
        assert wire.status(peer.store(1, wire.store_command(CT, "1.2.3.12"), data)) == 0
        assert wire.status(peer.store(1, wire.store_command(CT, "9.9.9"), data)) == 0xA900
        find = wire.command(e0002=STUDY_ROOT_FIND, e0100=0x20, e0110=3, e0700=0, e0800=1)
        peer.send(wire.p_data(wire.pdv(3, 3, find)))
        peer.send(wire.p_data(wire.pdv(3, 2, struct.pack("<HHI", 0x10, 0x10, 6) + b"GEHEIM")))
        peer.closed()
    own_server.wait_for(lambda: "1 stored" in own_server.log())
    assert "GEHEIM" not in own_server.log()
    line = next(line for line in own_server.log().splitlines() if "1 stored" in line)
    assert re.search(r"association \d+-\d+ from RAWSCU at 127\.0\.0\.1 aborted", line)


@pytest.mark.stranger
def test_NEG_strangers_echo(server: DimseServer) -> None:
    done = subprocess.run(
        ["echoscu", "-v", "-aec", "PACSWEB", "127.0.0.1", str(server.port)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
