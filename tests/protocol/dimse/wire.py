"""Hand-made PDUs: what no library would send, and answers read byte by byte (PS3.8 9.3)."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from typing import Self

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def context(context_id: int, abstract: str, *transfer: str) -> bytes:
    names = item(0x30, abstract.encode()) + b"".join(item(0x40, uid.encode()) for uid in transfer)
    return item(0x20, bytes([context_id, 0, 0, 0]) + names)


def user_information(maximum: int = 16384, extra: bytes = b"") -> bytes:
    return item(0x50, item(0x51, struct.pack(">I", maximum)) + item(0x52, b"1.2.3.4.5.6") + extra)


def associate_rq(
    contexts: list[bytes],
    *,
    called: bytes = b"PACSWEB",
    calling: bytes = b"RAWSCU",
    users: bytes | None = None,
    application_context: str = APPLICATION_CONTEXT,
    version: int = 1,
    extra_items: bytes = b"",
) -> bytes:
    body = (
        struct.pack(">HH", version, 0)
        + called.ljust(16)
        + calling.ljust(16)
        + bytes(32)
        + item(0x10, application_context.encode())
        + extra_items
        + b"".join(contexts)
        + (user_information() if users is None else users)
    )
    return struct.pack(">BxI", 1, len(body)) + body


def pdv(context_id: int, control: int, value: bytes) -> bytes:
    return struct.pack(">IBB", len(value) + 2, context_id, control) + value


def p_data(*items: bytes) -> bytes:
    body = b"".join(items)
    return struct.pack(">BxI", 4, len(body)) + body


def command(**elements: object) -> bytes:
    """A command set from `e0110=7` or `e0002="1.2.3"`: element number to US or UI value."""
    body = b""
    for name in sorted(elements):
        value = elements[name]
        if isinstance(value, int):
            raw = struct.pack("<H", value)
        else:
            raw = str(value).encode()
            raw += b"\0" * (len(raw) % 2)
        body += struct.pack("<HHI", 0, int(name[1:], 16), len(raw)) + raw
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def store_command(sop_class: str, sop_instance: str, message_id: int = 1, **more: object) -> bytes:
    elements: dict[str, object] = {
        "e0002": sop_class,
        "e0100": 1,
        "e0110": message_id,
        "e0700": 0,
        "e0800": 1,
        "e1000": sop_instance,
    }
    elements |= more
    return command(**{name: value for name, value in elements.items() if value is not None})


def explicit(tag: int, vr: bytes, value: bytes) -> bytes:
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    if vr in {b"OB", b"OW", b"UN", b"SQ"}:
        return head + struct.pack("<HI", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def data_set(
    sop_class: str, sop_instance: str, *, pixels: int = 2000, name: bytes = b"A^B"
) -> bytes:
    """A small data set in Explicit VR Little Endian."""

    def ui(text: str) -> bytes:
        return text.encode() + b"\0" * (len(text) % 2)

    name += b" " * (len(name) % 2)
    return b"".join(
        [
            explicit(0x00080008, b"CS", b"ORIGINAL"),
            explicit(0x00080016, b"UI", ui(sop_class)) if sop_class else b"",
            explicit(0x00080018, b"UI", ui(sop_instance)) if sop_instance else b"",
            explicit(0x00080060, b"CS", b"CT"),
            explicit(0x00100010, b"PN", name),
            explicit(0x00100020, b"LO", b"ID12"),
            explicit(0x0020000D, b"UI", ui("1.2.3.4.1")),
            explicit(0x0020000E, b"UI", ui("1.2.3.4.1.1")),
            explicit(0x7FE00010, b"OW", bytes(pixels)),
        ]
    )


@dataclass
class Accepted:
    """An A-ASSOCIATE-AC, taken apart."""

    raw: bytes
    contexts: dict[int, tuple[int, list[str]]] = field(default_factory=dict)
    user_items: dict[int, list[bytes]] = field(default_factory=dict)

    @classmethod
    def parse(cls, body: bytes) -> Accepted:
        accepted = cls(body)
        for kind, value in items(body[68:]):
            if kind == 0x21:
                syntaxes = [raw.rstrip(b"\0").decode() for _, raw in items(value[4:])]
                accepted.contexts[value[0]] = (value[2], syntaxes)
            if kind == 0x50:
                for sub, raw in items(value):
                    accepted.user_items.setdefault(sub, []).append(raw)
        return accepted


def items(raw: bytes) -> list[tuple[int, bytes]]:
    found = []
    while raw:
        kind, length = struct.unpack_from(">BxH", raw)
        found.append((kind, raw[4 : 4 + length]))
        raw = raw[4 + length :]
    return found


class ClosedError(AssertionError):
    """The other side closed the connection."""


class Wire:
    """A TCP connection to the receiver."""

    def __init__(self, port: int, timeout: float = 10.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def exactly(self, length: int) -> bytes:
        got = b""
        while len(got) < length:
            try:
                part = self.socket.recv(length - len(got))
            except ConnectionResetError:
                part = b""
            if not part:
                raise ClosedError(f"closed after {len(got)} of {length} bytes")
            got += part
        return got

    def pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", self.exactly(6))
        return kind, self.exactly(length)

    def associate(self, contexts: list[bytes], **options: object) -> Accepted:
        self.send(associate_rq(contexts, **options))  # type: ignore[arg-type]
        kind, body = self.pdu()
        assert kind == 2, (kind, body)
        return Accepted.parse(body)

    def rejection(self, contexts: list[bytes], **options: object) -> tuple[int, int, int]:
        self.send(associate_rq(contexts, **options))  # type: ignore[arg-type]
        kind, body = self.pdu()
        assert kind == 3, (kind, body)
        return body[1], body[2], body[3]

    def response(self) -> dict[int, bytes]:
        """One command set, joined from its fragments."""
        encoded = b""
        while True:
            kind, body = self.pdu()
            assert kind == 4, (kind, body)
            while body:
                length, _, control = struct.unpack_from(">IBB", body)
                encoded += body[6 : 4 + length]
                body = body[4 + length :]
                if control & 2:
                    return elements(encoded)

    def store(self, context_id: int, command_set: bytes, data: bytes) -> dict[int, bytes]:
        self.send(p_data(pdv(context_id, 3, command_set)) + p_data(pdv(context_id, 2, data)))
        return self.response()

    def release(self) -> None:
        self.send(bytes.fromhex("05000000000400000000"))
        kind, _ = self.pdu()
        assert kind == 6, kind

    def closed(self) -> bool:
        """True when the other side ends the connection (an A-ABORT before it is fine)."""
        try:
            while True:
                self.exactly(1)
        except ClosedError:
            return True
        except TimeoutError:
            return False


def elements(encoded: bytes) -> dict[int, bytes]:
    found = {}
    while encoded:
        group, element, length = struct.unpack_from("<HHI", encoded)
        assert group == 0
        found[element] = encoded[8 : 8 + length]
        encoded = encoded[8 + length :]
    return found


def status(response: dict[int, bytes]) -> int:
    return struct.unpack("<H", response[0x0900])[0]
