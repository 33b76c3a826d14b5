"""Command sets: Implicit VR Little Endian whatever the context's syntax (PS3.7 6.3.1, E.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

C_STORE_RQ = 0x0001
C_STORE_RSP = 0x8001

# Element numbers of group 0000.
_AFFECTED_SOP_CLASS_UID = 0x0002
_COMMAND_FIELD = 0x0100
_MESSAGE_ID = 0x0110
_MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
_COMMAND_DATA_SET_TYPE = 0x0800
_STATUS = 0x0900
_ERROR_COMMENT = 0x0902
_AFFECTED_SOP_INSTANCE_UID = 0x1000

_NO_DATA_SET = 0x0101
_HEADER = struct.Struct("<HHI")
_US = struct.Struct("<H")


class CommandSetError(ValueError):
    """The command set cannot be read, or lacks what an answer needs."""


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """A C-STORE-RQ (PS3.7 9.3.1.1). UIDs as sent, without padding; empty where missing."""

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    has_data_set: bool


def read_command(encoded: bytes) -> dict[int, bytes]:
    """Element number to raw value. Raises CommandSetError."""
    elements: dict[int, bytes] = {}
    offset, end = 0, len(encoded)
    while offset < end:
        if offset + 8 > end:
            raise CommandSetError("the command set ends inside an element")
        group, element, length = _HEADER.unpack_from(encoded, offset)
        offset += 8
        if group != 0 or offset + length > end:
            raise CommandSetError("the command set is not one")
        elements[element] = encoded[offset : offset + length]
        offset += length
    return elements


def command_field(elements: dict[int, bytes]) -> int:
    """Which DIMSE message this is. Raises CommandSetError."""
    return _number(elements, _COMMAND_FIELD)


def has_data_set(elements: dict[int, bytes]) -> bool:
    """Whether a data set follows the command. Raises CommandSetError."""
    return _number(elements, _COMMAND_DATA_SET_TYPE) != _NO_DATA_SET


def store_request(elements: dict[int, bytes]) -> StoreRequest:
    """The C-STORE-RQ. Raises CommandSetError where not even an answer could be addressed."""
    return StoreRequest(
        message_id=_number(elements, _MESSAGE_ID),
        sop_class_uid=_uid(elements, _AFFECTED_SOP_CLASS_UID),
        sop_instance_uid=_uid(elements, _AFFECTED_SOP_INSTANCE_UID),
        has_data_set=has_data_set(elements),
    )


def store_response(request: StoreRequest, status: int, comment: str) -> bytes:
    """A C-STORE-RSP with group length first (PS3.7 9.3.1.2)."""
    body = b"".join(
        (
            _text(_AFFECTED_SOP_CLASS_UID, request.sop_class_uid, b"\0"),
            _unsigned(_COMMAND_FIELD, C_STORE_RSP),
            _unsigned(_MESSAGE_ID_BEING_RESPONDED_TO, request.message_id),
            _unsigned(_COMMAND_DATA_SET_TYPE, _NO_DATA_SET),
            _unsigned(_STATUS, status),
            _text(_ERROR_COMMENT, comment[:64], b" "),
            _text(_AFFECTED_SOP_INSTANCE_UID, request.sop_instance_uid, b"\0"),
        )
    )
    return _HEADER.pack(0, 0, 4) + struct.pack("<I", len(body)) + body


def _number(elements: dict[int, bytes], element: int) -> int:
    value = elements.get(element, b"")
    if len(value) != _US.size:
        raise CommandSetError(f"(0000,{element:04X}) is missing or not one number")
    return int(_US.unpack(value)[0])


def _uid(elements: dict[int, bytes], element: int) -> str:
    return elements.get(element, b"").rstrip(b"\0 ").decode("latin-1").strip()


def _unsigned(element: int, value: int) -> bytes:
    return _HEADER.pack(0, element, 2) + _US.pack(value)


def _text(element: int, value: str, padding: bytes) -> bytes:
    if not value:
        return b""
    raw = value.encode("ascii", "replace")
    raw += padding * (len(raw) % 2)
    return _HEADER.pack(0, element, len(raw)) + raw
