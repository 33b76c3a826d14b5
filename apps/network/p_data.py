"""DIMSE messages as P-DATA-TF PDUs (PS3.8 9.3.5, annex E), without an object per PDU."""

from __future__ import annotations

import struct
from collections.abc import Iterator

P_DATA_TF = 0x04
IS_COMMAND, IS_LAST = 1, 2
PDU_HEADER = struct.Struct(">BxI")
PDV_HEADER = struct.Struct(">IBB")
PDV_FIELDS = 2  # context id and control header count into an item's length
_LARGEST_FRAGMENT = 128 * 1024


def fragment_room(peer_maximum: int) -> int:
    """Bytes of a message that fit into one PDU the peer takes; 0 means any length (PS3.8 D.1)."""
    if not peer_maximum:
        return _LARGEST_FRAGMENT
    return max(min(peer_maximum - PDV_HEADER.size, _LARGEST_FRAGMENT), 1)


def fragment_head(context_id: int, control: int, length: int) -> bytes:
    """Headers of a PDU that holds one fragment of `length` bytes."""
    return PDU_HEADER.pack(P_DATA_TF, length + PDV_HEADER.size) + PDV_HEADER.pack(
        length + PDV_FIELDS, context_id, control
    )


def pdus(context_id: int, control: int, value: bytes, peer_maximum: int) -> Iterator[bytes]:
    """`value` as PDUs, the last fragment marked; `control` is IS_COMMAND or 0."""
    room = fragment_room(peer_maximum)
    for start in range(0, len(value) or 1, room):
        part = value[start : start + room]
        last = IS_LAST if start + room >= len(value) else 0
        yield fragment_head(context_id, control | last, len(part)) + part


def message(context_id: int, command: bytes, data: bytes | None, peer_maximum: int) -> bytes:
    """A whole message; `data` is the encoded data set where the command announces one."""
    parts = [*pdus(context_id, IS_COMMAND, command, peer_maximum)]
    if data is not None:
        parts += pdus(context_id, 0, data, peer_maximum)
    return b"".join(parts)
