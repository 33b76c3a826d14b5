"""The messages of one association other than C-STORE-RQ: requests to handlers, responses back.

The reading thread hands complete messages on; the association's thread serves requests one after
another. Responses go straight to the socket: a peer that does not read makes the sender wait, so
nothing piles up in memory.
"""

from __future__ import annotations

import itertools
import logging
import queue
import socket
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from typing import Final

from django.db import close_old_connections

from apps.dicom import command_set
from apps.dicom.command_set import CommandSetError
from apps.dimse.data_transfer import Message, ProtocolError
from apps.dimse.offered import BY_ABSTRACT_SYNTAX
from apps.dimse.service import Reply, Request, Response, Session, responses_of
from apps.dimse.status import UNRECOGNIZED_OPERATION, Answer, answer_for
from apps.network.p_data import message as p_data_message
from apps.network.receive_buffer import ConnectionLostError
from apps.network.tls_connection import Connection

logger = logging.getLogger(__name__)

_MOST_WAITING: Final = 64
_IS_N_SERVICE: Final = 0x0100
_LOOK_SECONDS: Final = 1.0
_ABORT: Final = bytes.fromhex("07000000000400000000")  # by the service user (PS3.8 9.3.8)


class Exchange:
    """Requests and responses of one association; also the `Peer` its handlers see."""

    def __init__(self, connection: Connection, over: Callable[[], bool]) -> None:
        self.maximum = 0
        self.requests: queue.Queue[tuple[int, Message]] | None = None
        self.session: Session | None = None
        self._connection = connection
        self._over = over
        self._sending = threading.Lock()
        # Responses to our own requests by Message ID; several threads may wait for theirs.
        self._replies: dict[int, Message] = {}
        self._replied = threading.Condition()
        # Message ids of requests that are waiting or being served, and of those cancelled.
        self._open: set[int] = set()
        self._cancelled: set[int] = set()
        self._message_ids = itertools.cycle(range(1, 0x10000))

    # Called by the reading thread.

    def received(self, message: Message) -> None:
        """A complete message. Raises ProtocolError for what nothing can be done with."""
        assert self.session is not None
        if message.context_id not in self.session.contexts:
            raise ProtocolError("a message in a presentation context that was not accepted")
        if message.command_field & command_set.RESPONSE:
            self._take_reply(message)
            return
        try:
            if message.command_field == command_set.C_CANCEL_RQ:
                number = command_set.number(
                    message.elements, command_set.MESSAGE_ID_BEING_RESPONDED_TO
                )
                if number in self._open:
                    self._cancelled.add(number)
                return
            number = command_set.number(message.elements, command_set.MESSAGE_ID)
        except CommandSetError as error:
            raise ProtocolError(str(error)) from error
        assert self.requests is not None
        if self.requests.qsize() >= _MOST_WAITING:
            raise ProtocolError("more requests than we answer at a time")
        self._open.add(number)
        self.requests.put((message.context_id, message))

    def _take_reply(self, message: Message) -> None:
        try:
            answered = command_set.number(
                message.elements, command_set.MESSAGE_ID_BEING_RESPONDED_TO
            )
        except CommandSetError as error:
            raise ProtocolError(str(error)) from error
        with self._replied:
            if len(self._replies) >= _MOST_WAITING:
                raise ProtocolError("responses to requests we did not make")
            self._replies[answered] = message
            self._replied.notify_all()

    # Called by the association's thread.

    def serve(self, message: Message) -> None:
        """Answers one request; whatever its handler raises becomes a status."""
        assert self.session is not None
        context = self.session.contexts[message.context_id]
        number = command_set.number(message.elements, command_set.MESSAGE_ID)
        request = Request(
            message.command_field, number, context, message.elements, message.data, self.session
        )
        try:
            self._answer(request)
        except ConnectionLostError:
            logger.debug("The peer left before its answer was complete.")
        finally:
            self._open.discard(number)
            self._cancelled.discard(number)
            close_old_connections()

    def _answer(self, request: Request) -> None:
        service = BY_ABSTRACT_SYNTAX.get(request.context.abstract_syntax)
        handler = service.handlers.get(request.command_field) if service else None
        if handler is None:
            comment = "This context is not for that operation"
            self._respond(request, Response(UNRECOGNIZED_OPERATION, comment=comment))
            return
        responses: Iterator[Response] = iter(())
        try:
            responses = responses_of(handler(request))
            for response in responses:
                self._respond(request, response)
        except ConnectionLostError:
            raise
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            answer = answer_for(error, request.command_field)
            self._note(request, answer, error)
            values = {command_set.OFFENDING_ELEMENT: answer.offending}
            self._respond(request, Response(answer.status, None, answer.comment, values))
        finally:
            if isinstance(responses, Generator):
                responses.close()

    def _note(self, request: Request, answer: Answer, error: Exception) -> None:
        """One line; for a fault of ours the stack too, never an exception's own text."""
        name = command_set.COMMAND_NAMES.get(request.command_field, "request")
        fields = {"calling_ae_title": request.session.calling_ae_title}
        if answer.expected:
            logger.info("%s refused with %04X: %s", name, answer.status, answer.comment,
                        extra=fields)  # fmt: skip
            return
        stack = "".join(traceback.format_tb(error.__traceback__))
        logger.error("%s failed (%s)\n%s", name, type(error).__name__, stack, extra=fields)

    def _respond(self, request: Request, response: Response) -> None:
        values: dict[int, command_set.Value] = {
            command_set.AFFECTED_SOP_CLASS_UID: request.sop_class_uid,
            command_set.COMMAND_FIELD: request.command_field | command_set.RESPONSE,
            command_set.MESSAGE_ID_BEING_RESPONDED_TO: request.message_id,
            command_set.COMMAND_DATA_SET_TYPE: (
                command_set.NO_DATA_SET if response.data is None else command_set.A_DATA_SET
            ),
            command_set.STATUS: response.status,
            command_set.ERROR_COMMENT: response.comment[: command_set.LONGEST_COMMENT],
        }
        if _IS_N_SERVICE <= request.command_field < command_set.C_CANCEL_RQ:
            values[command_set.AFFECTED_SOP_INSTANCE_UID] = request.sop_instance_uid
        values.update(response.values)
        self.send(
            p_data_message(
                request.context.context_id,
                command_set.command_set(values),
                response.data,
                self.maximum,
            )
        )
        name = command_set.COMMAND_NAMES.get(request.command_field, "unknown command")
        request.session.note.count(name, response.status)

    # What a handler may do with its peer (service.Peer).

    def new_message_id(self) -> int:
        return next(self._message_ids)

    def send(self, chunk: bytes | memoryview) -> None:
        with self._sending:
            try:
                self._connection.sendall(chunk)
            except OSError as error:
                raise ConnectionLostError(str(error)) from error

    def reply(self, message_id: int, timeout: float | None = None) -> Reply:
        until = None if timeout is None else time.monotonic() + timeout
        with self._replied:
            while message_id not in self._replies:
                if self._over():
                    raise ConnectionLostError("the association is over")
                if until is not None and time.monotonic() >= until:
                    raise ConnectionLostError("no response in time")
                self._replied.wait(_LOOK_SECONDS)
            message = self._replies.pop(message_id)
        status = command_set.number(message.elements, command_set.STATUS)
        return Reply(status, message.elements, message.data)

    def abort(self) -> None:
        try:
            self.send(_ABORT)
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is over already

    def is_over(self) -> bool:
        return self._over()

    def is_cancelled(self, message_id: int) -> bool:
        return message_id in self._cancelled or self._over()
