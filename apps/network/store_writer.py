"""C-STORE requests written straight from where the bytes lie: few large writes, no object per PDU.

The data set is read into the gaps between PDU headers of one buffer, so that a file costs one
scattered read and one write for each mebibyte, whatever PDU length the peer takes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from apps.dicom import command_set
from apps.network.p_data import (
    IS_COMMAND,
    IS_LAST,
    P_DATA_TF,
    PDU_HEADER,
    PDV_FIELDS,
    PDV_HEADER,
    fragment_room,
    pdus,
)

_BUFFER_BYTES: Final = 1 << 20
# preadv takes at most this many places.
_MOST_PLACES: Final = 512
_HEADS: Final = PDU_HEADER.size + PDV_HEADER.size


class SourceEndedError(OSError):
    """The object is shorter than was announced: the message under way cannot be completed."""


class Source(Protocol):
    """Where a data set's bytes come from, in order."""

    def fill(self, places: Sequence[memoryview]) -> None:
        """Fills all places. Raises SourceEndedError, OSError."""


@dataclass(slots=True)
class FileSource:
    """A part of a local file."""

    descriptor: int
    offset: int

    def fill(self, places: Sequence[memoryview]) -> None:
        left = list(places)
        while left:
            got = os.preadv(self.descriptor, left, self.offset)
            if not got:
                raise SourceEndedError("the stored object is cut off")
            self.offset += got
            while left and got >= len(left[0]):
                got -= len(left.pop(0))
            if got:
                left[0] = left[0][got:]


class ChunkSource:
    """Bytes that come in chunks of any length."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def fill(self, places: Sequence[memoryview]) -> None:
        for place in places:
            at = 0
            while at < len(place):
                while not self._rest:
                    chunk = next(self._chunks, None)
                    if chunk is None:
                        raise SourceEndedError("the stored object is cut off")
                    self._rest = memoryview(chunk)
                part = self._rest[: len(place) - at]
                place[at : at + len(part)] = part
                self._rest = self._rest[len(part) :]
                at += len(part)


@dataclass(frozen=True, slots=True)
class StoreCommand:
    """What a C-STORE-RQ says (PS3.7 9.3.1.1); the originator only in C-MOVE sub-operations."""

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    move_originator: str = ""
    move_message_id: int | None = None

    def encoded(self) -> bytes:
        """The command set."""
        values: dict[int, command_set.Value] = {
            command_set.AFFECTED_SOP_CLASS_UID: self.sop_class_uid,
            command_set.COMMAND_FIELD: command_set.C_STORE_RQ,
            command_set.MESSAGE_ID: self.message_id,
            command_set.PRIORITY: 0,
            command_set.COMMAND_DATA_SET_TYPE: command_set.A_DATA_SET,
            command_set.AFFECTED_SOP_INSTANCE_UID: self.sop_instance_uid,
            command_set.MOVE_ORIGINATOR_AE_TITLE: self.move_originator,
        }
        if self.move_message_id is not None:
            values[command_set.MOVE_ORIGINATOR_MESSAGE_ID] = self.move_message_id
        return command_set.command_set(values)


class StoreWriter:
    """Writes C-STORE requests of one association. Used by one thread."""

    def __init__(self, send: Callable[[memoryview], None], peer_maximum: int) -> None:
        self._send = send
        self._peer_maximum = peer_maximum
        self._room = fragment_room(peer_maximum)
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))

    def write(self, context_id: int, command: StoreCommand, source: Source, length: int) -> None:
        """The whole message; `length` bytes of data set come from `source`.

        Raises what the source raises and what sending raises: the association cannot go on then.
        """
        head = b"".join(pdus(context_id, IS_COMMAND, command.encoded(), self._peer_maximum))
        self._buffer[: len(head)] = head
        used, left = len(head), length
        while left or used:
            used, left = self._batch(context_id, source, used, left)

    def _batch(self, context_id: int, source: Source, used: int, left: int) -> tuple[int, int]:
        """Sends what is in the buffer and as much of the data set as fits behind it."""
        places: list[memoryview] = []
        while left and len(places) < _MOST_PLACES:
            size = min(self._room, left)
            if used + _HEADS + size > _BUFFER_BYTES:
                break
            left -= size
            last = 0 if left else IS_LAST
            PDU_HEADER.pack_into(self._buffer, used, P_DATA_TF, size + PDV_HEADER.size)
            PDV_HEADER.pack_into(
                self._buffer, used + PDU_HEADER.size, size + PDV_FIELDS, context_id, last
            )
            used += _HEADS
            places.append(self._buffer[used : used + size])
            used += size
        if places:
            source.fill(places)
        self._send(self._buffer[:used])
        return 0, left
