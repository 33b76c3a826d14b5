"""C-STORE rules of the specification (STO-...), over real sockets, up to the inbox."""

from __future__ import annotations

import hashlib
import os
import signal
import struct
import subprocess
import time
import zlib
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.filereader import read_partial

from apps.dicom.part10 import FileMeta, read_file_meta
from tests.protocol.dimse import wire
from tests.protocol.dimse.conftest import DimseServer
from tests.protocol.dimse.wire import (
    BIG_ENDIAN,
    CT,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG_BASELINE,
    VERIFICATION,
    Wire,
    context,
    data_set,
    p_data,
    pdv,
    store_command,
)

PRIVATE_CLASS = "1.2.826.0.1.3680043.9.9999.1"
PRIVATE_SYNTAX = "1.2.826.0.1.3680043.9.9999.2"
ABORT = bytes.fromhex("07000000000400000000")


def stored(server: DimseServer, uid: str) -> tuple[FileMeta, bytes]:
    """File Meta and data set of the one waiting file with this SOP Instance UID."""
    found = []
    for path in server.ready():
        raw = path.read_bytes()
        meta = read_file_meta(raw[:65536])
        if meta.sop_instance_uid == uid:
            found.append((meta, raw[meta.dataset_offset :]))
    assert len(found) == 1, (uid, len(found))
    return found[0]


def send(
    server: DimseServer, uid: str, data: bytes, *, syntax: str = EXPLICIT, sop_class: str = CT
) -> int:
    with server.wire() as peer:
        peer.associate([context(1, sop_class, syntax)])
        response = peer.store(1, store_command(sop_class, uid), data)
        peer.release()
    assert response[0x1000].rstrip(b"\0").decode() == uid
    assert response[0x0002].rstrip(b"\0").decode() == sop_class
    assert response[0x0120] == struct.pack("<H", 1)
    return wire.status(response)


def refused(server: DimseServer, uid: str) -> bool:
    """True when nothing of it is in the inbox."""
    return not server.writing() and not any(
        read_file_meta(path.read_bytes()[:65536]).sop_instance_uid == uid for path in server.ready()
    )


def test_STO_01_missing_fields_have_their_status(server: DimseServer) -> None:
    data = data_set(CT, "1.2.1.1")
    for change in (
        {"e0002": None},
        {"e1000": None},
        {"e1000": ""},
        {"e0002": VERIFICATION},
    ):
        with server.wire() as peer:
            peer.associate([context(1, CT, EXPLICIT)])
            response = peer.store(1, store_command(CT, "1.2.1.1", **change), data)
            wanted = 0x0122 if change.get("e0002") == VERIFICATION else 0xC000
            assert wire.status(response) == wanted, change
            assert response[0x0902]
            # The association goes on.
            good = peer.store(1, store_command(CT, "1.2.1.2"), data_set(CT, "1.2.1.2"))
            assert wire.status(good) == 0
            peer.release()
    assert refused(server, "1.2.1.1")


def test_STO_01_a_command_without_data_set_is_answered(server: DimseServer) -> None:
    with server.wire() as peer:
        peer.associate([context(1, CT, EXPLICIT)])
        peer.send(p_data(pdv(1, 3, store_command(CT, "1.2.1.3", e0800=0x0101))))
        assert wire.status(peer.response()) == 0xC000
        assert wire.status(peer.store(1, store_command(CT, "1.2.1.3"), b"")) == 0xC000
        peer.release()
    assert refused(server, "1.2.1.3")


def test_STO_01_a_command_that_cannot_be_answered_ends_the_association(
    server: DimseServer,
) -> None:
    for command in (
        store_command(CT, "1.2.1.4", e0110=None),
        store_command(CT, "1.2.1.4", e0100=None),
        b"\0\0\0\0\xff\xff\xff\xff",
        b"\x08\0\x16\0\4\0\0\0abcd",
    ):
        with server.wire() as peer:
            peer.associate([context(1, CT, EXPLICIT)])
            peer.send(p_data(pdv(1, 3, command)))
            kind, _ = peer.pdu()
            assert kind == 7


def test_STO_01_a_store_in_a_context_for_something_else(server: DimseServer) -> None:
    with server.wire() as peer:
        peer.associate([context(1, VERIFICATION, EXPLICIT)])
        response = peer.store(1, store_command(CT, "1.2.1.5"), data_set(CT, "1.2.1.5"))
        assert wire.status(response) == 0x0122
        peer.release()
    with server.wire() as peer:
        peer.associate([context(1, CT, EXPLICIT)])
        peer.send(p_data(pdv(9, 3, store_command(CT, "1.2.1.5"))))
        kind, _ = peer.pdu()
        assert kind == 7
    assert refused(server, "1.2.1.5")


def implicit_form(data: bytes) -> bytes:
    """The short-form explicit elements of `data` in implicit VR (pixel data left out)."""
    made = b""
    while data[:2] != b"\xe0\x7f":
        group, element, _, length = struct.unpack_from("<HH2sH", data)
        made += struct.pack("<HHI", group, element, length) + data[8 : 8 + length]
        data = data[8 + length :]
    return made


def big_endian_form(data: bytes) -> bytes:
    made = b""
    while data[:2] != b"\xe0\x7f":
        group, element, vr, length = struct.unpack_from("<HH2sH", data)
        made += struct.pack(">HH2sH", group, element, vr, length) + data[8 : 8 + length]
        data = data[8 + length :]
    return made


def deflated_form(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


FORMS = {
    EXPLICIT: lambda data: data,
    JPEG_BASELINE: lambda data: data,
    IMPLICIT: implicit_form,
    BIG_ENDIAN: big_endian_form,
    DEFLATED: deflated_form,
}


@pytest.mark.parametrize("syntax", list(FORMS))
def test_STO_02_a_data_set_that_contradicts_its_command_is_refused(
    server: DimseServer, syntax: str
) -> None:
    for number, (sop_class, uid) in enumerate(
        ((CT, "9.9.9"), ("1.2.840.10008.5.1.4.1.1.4", "1.2.2"), ("1.2.3", "9.9.9"))
    ):
        sent = f"1.2.2.{number}"
        data = FORMS[syntax](data_set(sop_class, uid if uid != "1.2.2" else sent))
        assert send(server, sent, data, syntax=syntax) == 0xA900
        assert refused(server, sent)


@pytest.mark.parametrize("syntax", list(FORMS))
def test_STO_02_what_agrees_is_kept_as_received(server: DimseServer, syntax: str) -> None:
    uid = f"1.2.2.10.{syntax.replace('.', '')}"
    data = FORMS[syntax](data_set(CT, uid))
    assert send(server, uid, data, syntax=syntax) == 0
    meta, kept = stored(server, uid)
    assert kept == data
    assert meta.transfer_syntax_uid == syntax


def test_STO_02_padding_of_uids_is_no_contradiction(server: DimseServer) -> None:
    data = data_set(CT + " ", "1.2.2.20" + "  ")
    assert send(server, "1.2.2.20", data) == 0


def test_STO_02_a_data_set_that_says_nothing_is_kept_for_the_indexer(server: DimseServer) -> None:
    """Nothing is lost: the command says what it is, the indexer quarantines what it must."""
    for number, data in enumerate((data_set("", ""), b"no DICOM at all", b"\0" * 200_000)):
        uid = f"1.2.2.3{number}"
        assert send(server, uid, data) == 0
        assert stored(server, uid)[1] == data


def test_STO_02_found_behind_a_sequence_and_over_fragments(server: DimseServer) -> None:
    sequence = struct.pack("<HH2sHI", 8, 6, b"SQ", 0, 0xFFFFFFFF)
    sequence += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    sequence += wire.explicit(0x00080100, b"SH", b"X" * 300)
    sequence += struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    body = data_set(CT, "9.9.9")
    cut = body.index(b"\x08\0\x16\0")
    data = wire.explicit(0x00080005, b"CS", b"ISO_IR 100") + sequence + body[cut:]
    with server.wire() as peer:
        peer.associate([context(1, CT, EXPLICIT)])
        peer.send(p_data(pdv(1, 3, store_command(CT, "1.2.2.40"))))
        for at in range(0, 600, 7):
            peer.send(p_data(pdv(1, 0, data[at : at + 7])))
            if at % 70 == 0:
                time.sleep(0.01)
        peer.send(p_data(pdv(1, 2, data[602:])))
        assert wire.status(peer.response()) == 0xA900
        peer.release()


def test_STO_03_success_means_durable_kill_9_right_after_it(own_server: DimseServer) -> None:
    own_server.start()
    with own_server.wire() as peer:
        peer.associate([context(1, CT, EXPLICIT)])
        for number in range(20):
            uid = f"1.2.3.{number}"
            response = peer.store(1, store_command(CT, uid), data_set(CT, uid))
            assert wire.status(response) == 0
        for pid in own_server.children():
            os.kill(pid, signal.SIGKILL)
    for number in range(20):
        uid = f"1.2.3.{number}"
        assert stored(own_server, uid)[1] == data_set(CT, uid)
    # The parent replaces what died, and it receives.
    own_server.wait_for(lambda: len(own_server.children()) == 2)
    assert send(own_server, "1.2.3.99", data_set(CT, "1.2.3.99")) == 0


def test_STO_04_private_and_unknown_content_is_kept_bit_for_bit(server: DimseServer) -> None:
    private = wire.explicit(0x00090010, b"LO", b"ACME") + wire.explicit(0x00091001, b"UN", b"\0\1")
    data = data_set(PRIVATE_CLASS, "1.2.4.1").replace(b"\x10\0\x10\0", private + b"\x10\0\x10\0", 1)
    for uid, syntax in (("1.2.4.1", PRIVATE_SYNTAX),):
        assert send(server, uid, data, syntax=syntax, sop_class=PRIVATE_CLASS) == 0
        meta, kept = stored(server, uid)
        assert kept == data
        assert (meta.sop_class_uid, meta.transfer_syntax_uid) == (PRIVATE_CLASS, PRIVATE_SYNTAX)


def test_STO_05_file_meta_is_ours_with_provenance(server: DimseServer) -> None:
    with server.wire() as peer:
        peer.associate([context(1, CT, EXPLICIT)], calling=b"CT SCANNER")
        data = data_set(CT, "1.2.5.1")
        assert wire.status(peer.store(1, store_command(CT, "1.2.5.1"), data)) == 0
        peer.release()
    meta, kept = stored(server, "1.2.5.1")
    assert kept == data
    assert meta.provenance is not None
    assert meta.provenance.door == "dimse"
    assert meta.provenance.source_ae_title == "CT SCANNER"
    assert meta.provenance.receiving_ae_title == "PACSWEB"
    assert meta.provenance.source_address == "127.0.0.1"
    assert meta.provenance.received_at.endswith("+00:00")
    assert meta.implementation_version_name.startswith("PACSWEB")


def test_STO_09_deflated_is_kept_deflated(server: DimseServer) -> None:
    data = deflated_form(data_set(CT, "1.2.9.1", pixels=500_000))
    assert send(server, "1.2.9.1", data, syntax=DEFLATED) == 0
    meta, kept = stored(server, "1.2.9.1")
    assert zlib.decompress(kept, -zlib.MAX_WBITS) == data_set(CT, "1.2.9.1", pixels=500_000)
    assert meta.transfer_syntax_uid == DEFLATED


@pytest.mark.parametrize("name", ["odd", "charset", "syntax-ct", "palette-hp", "sr"])
def test_STO_10_odd_objects_are_received_as_they_are(
    server: DimseServer, corpus: Path, name: str
) -> None:
    """Every file of the corpus folder, sent by what its data set says it is, byte for byte."""
    sent = 0
    for path in sorted((corpus / "dicom" / name).rglob("*")):
        raw = path.read_bytes() if path.is_file() else b""
        if raw[128:132] != b"DICM":
            continue
        meta = read_file_meta(raw[:65536])
        with path.open("rb") as file:
            said = read_partial(file, lambda tag, _vr, _length: tag > 0x00080018, force=True)
        sop_class = str(said.get("SOPClassUID", "") or meta.sop_class_uid).strip()
        sop_instance = str(said.get("SOPInstanceUID", "") or meta.sop_instance_uid).strip()
        if not sop_class or not sop_instance:
            continue
        data = raw[meta.dataset_offset :]
        before = set(server.ready())
        with server.wire() as peer:
            peer.associate([context(1, sop_class, meta.transfer_syntax_uid)])
            command = store_command(sop_class, sop_instance)
            assert wire.status(peer.store(1, command, data)) == 0, path
            peer.release()
        (new,) = set(server.ready()) - before
        assert new.read_bytes().endswith(data)
        assert new.name.split("-")[3] == hashlib.sha256(data).hexdigest()
        sent += 1
    assert sent >= 4


def test_STO_11_memory_stays_flat(own_server: DimseServer) -> None:
    """300 MB in one object; the growth of all receiver processes together, while it comes."""
    own_server.start()
    head = data_set(CT, "1.2.11.1", pixels=0)
    head = head[:-4] + struct.pack("<I", 300 << 20)
    with own_server.wire(timeout=60) as peer:
        peer.associate([context(1, CT, EXPLICIT)])
        small = data_set(CT, "1.2.11.2")
        assert wire.status(peer.store(1, store_command(CT, "1.2.11.2"), small)) == 0
        before = own_server.resident()
        worst = 0
        peer.send(p_data(pdv(1, 3, store_command(CT, "1.2.11.1"))))
        peer.send(p_data(pdv(1, 0, head)))
        block = p_data(pdv(1, 0, os.urandom(1 << 17)))
        for number in range(300 * 8):
            peer.send(block)
            if number % 100 == 0:
                worst = max(worst, own_server.resident() - before)
        peer.send(p_data(pdv(1, 2, b"")))
        assert wire.status(peer.response()) == 0
        worst = max(worst, own_server.resident() - before)
        peer.release()
    assert worst < 64 << 20, worst
    largest = max(path.stat().st_size for path in own_server.ready())
    assert largest > 300 << 20


def watermarks(server: DimseServer, associations: float, instances: float) -> None:
    server.sql("delete from storage_storagepolicy")
    server.sql(
        "insert into storage_storagepolicy (id, refuse_associations_below,"
        " refuse_instances_below) values (1, ?, ?)",
        associations,
        instances,
    )


def test_STO_12_below_the_first_watermark_new_senders_are_refused_for_now(
    own_server: DimseServer,
) -> None:
    watermarks(own_server, 100, 0)
    own_server.start()
    store = [context(1, CT, EXPLICIT), context(3, VERIFICATION, IMPLICIT)]
    with own_server.wire() as peer:
        assert peer.rejection(store) == (2, 3, 2)
    with own_server.wire() as peer:
        peer.associate(store[1:])
        peer.release()


def test_STO_12_below_the_second_every_instance_is_refused_before_a_byte_is_written(
    own_server: DimseServer,
) -> None:
    own_server.start()
    with own_server.wire() as peer:
        peer.associate([context(1, CT, EXPLICIT)])
        first = peer.store(1, store_command(CT, "1.2.12.1"), data_set(CT, "1.2.12.1"))
        assert wire.status(first) == 0
        watermarks(own_server, 100, 100)

        def answer(uid: str, pixels: int) -> int:
            data = data_set(CT, uid, pixels=pixels)
            return wire.status(peer.store(1, store_command(CT, uid), data))

        own_server.wait_for(lambda: answer("1.2.12.1", 10) == 0xA700)
        stored = len(own_server.ready())
        big = data_set(CT, "1.2.12.2", pixels=5_000_000)
        peer.send(p_data(pdv(1, 3, store_command(CT, "1.2.12.2"))))
        peer.send(p_data(pdv(1, 0, big[:2_000_000])))
        time.sleep(0.3)
        assert not own_server.writing()
        peer.send(p_data(pdv(1, 2, big[2_000_000:])))
        response = peer.response()
        assert wire.status(response) == 0xA700
        assert b"free" in response[0x0902]
        watermarks(own_server, 0, 0)
        own_server.wait_for(lambda: answer("1.2.12.2", 5_000_000) == 0)
        peer.release()
    assert len(own_server.ready()) == stored + 1


def half_sent(server: DimseServer, uid: str) -> Wire:
    peer = server.wire()
    peer.associate([context(1, CT, EXPLICIT)])
    peer.send(p_data(pdv(1, 3, store_command(CT, uid))))
    peer.send(p_data(pdv(1, 0, data_set(CT, uid, pixels=3_000_000))))
    server.wait_for(lambda: len(server.writing()) == 1)
    return peer


@pytest.mark.parametrize(
    "end",
    [
        ABORT,
        b"",
        bytes.fromhex("05000000000400000000"),
        p_data(pdv(1, 3, b"\0" * 8)),
        p_data(pdv(3, 2, b"other context")),
        struct.pack(">BxIIBB", 4, 100, 99, 1, 2),
        b"\x99garbage",
        b"\4\0\0\0",
    ],
    ids=["abort", "close", "release", "command", "context", "overlong", "garbage", "half"],
)
def test_STO_an_interrupted_message_leaves_nothing_behind(server: DimseServer, end: bytes) -> None:
    peer = half_sent(server, "1.2.20.1")
    peer.send(end)
    if end in (b"", b"\4\0\0\0"):
        peer.socket.close()
    server.wait_for(lambda: not server.writing())
    peer.socket.close()
    assert refused(server, "1.2.20.1")
    assert send(server, f"1.2.20.2.{len(end)}", data_set(CT, f"1.2.20.2.{len(end)}")) == 0


def test_STO_a_stalled_message_ends_too(own_server: DimseServer) -> None:
    own_server.start("--stall-seconds", "1")
    with half_sent(own_server, "1.2.20.3") as peer:
        assert peer.closed()
    own_server.wait_for(lambda: not own_server.writing())


def test_STO_an_idle_association_ends(own_server: DimseServer) -> None:
    own_server.start("--idle-seconds", "1")
    with own_server.wire() as peer:
        peer.associate([context(1, CT, EXPLICIT)])
        kind, _ = peer.pdu()
        assert kind == 7


def test_STO_messages_one_after_another_without_waiting(server: DimseServer) -> None:
    """A sender that pipelines gets every answer, in order, with its own message id."""
    with server.wire() as peer:
        peer.associate([context(1, CT, EXPLICIT), context(3, VERIFICATION, IMPLICIT)])
        everything = b""
        for number in range(1, 31):
            uid = f"1.2.21.{number}"
            everything += p_data(
                pdv(1, 3, store_command(CT, uid, number)), pdv(1, 2, data_set(CT, uid))
            )
        peer.send(everything)
        for number in range(1, 31):
            response = peer.response()
            assert wire.status(response) == 0
            assert struct.unpack("<H", response[0x0120]) == (number,)
        echo = wire.command(e0002=VERIFICATION, e0100=0x0030, e0110=99, e0800=0x0101)
        peer.send(p_data(pdv(3, 3, echo)))
        assert wire.status(peer.response()) == 0
        peer.release()


def test_STO_fragments_of_any_shape(server: DimseServer) -> None:
    """Command in pieces, one byte per PDU, several items in a PDU, empty items."""
    data, command = data_set(CT, "1.2.22.1", pixels=40), store_command(CT, "1.2.22.1")
    with server.wire() as peer:
        peer.associate([context(1, CT, EXPLICIT)])
        peer.send(p_data(pdv(1, 1, command[:11]), pdv(1, 1, b""), pdv(1, 3, command[11:])))
        peer.send(p_data())
        peer.send(b"".join(p_data(pdv(1, 0, bytes([each]))) for each in data[:50]))
        peer.send(p_data(pdv(1, 0, b""), pdv(1, 0, data[50:]), pdv(1, 2, b"")))
        assert wire.status(peer.response()) == 0
        peer.release()
    assert stored(server, "1.2.22.1")[1] == data


@pytest.mark.stranger
@pytest.mark.parametrize("options", [[], ["--propose-implicit"], ["--max-send-pdu", "4096"]])
def test_STO_strangers_storescu(server: DimseServer, corpus: Path, options: list[str]) -> None:
    files = sorted((corpus / "dicom" / "series-ct-head").glob("*"))[:10]
    before = len(server.ready())
    done = subprocess.run(
        ["storescu", "-v", *options, "-aec", "PACSWEB", "127.0.0.1", str(server.port), *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("(Success)") + done.stdout.count("(Success)") == 10
    assert len(server.ready()) == before + 10


@pytest.mark.stranger
def test_STO_strangers_pynetdicom(server: DimseServer, corpus: Path) -> None:
    from pynetdicom import AE, build_context

    first = dcmread(next(iter(sorted((corpus / "dicom" / "series-ct-head").glob("*")))))
    entity = AE(ae_title="PYNETDICOM")
    association = entity.associate(
        "127.0.0.1",
        server.port,
        contexts=[
            build_context(first.SOPClassUID, first.file_meta.TransferSyntaxUID),
            build_context(VERIFICATION),
        ],
        ae_title="PACSWEB",
    )
    assert association.is_established
    assert association.send_c_echo().Status == 0
    assert association.send_c_store(first).Status == 0
    assert association.send_c_echo().Status == 0
    association.release()
    assert association.is_released
