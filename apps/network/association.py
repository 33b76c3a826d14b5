"""Associations we open: one blocking connection used by one thread (PS3.8 9.3, PS3.7 D.3).

Requests and data are written straight to the socket; there is no thread, no queue and no object
per PDU behind it. Whoever opened it closes it: `release()` when all went well, `abort()` else.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from apps.dicom import command_set, uids
from apps.dicom.command_set import CommandSetError, Value
from apps.errors import InvalidRequest, PacsError
from apps.network.associate_items import (
    ProposedContext,
    Remote,
    UserIdentity,
    associate_request,
    items_of,
    rejection_words,
    text_of,
)
from apps.network.association_note import Ending
from apps.network.connecting import connected
from apps.network.outgoing_note import OutgoingNote
from apps.network.p_data import IS_COMMAND, IS_LAST, P_DATA_TF, PDU_HEADER, PDV_FIELDS, PDV_HEADER
from apps.network.p_data import message as p_data_message
from apps.network.peer_errors import AssociationRejected, PeerUnreachable
from apps.network.receive_buffer import ConnectionLostError, ReceiveBuffer
from apps.network.store_writer import StoreWriter
from apps.network.tls_connection import Connection

MOST_CONTEXTS: Final = 128
_ASSOCIATE_AC, _ASSOCIATE_RJ, _RELEASE_RQ, _RELEASE_RP, _ABORT = 2, 3, 5, 6, 7
_RELEASE: Final = bytes.fromhex("05000000000400000000")
_RELEASED: Final = bytes.fromhex("06000000000400000000")
_ABORTED: Final = bytes.fromhex("07000000000400000000")
_AC_FIXED: Final = 68
_LONGEST_ANSWER: Final = 1024 * 1024
_LONGEST_DATA_SET: Final = 64 * 1024 * 1024
_RELEASE_SECONDS: Final = 5.0

_TRANSIENT: Final = 2


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, for the answer to our request, and for each message."""

    connect: float = 10.0
    negotiate: float = 30.0
    message: float = 60.0


@dataclass(frozen=True, slots=True)
class OpenContext:
    """A presentation context the peer accepted."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Received:
    """A message of the peer's: its command set as read, and its data set as received."""

    context_id: int
    command_field: int
    elements: Mapping[int, bytes]
    data: bytes

    @property
    def status(self) -> int:
        """Status of a response. Raises CommandSetError."""
        return command_set.number(self.elements, command_set.STATUS)

    @property
    def comment(self) -> str:
        """Error Comment of a response, `""` where there is none."""
        return command_set.text(self.elements, command_set.ERROR_COMMENT)


Into = Callable[[Received], Callable[[memoryview], None]]
"""Makes what takes a data set's bytes, for a C-STORE-RQ."""


class OutgoingAssociation:
    """An association we opened. `open()` makes one; used by one thread."""

    def __init__(
        self, remote: Remote, connection: Connection, timeouts: Timeouts, note: OutgoingNote
    ) -> None:
        self.remote = remote
        self.roles: dict[str, tuple[bool, bool]] = {}  # SCU and SCP as granted, by SOP Class
        self.results: dict[int, int] = {}  # of each proposal, by its place
        self._note = note
        self.contexts: tuple[OpenContext, ...] = ()
        self.rejected: tuple[tuple[ProposedContext, int], ...] = ()
        self.extended: dict[str, bytes] = {}
        self.identity_answer: bytes | None = None  # None where there was none (PS3.7 D.3.3.7.2)
        self.peer_maximum = 0
        self._connection = connection
        self._timeouts = timeouts
        self._buffer = ReceiveBuffer(connection, patience=timeouts.negotiate)
        self._pdu_left = 0
        self._open = True
        self._message_ids = itertools.cycle(range(1, 0x10000))

    @classmethod
    def open(
        cls,
        remote: Remote,
        proposed: Sequence[ProposedContext],
        *,
        extended: Mapping[str, bytes] | None = None,
        timeouts: Timeouts | None = None,
        identity: UserIdentity | None = None,
    ) -> Self:
        """Connects and negotiates. Raises PeerUnreachable, AssociationRejected."""
        limits = timeouts or Timeouts()
        if len(proposed) > MOST_CONTEXTS:
            raise InvalidRequest("An association has at most 128 presentation contexts.")
        note = OutgoingNote(remote)
        association = cls(remote, connected(remote, limits.connect, note), limits, note)
        try:
            association._negotiate(
                proposed, associate_request(remote, proposed, extended or {}, identity)
            )
        except BaseException:
            association.abort()
            raise
        return association

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    def context_for(self, abstract_syntax: str) -> OpenContext:
        """Any accepted context for it. Raises PeerUnreachable where there is none."""
        for each in self.contexts:
            if each.abstract_syntax == abstract_syntax:
                return each
        raise InvalidRequest(f"{self.remote.title} does not offer {uids.name_of(abstract_syntax)}.")

    def new_message_id(self) -> int:
        """Message ids, from 1."""
        return next(self._message_ids)

    def writer(self, send: Callable[[memoryview], None] | None = None) -> StoreWriter:
        """For C-STORE requests; `send` may slow down what goes to `self.send`."""
        return StoreWriter(send or self.send, self.peer_maximum)

    def send(self, chunk: bytes | memoryview) -> None:
        """Whole PDUs. Raises PeerUnreachable."""
        try:
            self._connection.sendall(chunk)
            self._note.sent(len(chunk))
        except OSError as error:
            raise self._lost(error) from error

    def request(
        self, context: OpenContext, command: Mapping[int, Value], data: bytes | None
    ) -> None:
        """Sends a message; whether a data set follows is put into the command."""
        values = dict(command)
        values[command_set.COMMAND_DATA_SET_TYPE] = (
            command_set.NO_DATA_SET if data is None else command_set.A_DATA_SET
        )
        self.send_command(context.context_id, command_set.command_set(values), data)

    def send_command(self, context_id: int, command: bytes, data: bytes | None = None) -> None:
        """Sends a message whose command set is encoded already."""
        self.send(p_data_message(context_id, command, data, self.peer_maximum))

    def receive(self, into: Into | None = None) -> Received:
        """The next message; waits as long as messages may take.

        The data set of a C-STORE-RQ goes `into` what is made for it, as it comes, and is empty in
        the message. Raises PeerUnreachable, also where the peer aborts or releases instead.
        """
        self._buffer.be_patient(self._timeouts.message)
        try:
            return self._message(into)
        except (ConnectionLostError, CommandSetError) as error:
            raise self._lost(error) from error

    def waits(self, seconds: float) -> bool:
        """True when something of the peer's is there within `seconds`."""
        return self._buffer.ready(seconds)

    def cancel(self, context: OpenContext, message_id: int) -> None:
        """C-CANCEL of a request under way (PS3.7 9.3.2.3)."""
        self.request(
            context,
            {
                command_set.COMMAND_FIELD: command_set.C_CANCEL_RQ,
                command_set.MESSAGE_ID_BEING_RESPONDED_TO: message_id,
            },
            None,
        )

    def release(self) -> None:
        """Ends it in good order; never raises, because the work is done by then."""
        if not self._open:
            return
        with contextlib.suppress(OSError, PacsError, ConnectionLostError):
            self.send(_RELEASE)
            self._buffer.be_patient(_RELEASE_SECONDS)
            until = time.monotonic() + _RELEASE_SECONDS
            while time.monotonic() < until:
                kind, length = PDU_HEADER.unpack(self._buffer.take(PDU_HEADER.size))
                self._buffer.take(length)
                if kind == _RELEASE_RQ:  # both at once (PS3.8 9.2.2.4)
                    self.send(_RELEASED)
                if kind in {_RELEASE_RP, _ABORT}:
                    break
        self._note.ended(Ending.RELEASED)
        self._close()

    def abort(self) -> None:
        """Ends it at once; harmless when it is over."""
        if self._open:
            with contextlib.suppress(OSError):
                self._buffer.be_patient(1.0)
                self._connection.sendall(_ABORTED)
        self._note.ended(Ending.ABORTED)
        self._close()

    def _close(self) -> None:
        self._open = False
        self._connection.close()

    def _lost(self, error: Exception) -> PeerUnreachable:
        self._note.ended(Ending.LOST, str(error))
        self.abort()
        return PeerUnreachable(f"The association with {self.remote.words} was lost: {error}.")

    # -- negotiation

    def _negotiate(self, proposed: Sequence[ProposedContext], request: bytes) -> None:
        self.send(request)
        try:
            kind, length = PDU_HEADER.unpack(self._buffer.take(PDU_HEADER.size))
            body = self._buffer.take(min(length, _LONGEST_ANSWER))
        except ConnectionLostError as error:
            self._note.ended(Ending.LOST, f"no answer to the association request: {error}")
            raise PeerUnreachable(
                f"{self.remote.words} does not answer an association request: {error}."
            ) from error
        if kind == _ASSOCIATE_RJ and length >= 4:  # noqa: PLR2004 - PS3.8 table 9-21
            raise self._rejection(*body[1:4])
        if kind != _ASSOCIATE_AC:
            raise PeerUnreachable(f"{self.remote.words} ended the association request.")
        self._accept(body, proposed)

    def _rejection(self, result: int, source: int, reason: int) -> AssociationRejected:
        words = rejection_words(source, reason)
        self._note.ended(Ending.REJECTED, words)
        return AssociationRejected(
            f"{self.remote.words} rejected the association: {words}.",
            transient=result == _TRANSIENT,
            answer=(result, source, reason),
        )

    def _accept(self, body: bytes, proposed: Sequence[ProposedContext]) -> None:
        accepted: list[OpenContext] = []
        rejected: list[tuple[ProposedContext, int]] = []
        for kind, value in items_of(body[_AC_FIXED:]):
            if kind == 0x21:  # noqa: PLR2004 - PS3.8 9.3.3.2
                self.results[value[0] // 2] = value[2]
                self._judge(value, proposed, accepted, rejected)
            elif kind == 0x50:  # noqa: PLR2004 - PS3.8 9.3.3.3
                self._user_information(value)
        self.contexts, self.rejected = tuple(accepted), tuple(rejected)
        syntaxes = {each.context_id // 2: each.transfer_syntax for each in accepted}
        self._note.negotiated(proposed, syntaxes, self.results)

    @staticmethod
    def _judge(
        value: bytes,
        proposed: Sequence[ProposedContext],
        accepted: list[OpenContext],
        rejected: list[tuple[ProposedContext, int]],
    ) -> None:
        number, result = value[0], value[2]
        if number % 2 == 0 or number // 2 >= len(proposed):
            return
        context = proposed[number // 2]
        if result:
            rejected.append((context, result))
            return
        syntaxes = [text_of(raw) for kind, raw in items_of(value[4:]) if kind == 0x40]  # noqa: PLR2004 -- 9.3.3.2
        if syntaxes and syntaxes[0] in context.transfer_syntaxes:
            accepted.append(OpenContext(number, context.abstract_syntax, syntaxes[0]))

    def _user_information(self, value: bytes) -> None:
        for kind, raw in items_of(value):
            if kind == 0x51 and len(raw) == 4:  # noqa: PLR2004 - PS3.8 D.1
                self.peer_maximum = int.from_bytes(raw, "big")
            elif kind == 0x56 and len(raw) > 2:  # noqa: PLR2004 - PS3.7 D.3.3.5
                size = int.from_bytes(raw[:2], "big")
                self.extended[text_of(raw[2 : 2 + size])] = raw[2 + size :]
            elif kind == 0x59 and len(raw) > 1:  # noqa: PLR2004 - PS3.7 D.3.3.7.2
                self.identity_answer = raw[2:]
            elif kind == 0x54 and len(raw) > 4:  # noqa: PLR2004 - PS3.7 D.3.3.4
                self.roles[text_of(raw[2:-2])] = (raw[-2] == 1, raw[-1] == 1)

    # -- messages

    def _message(self, into: Into | None) -> Received:
        command, context_id = self._part(is_command=True)
        elements = command_set.read_command(command)
        data = b""
        field = command_set.command_field(elements)
        if command_set.has_data_set(elements):
            if into is not None and field == command_set.C_STORE_RQ:
                self._stream(into(Received(context_id, field, elements, b"")))
            else:
                data, _ = self._part(is_command=False)
        received = Received(context_id, field, elements, data)
        status = received.status if command_set.STATUS in elements else None
        self._note.received(field, status, len(data))
        return received

    def _part(self, *, is_command: bool) -> tuple[bytes, int]:
        """A command set or a data set, put together from its fragments."""
        whole = bytearray()
        while True:
            context_id, control, value = self._fragment()
            if bool(control & IS_COMMAND) != is_command:
                raise ConnectionLostError("a message is not one")
            whole += value
            if len(whole) > _LONGEST_DATA_SET:
                raise ConnectionLostError("a message is too long")
            if control & IS_LAST:
                return bytes(whole), context_id

    def _stream(self, write: Callable[[memoryview], None]) -> None:
        """A data set piece by piece, whatever its length."""
        control = 0
        while not control & IS_LAST:
            _, control, left = self._fragment_head()
            if control & IS_COMMAND:
                raise ConnectionLostError("a message is not one")
            while left:
                piece = self._buffer.run(left)
                write(piece)
                left -= len(piece)

    def _fragment(self) -> tuple[int, int, bytes]:
        context_id, control, length = self._fragment_head()
        return context_id, control, self._buffer.take(length)

    def _fragment_head(self) -> tuple[int, int, int]:
        while self._pdu_left == 0:
            self._next_pdu()
        length, context_id, control = PDV_HEADER.unpack(self._buffer.take(PDV_HEADER.size))
        self._pdu_left -= length + 4
        if length < PDV_FIELDS or self._pdu_left < 0:
            raise ConnectionLostError("a PDU is not one")
        return context_id, control, length - PDV_FIELDS

    def _next_pdu(self) -> None:
        kind, length = PDU_HEADER.unpack(self._buffer.take(PDU_HEADER.size))
        if kind == P_DATA_TF and length <= _LONGEST_DATA_SET:
            self._pdu_left = length
            return
        if kind == _ABORT:
            raise ConnectionLostError("the peer aborted it")
        if kind == _RELEASE_RQ:
            self.send(_RELEASED)
            raise ConnectionLostError("the peer released it")
        raise ConnectionLostError("the peer sent what is no DICOM")
