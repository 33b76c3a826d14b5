"""P-DATA of one association, read straight from the buffer (PS3.8 9.3.5, annex E).

A C-STORE-RQ and its data set are consumed on the spot: command, bytes into the operation, answer;
no object per PDU, no queue, no other thread. Fragments of every other message are handed on.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

from apps.dimse.command_set import (
    C_STORE_RQ,
    CommandSetError,
    StoreRequest,
    command_field,
    has_data_set,
    read_command,
    store_request,
    store_response,
)
from apps.dimse.receive_buffer import ReceiveBuffer
from apps.dimse.status import Answer

P_DATA_TF = 0x04
LARGEST_COMMAND = 64 * 1024
# Identifiers of other services are small; what we announce is smaller still (PS3.8 D.1).
LARGEST_OTHER_FRAGMENT = 16 * 1024 * 1024
LARGEST_OTHER_MESSAGE = 64 * 1024 * 1024

_PDU = struct.Struct(">BxI")
_PDV = struct.Struct(">IBB")
_PDV_FIELDS = 2  # context id and control header count into an item's length
_IS_COMMAND, _IS_LAST = 1, 2


class ProtocolError(Exception):
    """The peer broke PS3.8 or PS3.7 so that the association cannot go on."""


class Operation(Protocol):
    """What takes a data set."""

    size: int

    def write(self, chunk: memoryview) -> None: ...
    def finish(self) -> Answer: ...
    def abandon(self) -> None: ...


class StoreService(Protocol):
    """Who begins operations and hears of their end; raises ProtocolError for a bad context."""

    def begin(self, context_id: int, request: StoreRequest) -> Operation: ...
    def answered(self, answer: Answer, size: int) -> None: ...


class DataTransfer:
    """Where we are inside PDU, fragment and message. Used by one thread."""

    def __init__(
        self,
        buffer: ReceiveBuffer,
        service: StoreService,
        send: Callable[[bytes], None],
        hand_on: Callable[[int, int, bytes], None],
    ) -> None:
        self._buffer = buffer
        self._service = service
        self._send = send
        self._hand_on = hand_on
        self._pdu_left = 0
        self._command = bytearray()
        self._context_id = 0
        self._request: StoreRequest | None = None
        self._operation: Operation | None = None
        # Bytes of the data set under way that went to somebody else; None while there is none.
        self._handed_on: int | None = None
        self.peer_maximum = 0  # longest P-DATA-TF the peer takes, 0 for any (PS3.8 D.1)

    @property
    def busy(self) -> bool:
        """True inside a message: from its first fragment to its last."""
        return bool(self._command) or self._operation is not None or self._handed_on is not None

    def receive(self) -> bool:
        """Goes on to the end of a message or of one handed-on fragment.

        False when the next PDU is not P-DATA-TF; it is still in the buffer then.
        Raises ProtocolError, ConnectionLostError.
        """
        while True:
            while self._pdu_left == 0:
                kind, length = _PDU.unpack(self._buffer.peek(_PDU.size))
                if kind != P_DATA_TF:
                    return False
                self._buffer.skip(_PDU.size)
                self._pdu_left = length
            if self._fragment():
                return True

    def abandon(self) -> None:
        """The association is over; what is half received is forgotten."""
        if self._operation is not None:
            self._operation.abandon()
            self._operation = None

    def _fragment(self) -> bool:
        """One presentation data value; True when the caller should look around."""
        if self._pdu_left < _PDV.size:
            raise ProtocolError("a P-DATA-TF ends inside an item header")
        length, context_id, control = _PDV.unpack(self._buffer.peek(_PDV.size))
        if length < _PDV_FIELDS or length + 4 > self._pdu_left:
            raise ProtocolError("an item does not fit its P-DATA-TF")
        self._buffer.skip(_PDV.size)
        self._pdu_left -= length + 4
        last = bool(control & _IS_LAST)
        if control & _IS_COMMAND:
            return self._command_fragment(context_id, length - _PDV_FIELDS, last=last)
        if self._operation is not None:
            return self._data_fragment(context_id, length - _PDV_FIELDS, last=last)
        self._pass_fragment(context_id, control, length - _PDV_FIELDS)
        return True

    def _command_fragment(self, context_id: int, length: int, *, last: bool) -> bool:
        if self._operation is not None:
            raise ProtocolError("a command inside a data set")
        if len(self._command) + length > LARGEST_COMMAND:
            raise ProtocolError("the command set is too long")
        self._command += self._buffer.take(length)
        if not last:
            return False
        encoded, self._command = bytes(self._command), bytearray()
        try:
            elements = read_command(encoded)
            if command_field(elements) != C_STORE_RQ:
                self._handed_on = 0 if has_data_set(elements) else None
                self._hand_on(context_id, _IS_COMMAND | _IS_LAST, encoded)
                return True
            self._request = store_request(elements)
        except CommandSetError as error:
            raise ProtocolError(str(error)) from error
        self._context_id = context_id
        self._operation = self._service.begin(context_id, self._request)
        return not self._request.has_data_set and self._finish()

    def _data_fragment(self, context_id: int, length: int, *, last: bool) -> bool:
        if context_id != self._context_id:
            raise ProtocolError("the data set came in another presentation context")
        assert self._operation is not None
        while length:
            chunk = self._buffer.run(length)
            self._operation.write(chunk)
            length -= len(chunk)
        return last and self._finish()

    def _pass_fragment(self, context_id: int, control: int, length: int) -> None:
        if self._handed_on is None:
            raise ProtocolError("a data set without a command")
        self._handed_on += length
        if length > LARGEST_OTHER_FRAGMENT or self._handed_on > LARGEST_OTHER_MESSAGE:
            raise ProtocolError("the data set of a message other than C-STORE is too long")
        self._hand_on(context_id, control, self._buffer.take(length))
        if control & _IS_LAST:
            self._handed_on = None

    def _finish(self) -> bool:
        assert self._operation is not None
        assert self._request is not None
        answer = self._operation.finish()
        size = self._operation.size
        self._operation = None
        self._send(
            data_pdus(
                self._context_id,
                store_response(self._request, answer.status, answer.comment),
                self.peer_maximum,
            )
        )
        self._service.answered(answer, size)
        return True


def data_pdus(context_id: int, command: bytes, maximum: int) -> bytes:
    """The command set as P-DATA-TF PDUs, none longer than the peer takes; 0 means any length."""
    room = max(maximum - _PDV.size, 1) if maximum else len(command)
    pdus = bytearray()
    for start in range(0, len(command), room):
        part = command[start : start + room]
        control = _IS_COMMAND | (_IS_LAST if start + room >= len(command) else 0)
        pdus += _PDU.pack(P_DATA_TF, len(part) + _PDV.size)
        pdus += _PDV.pack(len(part) + _PDV_FIELDS, context_id, control) + part
    return bytes(pdus)
