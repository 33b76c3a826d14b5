"""P-DATA of one association, read straight from the buffer (PS3.8 9.3.5, annex E).

A C-STORE-RQ and its data set are consumed on the spot: command, bytes into the operation, answer;
no object per PDU, no queue, no other thread. Every other message is put together and handed on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from apps.dicom.command_set import (
    C_STORE_RQ,
    CommandSetError,
    StoreRequest,
    command_field,
    has_data_set,
    read_command,
    store_request,
    store_response,
)
from apps.dimse.status import Answer
from apps.network.p_data import (
    IS_COMMAND,
    IS_LAST,
    P_DATA_TF,
    PDU_HEADER,
    PDV_FIELDS,
    PDV_HEADER,
    message,
)
from apps.network.receive_buffer import ReceiveBuffer

LARGEST_COMMAND = 64 * 1024
# Identifiers of other services are small; what we announce is smaller still (PS3.8 D.1).
LARGEST_OTHER_FRAGMENT = 16 * 1024 * 1024
LARGEST_OTHER_MESSAGE = 64 * 1024 * 1024


class ProtocolError(Exception):
    """The peer broke PS3.8 or PS3.7 so that the association cannot go on."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message other than C-STORE-RQ: its command set as read, its data set as received."""

    context_id: int
    command_field: int
    elements: dict[int, bytes]
    data: bytes


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
        hand_on: Callable[[Message], None],
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
        # The message under way that is for somebody else, and its data set so far.
        self._other: Message | None = None
        self._data = bytearray()
        self.peer_maximum = 0  # longest P-DATA-TF the peer takes, 0 for any (PS3.8 D.1)

    @property
    def busy(self) -> bool:
        """True inside a message: from its first fragment to its last."""
        return bool(self._command) or self._operation is not None or self._other is not None

    def receive(self) -> bool:
        """Goes on to the end of a message.

        False when the next PDU is not P-DATA-TF; it is still in the buffer then.
        Raises ProtocolError, ConnectionLostError.
        """
        while True:
            while self._pdu_left == 0:
                kind, length = PDU_HEADER.unpack(self._buffer.peek(PDU_HEADER.size))
                if kind != P_DATA_TF:
                    return False
                self._buffer.skip(PDU_HEADER.size)
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
        if self._pdu_left < PDV_HEADER.size:
            raise ProtocolError("a P-DATA-TF ends inside an item header")
        length, context_id, control = PDV_HEADER.unpack(self._buffer.peek(PDV_HEADER.size))
        if length < PDV_FIELDS or length + 4 > self._pdu_left:
            raise ProtocolError("an item does not fit its P-DATA-TF")
        self._buffer.skip(PDV_HEADER.size)
        self._pdu_left -= length + 4
        last = bool(control & IS_LAST)
        if control & IS_COMMAND:
            return self._command_fragment(context_id, length - PDV_FIELDS, last=last)
        if self._operation is not None:
            return self._data_fragment(context_id, length - PDV_FIELDS, last=last)
        return self._other_fragment(context_id, length - PDV_FIELDS, last=last)

    def _command_fragment(self, context_id: int, length: int, *, last: bool) -> bool:
        if self._operation is not None or self._other is not None:
            raise ProtocolError("a command inside a data set")
        if len(self._command) + length > LARGEST_COMMAND:
            raise ProtocolError("the command set is too long")
        self._command += self._buffer.take(length)
        if not last:
            return False
        encoded, self._command = bytes(self._command), bytearray()
        try:
            elements = read_command(encoded)
            kind = command_field(elements)
            if kind != C_STORE_RQ:
                self._other = Message(context_id, kind, elements, b"")
                return not has_data_set(elements) and self._finish_other()
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

    def _other_fragment(self, context_id: int, length: int, *, last: bool) -> bool:
        if self._other is None:
            raise ProtocolError("a data set without a command")
        if context_id != self._other.context_id:
            raise ProtocolError("the data set came in another presentation context")
        if length > LARGEST_OTHER_FRAGMENT or len(self._data) + length > LARGEST_OTHER_MESSAGE:
            raise ProtocolError("the data set of a message other than C-STORE is too long")
        self._data += self._buffer.take(length)
        return last and self._finish_other()

    def _finish_other(self) -> bool:
        assert self._other is not None
        whole = replace(self._other, data=bytes(self._data))
        self._other, self._data = None, bytearray()
        self._hand_on(whole)
        return True

    def _finish(self) -> bool:
        assert self._operation is not None
        assert self._request is not None
        answer = self._operation.finish()
        size = self._operation.size
        self._operation = None
        self._send(
            message(
                self._context_id,
                store_response(self._request, answer.status, answer.comment),
                None,
                self.peer_maximum,
            )
        )
        self._service.answered(answer, size)
        return True
