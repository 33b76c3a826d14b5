"""Associations over TLS (PS3.15 B.12): strangers, certificates as names, silence, and rules."""

from __future__ import annotations

import dataclasses
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from apps.conformance import security_test
from apps.conformance.statement import conformance_statement
from apps.network.associate_items import Remote
from apps.network.normalized import normalized_association
from apps.network.peer_errors import PeerUnreachable
from apps.network.recorder import PROCESS_RECORDER
from apps.network.scu import echo
from apps.worklist.actions.deliver import MPPS
from tests.builders import ct_slice, part10
from tests.protocol.dimse import wire
from tests.protocol.dimse.conftest import DimseServer, free_port
from tests.protocol.dimse.test_recorder import row, rows
from tests.protocol.dimse.wire import (
    BIG_ENDIAN,
    CT,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    Wire,
    context,
)

ECHO = context(1, VERIFICATION, IMPLICIT)
C_ECHO = wire.command(e0002=VERIFICATION, e0100=0x0030, e0110=1, e0800=0x0101)
MR = "1.2.840.10008.5.1.4.1.1.4"


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
ENTITIES = f"""
from apps.access.principals import system_principal
from apps.network.actions.register_application_entity import register_application_entity
for title, rules in {{
    "CT_A": {{"certificate_names": "ct-a"}},
    "SAFE": {{"require_tls": True}},
    "FAR": {{"allowed_addresses": "10.0.0.0/8, 192.0.2.1"}},
    "RULED": {{
        "allowed_sop_classes": "CT Image Storage",
        "preferred_transfer_syntaxes": "Explicit VR Little Endian",
        "forbidden_transfer_syntaxes": "{BIG_ENDIAN}",
        "allowed_addresses": "127.0.0.0/8",
    }},
}}.items():
    register_application_entity(system_principal("test"), title=title, **rules)
"""


@dataclass
class Certificates:
    """A CA and what it signed, made by openssl."""

    folder: Path

    def openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def authority(self, name: str = "ca") -> None:
        self.openssl(
            *("req", "-x509", *KEY, "-nodes", "-days", "30"),
            *("-subj", f"/CN=Test {name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"),
        )

    def issue(self, name: str, authority: str = "ca") -> None:
        self.openssl(
            *("req", *KEY, "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr"),
        )
        (self.folder / f"{name}.ext").write_text("subjectAltName=DNS:localhost\n")
        self.openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-days", "30"),
            *("-CAkey", f"{authority}.key", "-CAcreateserial", "-extfile", f"{name}.ext"),
            *("-out", f"{name}.pem"),
        )

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def context(self, name: str | None) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=self.path("ca.pem"))
        if name:
            made.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
        return made


@dataclass
class Secure:
    server: DimseServer
    port: int
    certificates: Certificates

    def wire(self, name: str | None, context: ssl.SSLContext | None = None) -> Wire:
        plain = Wire(self.port)
        made = context or self.certificates.context(name)
        plain.socket = made.wrap_socket(plain.socket, server_hostname="localhost")
        return plain

    def rejected(self, calling: bytes, name: str) -> tuple[int, int, int]:
        with self.wire(name) as peer:
            return peer.rejection([ECHO], calling=calling)

    def dcmtk(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = self.certificates.path
        command = [
            program,
            "-aet",
            "CT_A",
            "-aec",
            "PACSWEB",
            "+tls",
            path("ct-a.key"),
            path("ct-a.pem"),
        ]
        command += ["+cf", path("ca.pem"), "-v", "localhost", str(self.port), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("certificates")
    certificates = Certificates(folder)
    certificates.authority()
    certificates.authority("other-ca")
    for name in ("pacsweb", "ct-a", "ct-b"):
        certificates.issue(name)
    certificates.issue("stranger", "other-ca")
    port = free_port()
    server = DimseServer(
        tmp_path_factory.mktemp("tls"),
        migrated_database,
        PACSWEB_DICOM_TLS_PORT=str(port),
        PACSWEB_DICOM_TLS_CERTIFICATE=certificates.path("pacsweb.pem"),
        PACSWEB_DICOM_TLS_KEY=certificates.path("pacsweb.key"),
        PACSWEB_DICOM_TLS_CA=certificates.path("ca.pem"),
    )
    server.sql(
        "insert into network_networkpolicy (id, unknown_callers, check_called_title,"
        " max_associations) values (1, 'accept', 1, 200)"
    )
    done = server.manage("shell", "-v0", "-c", ENTITIES)
    assert done.returncode == 0, done.stderr
    server.start("--artim-seconds", "4")
    yield Secure(server, port, certificates)
    server.stop()
    assert not server.faults(), server.log()


@pytest.mark.stranger
def test_strangers_echo_and_store_over_TLS(secure: Secure, tmp_path: Path) -> None:
    done = secure.dcmtk("echoscu")
    assert done.returncode == 0, done.stderr
    files = []
    for number in range(3):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(part10(ct_slice()))
        files.append(str(path))
    before = len(secure.server.ready())
    done = secure.dcmtk("storescu", *files)
    assert done.returncode == 0, done.stderr
    assert len(secure.server.ready()) == before + 3


def test_large_instances_and_pipelined_commands_over_TLS(secure: Secure) -> None:
    with secure.wire("ct-b") as peer:
        peer.associate([ECHO, context(3, CT, EXPLICIT)], calling=b"SECURE")
        for number in range(5):
            uid = f"1.2.3.77.{number}"
            data = wire.data_set(CT, uid, pixels=3_000_001 + number * 13)
            assert wire.status(peer.store(3, wire.store_command(CT, uid), data)) == 0
        for _ in range(40):
            peer.send(wire.p_data(wire.pdv(1, 3, C_ECHO)))
        assert {wire.status(peer.response()) for _ in range(40)} == {0}
        peer.release()
    secure.server.wait_for(
        lambda: any(r["calling_ae_title"] == "SECURE" for r in rows(secure.server))
    )
    noted = row(secure.server, "SECURE")
    assert noted["tls"].startswith("TLSv1.3 ")
    assert noted["certificate"] == "commonName=ct-b"
    assert noted["ending"] == "released"


def test_TLS_1_2_with_forward_secrecy_is_accepted_and_older_is_not(secure: Secure) -> None:
    older = secure.certificates.context("ct-b")
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with secure.wire(None, older) as peer:
        peer.associate([ECHO])
        assert isinstance(peer.socket, ssl.SSLSocket)
        name, version, _ = peer.socket.cipher() or ("", "", 0)
        assert version == "TLSv1.2"
        assert name.startswith("ECDHE-")
        assert "GCM" in name
        peer.release()
    weak = secure.certificates.context("ct-b")
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("ECDHE-ECDSA-AES256-SHA384")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        secure.wire(None, weak)


def test_a_certificate_opens_its_own_title_and_no_other(secure: Secure) -> None:
    with secure.wire("ct-a") as peer:
        peer.associate([ECHO], calling=b"CT_A")
        peer.release()
    assert secure.rejected(b"CT_A", "ct-b") == (1, 1, 3)
    assert secure.rejected(b"SOMEBODY", "ct-a") == (1, 1, 3)
    with secure.server.wire() as peer:
        assert peer.rejection([ECHO], calling=b"CT_A") == (1, 1, 1)
    with secure.server.wire() as peer:
        assert peer.rejection([ECHO], calling=b"SAFE") == (1, 1, 1)
    with secure.wire("ct-b") as peer:
        peer.associate([ECHO], calling=b"SAFE")
        peer.release()


def test_who_cannot_be_trusted_gets_no_association_and_is_recorded(secure: Secure) -> None:
    # The client hears of it with its first read: TLS 1.3 lets it finish before we have checked.
    for name in (None, "stranger"):
        with secure.wire(name) as peer, pytest.raises((ssl.SSLError, OSError, AssertionError)):
            peer.associate([ECHO])
    with Wire(secure.port) as peer:
        peer.send(wire.associate_rq([ECHO]))
        assert peer.closed()
    with secure.server.wire() as peer:
        peer.send(b"\x16\x03\x01\x02\x00" + bytes(512))
        assert peer.closed()
    wanted = {
        "the device showed no certificate",
        "certificate not trusted: unable to get local issuer certificate",
        "the device does not speak TLS on the TLS port",
        "the device speaks TLS on the port without TLS",
    }
    secure.server.wait_for(
        lambda: wanted <= {r["reason"] for r in rows(secure.server) if r["ending"] == "tls"}
    )


def test_NEG_11_silence_in_the_handshake_blocks_nobody(secure: Secure) -> None:
    silent = [Wire(secure.port) for _ in range(200)]
    hello = _client_hello(secure)
    for half in silent[100:]:
        half.send(hello[:50])
    whole = [Wire(secure.port) for _ in range(20)]
    for each in whole:
        each.send(hello)
    began = time.monotonic()
    with secure.wire("ct-b") as peer:
        peer.associate([ECHO])
        peer.send(wire.p_data(wire.pdv(1, 3, C_ECHO)))
        assert wire.status(peer.response()) == 0
        peer.release()
    assert time.monotonic() - began < 2
    for each in (*silent, *whole):
        assert each.closed()
        each.socket.close()


def titles(server: DimseServer) -> set[str]:
    return {each["calling_ae_title"] for each in rows(server)}


def _client_hello(secure: Secure) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = secure.certificates.context("ct-b").wrap_bio(
        incoming, outgoing, server_hostname="localhost"
    )
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def test_rules_of_an_AE_decide_contexts(secure: Secure) -> None:
    with secure.server.wire() as peer:
        accepted = peer.associate(
            [
                ECHO,
                context(3, CT, IMPLICIT, EXPLICIT),
                context(5, CT, BIG_ENDIAN),
                context(7, CT, BIG_ENDIAN, IMPLICIT),
                context(9, MR, EXPLICIT),
            ],
            calling=b"RULED",
        )
        peer.release()
    assert {number: result for number, (result, _) in accepted.contexts.items()} == {
        1: 0,
        3: 0,
        5: 4,
        7: 0,
        9: 1,
    }
    assert accepted.contexts[3][1] == [EXPLICIT]
    assert accepted.contexts[7][1] == [IMPLICIT]
    secure.server.wait_for(
        lambda: any(r["calling_ae_title"] == "RULED" for r in rows(secure.server))
    )
    told = row(secure.server, "RULED")["contexts"]
    assert "Transfer Syntax forbidden" in told
    assert "SOP Class forbidden" in told


def test_an_AE_calls_from_its_networks_alone(secure: Secure) -> None:
    with secure.server.wire() as peer:
        assert peer.rejection([ECHO], calling=b"FAR") == (1, 1, 3)


def test_a_renewed_certificate_is_used_without_a_restart(secure: Secure) -> None:
    def serial() -> int:
        with secure.wire("ct-b") as peer:
            assert isinstance(peer.socket, ssl.SSLSocket)
            certificate = peer.socket.getpeercert() or {}
            return int(str(certificate["serialNumber"]), 16)

    before = serial()
    secure.certificates.issue("pacsweb")
    assert serial() != before


def test_wrong_settings_are_one_sentence_and_exit_code_2(secure: Secure, tmp_path: Path) -> None:
    other = DimseServer(tmp_path / "data", None)
    tls = {k: v for k, v in secure.server.environment.items() if "_TLS_" in k}
    tls["PACSWEB_DICOM_TLS_PORT"] = str(free_port())
    other.environment |= tls | {"PACSWEB_DICOM_TLS_CA": ""}
    done = other.manage("dimse")
    assert done.returncode == 2
    assert "PACSWEB_DICOM_TLS_CLIENTS=none" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_we_call_over_TLS_is_checked_and_recorded(secure: Secure, settings: Any) -> None:
    path = secure.certificates.path
    settings.PACSWEB = dataclasses.replace(
        settings.PACSWEB,
        dicom_tls_certificate=path("ct-b.pem"),
        dicom_tls_key=path("ct-b.key"),
        dicom_tls_ca=path("ca.pem"),
    )
    remote = Remote("PACSWEB", "localhost", secure.port, "CALLER", use_tls=True)
    assert echo(remote) == 0
    with pytest.raises(PeerUnreachable, match=r"does not match|not valid for"):
        echo(dataclasses.replace(remote, host="127.0.0.1"))
    settings.PACSWEB = dataclasses.replace(settings.PACSWEB, dicom_tls_ca=path("other-ca.pem"))
    with pytest.raises(PeerUnreachable, match="certificate not trusted"):
        echo(remote)
    with pytest.raises(PeerUnreachable, match="cannot be reached"):
        echo(Remote("NOBODY", "127.0.0.1", free_port(), "CALLER"))
    notes = [each for each in PROCESS_RECORDER.waiting() if each.calling_ae_title == "CALLER"]
    assert [each.ending for each in notes] == ["released", "tls", "tls", "unreachable"]
    assert notes[0].tls.startswith("TLSv1.3 ")
    assert notes[0].operations == {"C-ECHO": {"0000": 1}}
    assert notes[0].contexts[0].why == "accepted"


def test_normalized_services_go_out_by_the_same_way(secure: Secure, settings: Any) -> None:
    """MPPS forward, availability notices, UPS events: TLS, checked, recorded."""
    path = secure.certificates.path
    settings.PACSWEB = dataclasses.replace(
        settings.PACSWEB,
        dicom_tls_certificate=path("ct-b.pem"),
        dicom_tls_key=path("ct-b.key"),
        dicom_tls_ca=path("ca.pem"),
    )
    remote = Remote("PACSWEB", "localhost", secure.port, "NCALLER", use_tls=True)
    with normalized_association(remote, MPPS) as association:
        outcome = association.create("1.2.3.4.5.678", {})
    assert (outcome.status, outcome.accepted) == (0x0120, False)  # attributes are missing
    settings.PACSWEB = dataclasses.replace(settings.PACSWEB, dicom_tls_ca=path("other-ca.pem"))
    with (
        pytest.raises(PeerUnreachable, match="certificate not trusted"),
        normalized_association(remote, MPPS),
    ):
        pytest.fail("nothing is sent to a peer that is not trusted")
    good, bad = (each for each in PROCESS_RECORDER.waiting() if each.calling_ae_title == "NCALLER")
    assert good.tls.startswith("TLSv1.3 ")
    assert good.operations == {"N-CREATE": {"0120": 1}}
    assert (good.ending, bad.ending) == ("released", "tls")


@pytest.mark.django_db
def test_what_the_statement_claims_of_TLS_is_proved(secure: Secure, settings: Any) -> None:
    """And a claim that is not so fails."""
    path = secure.certificates.path
    settings.PACSWEB = dataclasses.replace(
        settings.PACSWEB,
        dicom_tls_port=secure.port,
        dicom_tls_certificate=path("ct-b.pem"),
        dicom_tls_key=path("ct-b.key"),
        dicom_tls_clients="required",
    )
    target = Remote("PACSWEB", "localhost", secure.server.port, "CT_B")
    claimed = conformance_statement().claims_of("tls")
    outcomes = {each.claim.id: each for each in security_test.handshakes(claimed, target)}
    assert set(outcomes) == {"tls:1.3", "tls:1.2", "tls:older", "tls:clients", "tls:plain"}
    assert not [f"{key}: {each.detail}" for key, each in outcomes.items() if not each.passed]
    assert "ECDHE-ECDSA-AES256-GCM-SHA384" in outcomes["tls:1.2"].detail
    settings.PACSWEB = dataclasses.replace(settings.PACSWEB, dicom_tls_clients="optional")
    claimed = [each for each in conformance_statement().claims_of("tls") if "clients" in each.id]
    assert [each.passed for each in security_test.handshakes(claimed, target)] == [False]
