"""Command sets: Implicit VR Little Endian whatever the context's syntax (PS3.7 6.3.1, E.1)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

C_STORE_RQ: Final = 0x0001
C_GET_RQ: Final = 0x0010
C_FIND_RQ: Final = 0x0020
C_MOVE_RQ: Final = 0x0021
C_ECHO_RQ: Final = 0x0030
N_EVENT_REPORT_RQ: Final = 0x0100
N_GET_RQ: Final = 0x0110
N_SET_RQ: Final = 0x0120
N_ACTION_RQ: Final = 0x0130
N_CREATE_RQ: Final = 0x0140
N_DELETE_RQ: Final = 0x0150
C_CANCEL_RQ: Final = 0x0FFF
RESPONSE: Final = 0x8000  # set in the Command Field of every response
C_STORE_RSP: Final = C_STORE_RQ | RESPONSE

COMMAND_NAMES: Final[dict[int, str]] = {
    C_STORE_RQ: "C-STORE",
    C_GET_RQ: "C-GET",
    C_FIND_RQ: "C-FIND",
    C_MOVE_RQ: "C-MOVE",
    C_ECHO_RQ: "C-ECHO",
    N_EVENT_REPORT_RQ: "N-EVENT-REPORT",
    N_GET_RQ: "N-GET",
    N_SET_RQ: "N-SET",
    N_ACTION_RQ: "N-ACTION",
    N_CREATE_RQ: "N-CREATE",
    N_DELETE_RQ: "N-DELETE",
    C_CANCEL_RQ: "C-CANCEL",
}

# Element numbers of group 0000 (PS3.7 E.1).
AFFECTED_SOP_CLASS_UID: Final = 0x0002
REQUESTED_SOP_CLASS_UID: Final = 0x0003
COMMAND_FIELD: Final = 0x0100
MESSAGE_ID: Final = 0x0110
MESSAGE_ID_BEING_RESPONDED_TO: Final = 0x0120
MOVE_DESTINATION: Final = 0x0600
PRIORITY: Final = 0x0700
COMMAND_DATA_SET_TYPE: Final = 0x0800
STATUS: Final = 0x0900
OFFENDING_ELEMENT: Final = 0x0901
ERROR_COMMENT: Final = 0x0902
ERROR_ID: Final = 0x0903
AFFECTED_SOP_INSTANCE_UID: Final = 0x1000
REQUESTED_SOP_INSTANCE_UID: Final = 0x1001
EVENT_TYPE_ID: Final = 0x1002
ATTRIBUTE_IDENTIFIER_LIST: Final = 0x1005
ACTION_TYPE_ID: Final = 0x1008
NUMBER_OF_REMAINING: Final = 0x1020
NUMBER_OF_COMPLETED: Final = 0x1021
NUMBER_OF_FAILED: Final = 0x1022
NUMBER_OF_WARNING: Final = 0x1023
MOVE_ORIGINATOR_AE_TITLE: Final = 0x1030
MOVE_ORIGINATOR_MESSAGE_ID: Final = 0x1031

NO_DATA_SET: Final = 0x0101
A_DATA_SET: Final = 0x0001
LONGEST_COMMENT: Final = 64
_HEADER = struct.Struct("<HHI")
_US = struct.Struct("<H")
_UID_ELEMENTS: Final = frozenset({0x0002, 0x0003, 0x1000, 0x1001})
# What a command set may hold: numbers (US), text (UI, AE, LO), lists of tags (AT).
Value = int | str | tuple[int, ...]


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


def command_field(elements: Mapping[int, bytes]) -> int:
    """Which DIMSE message this is. Raises CommandSetError."""
    return number(elements, COMMAND_FIELD)


def has_data_set(elements: Mapping[int, bytes]) -> bool:
    """Whether a data set follows the command. Raises CommandSetError."""
    return number(elements, COMMAND_DATA_SET_TYPE) != NO_DATA_SET


def store_request(elements: Mapping[int, bytes]) -> StoreRequest:
    """The C-STORE-RQ. Raises CommandSetError where not even an answer could be addressed."""
    return StoreRequest(
        message_id=number(elements, MESSAGE_ID),
        sop_class_uid=text(elements, AFFECTED_SOP_CLASS_UID),
        sop_instance_uid=text(elements, AFFECTED_SOP_INSTANCE_UID),
        has_data_set=has_data_set(elements),
    )


def store_response(request: StoreRequest, status: int, comment: str) -> bytes:
    """A C-STORE-RSP with group length first (PS3.7 9.3.1.2)."""
    return command_set(
        {
            AFFECTED_SOP_CLASS_UID: request.sop_class_uid,
            COMMAND_FIELD: C_STORE_RSP,
            MESSAGE_ID_BEING_RESPONDED_TO: request.message_id,
            COMMAND_DATA_SET_TYPE: NO_DATA_SET,
            STATUS: status,
            ERROR_COMMENT: comment[:LONGEST_COMMENT],
            AFFECTED_SOP_INSTANCE_UID: request.sop_instance_uid,
        }
    )


def command_set(values: Mapping[int, Value]) -> bytes:
    """Encodes element number to value, in order, group length first; empty values are left out."""
    body = b"".join(
        _element(element, values[element])
        for element in sorted(values)
        if values[element] not in ("", ())
    )
    return _HEADER.pack(0, 0, 4) + struct.pack("<I", len(body)) + body


def number(elements: Mapping[int, bytes], element: int) -> int:
    """The one unsigned number of an element. Raises CommandSetError."""
    value = elements.get(element, b"")
    if len(value) != _US.size:
        raise CommandSetError(f"(0000,{element:04X}) is missing or not one number")
    return int(_US.unpack(value)[0])


def text(elements: Mapping[int, bytes], element: int) -> str:
    """The text of an element without padding, `""` where it is missing."""
    return elements.get(element, b"").rstrip(b"\0 ").decode("latin-1").strip()


def _element(element: int, value: Value) -> bytes:
    if isinstance(value, int):
        raw = _US.pack(value)
    elif isinstance(value, str):
        raw = value.encode("ascii", "replace")
        raw += (b"\0" if element in _UID_ELEMENTS else b" ") * (len(raw) % 2)
    else:
        raw = b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in value)
    return _HEADER.pack(0, element, len(raw)) + raw
