"""Peers we call that keep to the letter in odd ways, and peers that do not."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from apps.errors import PacsError
from apps.network import scu
from apps.network.associate_items import Remote
from tests.protocol.dimse import wire
from tests.protocol.dimse.wire import EXPLICIT, JPEG_BASELINE, STUDY_ROOT_FIND, item, p_data, pdv

RELEASE_RQ, RELEASE_RP = 5, bytes.fromhex("06000000000400000000")
PADDED = b"FAKE".ljust(16, b"\0") + b"PACSWEB".ljust(16, b"\0")
FOUND = wire.explicit(0x00080052, b"CS", b"STUDY ") + wire.explicit(0x0020000D, b"UI", b"1.2.3.4\0")


def accept(
    *, syntax: str = EXPLICIT, users: bytes | None = None, titles: bytes = b" " * 32
) -> bytes:
    body = struct.pack(">HH", 1, 0) + titles + bytes(32)
    body += item(0x10, wire.APPLICATION_CONTEXT.encode())
    body += item(0x21, bytes([1, 0, 0, 0]) + item(0x40, syntax.encode()))
    body += wire.user_information() if users is None else users
    return struct.pack(">BxI", 2, len(body)) + body


def response(status: int, data: bytes | None = None) -> bytes:
    encoded = wire.command(
        e0002=STUDY_ROOT_FIND,
        e0100=0x8020,
        e0120=1,
        e0800=0x101 if data is None else 1,
        e0900=status,
    )
    said = p_data(pdv(1, 1, encoded[:9]), pdv(1, 3, encoded[9:]))
    return said if data is None else said + p_data(pdv(1, 0, data)) + p_data(pdv(1, 2, b""))


@contextlib.contextmanager
def peer(first: bytes, then: bytes) -> Iterator[Remote]:
    """Says `first` to an association request and `then` to the first message."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(10)
            for said in (first, then):
                connection.recv(65536)
                connection.sendall(said)
            while said := connection.recv(65536):
                if said[0] == RELEASE_RQ:
                    connection.sendall(RELEASE_RP)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Remote("FAKE", "127.0.0.1", listener.getsockname()[1], "PACSWEB")
        thread.join(10)


def answers(remote: Remote) -> list[str]:
    return [found.texts[0x0020000D] for found in scu.find(remote, "STUDY", {0x0020000D: ""}, 10)]


@pytest.mark.parametrize(
    "accepted",
    [
        accept(),
        accept(titles=PADDED),
        accept(syntax=EXPLICIT + "\0"),
        accept(users=b""),
        accept(users=wire.user_information(1)),
        accept(users=wire.user_information(0, item(0x99, b"new"))),
    ],
)
def test_what_is_odd_but_clear_is_understood(accepted: bytes) -> None:
    with peer(accepted, response(0xFF00, FOUND) + response(0x0000)) as remote:
        assert answers(remote) == ["1.2.3.4"]


@pytest.mark.parametrize(
    ("accepted", "said", "told"),
    [
        (accept(), response(0xFF00, b"garbage!!"), "FAKE sent an answer that cannot be read."),
        (accept(), response(0xC001), "FAKE answered C001: it could not do what we asked."),
        (accept(syntax=JPEG_BASELINE), b"", "FAKE does not offer"),
        (accept(), bytes.fromhex("07000000000400000200"), "the peer aborted it"),
        (accept(), bytes.fromhex("05000000000400000000"), "the peer released it"),
        (accept(), struct.pack(">BxIIBB", 4, 0xFFFFFFF0, 0xFFFFFF00, 1, 3), "what is no DICOM"),
        (struct.pack(">BxI4B", 3, 4, 0, 1, 1, 7), b"", "does not go by that AE title"),
        (struct.pack(">BxI", 2, 0), b"", "FAKE does not offer"),
    ],
)
def test_what_is_wrong_with_a_peer_is_said_of_the_peer(
    accepted: bytes, said: bytes, told: str
) -> None:
    with peer(accepted, said) as remote, pytest.raises(PacsError) as caught:
        answers(remote)
    assert told in caught.value.message
