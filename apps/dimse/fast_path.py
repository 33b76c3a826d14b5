"""An acceptor's association on pynetdicom, with its messages read straight from the socket.

The only file that touches pynetdicom's private parts; `tests/protocol/dimse/test_private_parts.py`
fails when they change. The library keeps the state machine (PS3.8 9.2) and its association control;
messages are read, served and answered by us. What is replaced, and why:

- Its two threads poll every millisecond. Here both sleep until there is something to do.
- It makes an object per PDU and fragment. Here P-DATA is read by `DataTransfer`.
- It queues responses without end, decodes identifiers whether needed or not, and gets final C-GET
  and C-MOVE responses wrong. Here `Exchange` serves requests by the table of offered services.
- It uses select(), which fails above file descriptor 1,023. Here it is poll().
- It aborts on unknown sub-items. Here they are taken out first (`associate_request`).
- It closes at once after its last PDU, which can destroy that PDU. Here the peer may close first.
"""

from __future__ import annotations

import logging
import os
import queue
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from django.db import connections
from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.pdu_primitives import (
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation, AssociationSocket

from apps.dicom.transfer_syntaxes import IMPLICIT_VR_LITTLE_ENDIAN
from apps.dimse import associate_request, noting
from apps.dimse.admission import BAD_IDENTITY, Caller, Rejection, principal_of
from apps.dimse.data_transfer import (
    LARGEST_OTHER_FRAGMENT,
    DataTransfer,
    Message,
    ProtocolError,
)
from apps.dimse.exchange import Exchange
from apps.dimse.negotiation import Proposal, Result, Verdict, judge
from apps.dimse.offered import BY_ABSTRACT_SYNTAX
from apps.dimse.service import AcceptedContext, Role, Session
from apps.dimse.store import Sender, StoreService
from apps.dimse.user_identity import ConfirmedIdentity, confirm
from apps.network.association_note import AssociationNote, Ending
from apps.network.p_data import P_DATA_TF
from apps.network.peers import Admission
from apps.network.receive_buffer import ConnectionLostError, ReceiveBuffer
from apps.network.tls import Secured
from apps.network.tls_connection import Connection, TlsConnection

logger = logging.getLogger(__name__)

TESTED_VERSION = "3.0.4"

# Wake-ups come through pipes and events; these only bound what a lost one could cost.
_PATIENCE_SECONDS = 1.0
_NEXT_MESSAGE_SECONDS = 0.05
# After our last PDU the peer gets this long to read it and close.
_LINGER_SECONDS = 2.0
_PDU = struct.Struct(">BxI")
_PDU_TYPES = range(1, 8)
_ABORT_RECEIVED = "Evt16"  # PS3.8 table 9-10
_MAY_SEND = frozenset({"Sta6", "Sta8"})

# Identifiers are patient data, and the library logs them by default (rule NEG-12).
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False
_config.LOG_HANDLER_LEVEL = "none"


class Reception(Protocol):
    """The server as an association sees it."""

    def admit(self, association: AcceptedAssociation, caller: Caller) -> Admission | Rejection: ...
    def room(self, association: AcceptedAssociation) -> bool: ...
    def rejected(self, association: AcceptedAssociation, rejection: Rejection) -> None: ...
    def established(self, association: AcceptedAssociation) -> None: ...
    def ended(self, association: AcceptedAssociation) -> None:
        """May be called more than once."""


class _SignallingQueue(queue.Queue[Any]):
    """A queue whose reader sleeps elsewhere and is told."""

    def __init__(self, signal: Callable[[], None]) -> None:
        super().__init__()
        self._signal = signal

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._signal()


class _Gate(threading.Event):
    """The library's reactor checkpoint, which also waits for work instead of polling for it.

    An association that waits longer than a moment gives its database connection back.
    """

    def __init__(self, has_work: Callable[[], bool]) -> None:
        super().__init__()
        self._has_work = has_work
        self._rung = threading.Event()

    def ring(self) -> None:
        self._rung.set()

    def set(self) -> None:
        super().set()
        self._rung.set()

    def wait(self, timeout: float | None = None) -> bool:
        super().wait(timeout)
        if not self._has_work():
            if not self._rung.wait(_PATIENCE_SECONDS):
                connections.close_all()
            self._rung.clear()
        return super().wait(timeout)


class _Connection(AssociationSocket):  # type: ignore[misc]
    """The library's socket wrapper without select(), and with one send for one PDU."""

    @property
    def ready(self) -> bool:
        raise NotImplementedError("the upper layer waits with poll()")

    def send(self, bytestream: bytes) -> None:
        if self.socket is None:
            return
        try:
            self.assoc.exchange.send(bytestream)
        except ConnectionLostError:
            self.event_queue.put("Evt17")


class _UpperLayer(DULServiceProvider):  # type: ignore[misc]
    """The library's state machine on our reading loop."""

    def __init__(self, association: AcceptedAssociation, buffer: ReceiveBuffer) -> None:
        super().__init__(association)
        self.daemon = True
        self._run_loop_delay = 0
        self._buffer = buffer
        self._titles = b""
        self._lingering_until = 0.0
        self._woken, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._waking = threading.Lock()
        self._awake = True
        self._poll = select.poll()
        self._poll.register(self._woken, select.POLLIN)
        self._poll.register(association.connection, select.POLLIN)
        self.to_provider_queue = _SignallingQueue(self._wake)
        self.to_user_queue = _SignallingQueue(association.gate.ring)
        self.transfer: DataTransfer | None = None

    def begin_transfer(self, service: StoreService, peer_maximum: int) -> None:
        """From the A-ASSOCIATE-AC on, P-DATA goes to the service."""
        exchange = self.assoc.exchange
        transfer = DataTransfer(self._buffer, service, exchange.send, exchange.received)
        transfer.peer_maximum = peer_maximum
        self.transfer = transfer

    def run_reactor(self) -> None:
        try:
            super().run_reactor()
        finally:
            if self.transfer is not None:
                self.transfer.abandon()
            connections.close_all()
            self._close_pipe()

    def kill_dul(self) -> None:
        super().kill_dul()
        self._wake()

    def stop_dul(self) -> bool:
        if self.state_machine.current_state != "Sta1":
            return False
        self.kill_dul()
        self.join()
        return True

    def idle_timer_expired(self) -> bool:
        if self.transfer is not None and self.transfer.busy:
            self._idle_timer.restart()
            return False
        expired = bool(super().idle_timer_expired())
        if expired:
            self.assoc.blame(Ending.IDLE)
        return expired

    def _wake(self) -> None:
        with self._waking:  # so that nobody writes to a descriptor that means something else by now
            if not self._awake:
                return
            try:
                os.write(self._waker, b"!")
            except BlockingIOError:
                return  # it is full of wake-ups already

    def _close_pipe(self) -> None:
        with self._waking:
            self._awake = False
            os.close(self._woken)
            os.close(self._waker)

    def _process_recv_primitive(self) -> bool:
        if self.state_machine.current_state == "Sta13":
            # The peer broke the protocol while the association's thread was making its answer;
            # the library has no transition for an answer that comes too late.
            while not self.to_provider_queue.empty():
                self.to_provider_queue.get_nowait()
            return False
        return bool(super()._process_recv_primitive())

    def _is_transport_event(self) -> bool:
        if not self.event_queue.empty():
            return False
        if self.socket.socket is None:
            time.sleep(0.001)
            return False
        if self.state_machine.current_state == "Sta13":
            self._linger()
            return True
        if not (self._buffer.hidden or self._readable(_PATIENCE_SECONDS)):
            return False
        self._read_pdu_data()
        return True

    def _more(self) -> bool:
        """True when the peer goes on within a moment and nobody else wants this thread."""
        if not (self.to_provider_queue.empty() and self.event_queue.empty()):
            return False
        return self._buffer.hidden or self._readable(_NEXT_MESSAGE_SECONDS)

    def _readable(self, seconds: float) -> bool:
        """Sleeps until the peer sends, somebody wakes us, or a timer is due."""
        due = max(0.0, min(seconds, self.artim_timer.remaining))
        ready = {descriptor for descriptor, _ in self._poll.poll(due * 1000)}
        if self._woken in ready:
            os.read(self._woken, 4096)
            ready.discard(self._woken)
        return bool(ready)

    def _linger(self) -> None:
        """Sta13: what still comes is thrown away until the peer closes or has had its time."""
        connection = self.socket.socket
        now = time.monotonic()
        try:
            if not self._lingering_until:
                self._lingering_until = now + _LINGER_SECONDS
                connection.shutdown(socket.SHUT_WR)
            left = self._lingering_until - now
            if left > 0 and (not self._readable(left) or connection.recv(65536)):
                return
        except OSError as error:
            logger.debug("A connection ended by itself: %s", type(error).__name__)
        self.socket.close()

    def _read_pdu_data(self) -> None:
        """Reads one message of C-STORE, or one PDU for the library."""
        try:
            if self.transfer is not None and self.state_machine.current_state == "Sta6":
                while self.transfer.receive():
                    # The next message usually follows at once; going round the library's loop
                    # for it costs two sleeps.
                    self._idle_timer.restart()
                    if not self._more():
                        return
                self.transfer.abandon()
            self._read_pdu()
        except ConnectionLostError as error:
            self.assoc.blame(Ending.LOST, str(error))
            self.event_queue.put("Evt17")
        except (ProtocolError, associate_request.AssociateRequestError) as error:
            logger.warning("A peer broke the protocol: %s", error, extra=self.assoc.log_fields)
            self.assoc.blame(Ending.PROTOCOL, str(error))
            self.event_queue.put("Evt19")

    def _read_pdu(self) -> None:
        kind, length = _PDU.unpack(self._buffer.peek(_PDU.size))
        if kind not in _PDU_TYPES:
            raise ProtocolError("an unknown PDU type")
        limit = LARGEST_OTHER_FRAGMENT if kind == P_DATA_TF else associate_request.LONGEST_REQUEST
        if length > limit:
            raise ProtocolError("a PDU is too long")
        pdu = self._buffer.take(_PDU.size + length)
        if kind == associate_request.ASSOCIATE_RQ:
            self._titles = associate_request.titles_as_received(pdu)
            pdu = associate_request.repaired(pdu)
        self._to_state_machine(pdu)

    def _to_state_machine(self, encoded: bytes) -> None:
        try:
            pdu, event = self._decode_pdu(bytearray(encoded))
            # The state machine does this too, but there an exception would end the thread.
            pdu.to_primitive()
        except Exception as error:
            # The library raises whatever its fields raise; the bytes stay out of the log.
            raise ProtocolError(f"a PDU cannot be decoded ({type(error).__name__})") from error
        if event == _ABORT_RECEIVED:
            self.assoc.blame(Ending.PEER_ABORTED)
        self.event_queue.put(event)
        self._recv_pdu.put(pdu)

    def _send(self, pdu: Any) -> None:
        if isinstance(pdu, A_ASSOCIATE_AC):
            self.socket.send(associate_request.with_titles(pdu.encode(), self._titles))
            return
        super()._send(pdu)


class _Negotiator(ACSE):  # type: ignore[misc]
    """Our answer to an A-ASSOCIATE-RQ in place of the library's."""

    assoc: AcceptedAssociation

    def _negotiate_as_acceptor(self) -> None:
        request = self.requestor.primitive
        noting.requested(self.assoc.note, self.requestor)
        self.requestor.ae_title = request.calling_ae_title
        proposals = tuple(
            Proposal(context.context_id, str(context.abstract_syntax), _uids(context))
            for context in request.presentation_context_definition_list
        )
        caller = Caller(
            calling=request.calling_ae_title.strip(),
            called=request.called_ae_title.strip(),
            address=self.requestor.address,
            application_context=str(request.application_context_name),
            proposals=proposals,
            secured=self.assoc.secured,
        )
        noting.turned_away(self.assoc.note, proposals)  # until it is judged
        admission = self.assoc.reception.admit(self.assoc, caller)
        if isinstance(admission, Rejection):
            self._turn_away(admission)
            return
        identity = self._identity(caller.address)
        if not identity.accepted:
            self._turn_away(BAD_IDENTITY)
            return
        self._prepare(caller, admission, identity.user)
        self.assoc.is_established = True
        self.assoc.reception.established(self.assoc)
        self.send_accept()
        evt.trigger(self.assoc, evt.EVT_ACCEPTED, {})
        evt.trigger(self.assoc, evt.EVT_ESTABLISHED, {})

    def _prepare(self, caller: Caller, admission: Admission, user: str) -> None:
        """From the A-ASSOCIATE-AC on, messages go to the services."""
        contexts = self._judge(caller.proposals, admission)
        self.assoc.exchange.maximum = self.requestor.maximum_length
        self.assoc.exchange.session = Session(
            principal=principal_of(caller, admission),
            calling_ae_title=caller.calling,
            called_ae_title=caller.called,
            address=caller.address,
            contexts=contexts,
            extended=self._extended(contexts),
            note=self.assoc.note,
            peer=self.assoc.exchange,
        )
        sender = Sender(caller.calling, caller.called, caller.address, user)
        self.assoc.note.user = user
        self.assoc.service = StoreService(
            sender, contexts, self.assoc.note, refuses_duplicates=admission.refuses_duplicates
        )
        self.dul.begin_transfer(self.assoc.service, self.requestor.maximum_length)

    def _turn_away(self, rejection: Rejection) -> None:
        self.assoc.reception.rejected(self.assoc, rejection)
        self.send_reject(rejection.result, rejection.source, rejection.reason)
        evt.trigger(self.assoc, evt.EVT_REJECTED, {})
        self.assoc.kill()

    def _identity(self, address: str) -> ConfirmedIdentity:
        asked = self.requestor.user_identity
        if asked is None:
            return ConfirmedIdentity(accepted=True)
        identity = confirm(
            asked.user_identity_type,
            asked.primary_field or b"",
            asked.secondary_field or b"",
            address=address,
            response_requested=asked.positive_response_requested,
        )
        if identity.response is not None:
            item = UserIdentityNegotiation()
            item.server_response = identity.response
            self.acceptor.add_negotiation_item(item)
        return identity

    def _judge(
        self, proposals: tuple[Proposal, ...], admission: Admission
    ) -> dict[int, AcceptedContext]:
        """Fills in the accepted and rejected contexts and the granted roles."""
        room = self.assoc.reception.room(self.assoc)
        proposed = {
            str(uid): Role(scu=bool(item.scu_role), scp=bool(item.scp_role))
            for uid, item in self.requestor.role_selection.items()
        }
        verdicts = [
            judge(each, proposed.get(each.abstract_syntax), admission, room=room)
            for each in proposals
        ]
        contexts = [_context(verdict) for verdict in verdicts]
        self.assoc._accepted_cx = {each.context_id: each for each in contexts if each.result == 0}
        self.assoc._rejected_cx = [each for each in contexts if each.result != 0]
        accepted = [each for each in verdicts if each.result is Result.ACCEPTANCE]
        roles = {each.proposal.abstract_syntax: each.role for each in accepted}
        granted = {uid: roles[uid] for uid in proposed if uid in roles}
        for uid, role in granted.items():
            item = SCP_SCU_RoleSelectionNegotiation()
            item.sop_class_uid = UID(uid)
            item.scu_role, item.scp_role = role.scu, role.scp
            self.acceptor.add_negotiation_item(item)
        noting.judged(self.assoc.note, verdicts, proposed, granted)
        return {
            each.proposal.context_id: AcceptedContext(
                each.proposal.context_id,
                each.proposal.abstract_syntax,
                each.transfer_syntax,
                each.role,
            )
            for each in accepted
        }

    def _extended(self, contexts: dict[int, AcceptedContext]) -> dict[str, bytes]:
        """Answers SOP Class Extended Negotiation of accepted contexts (PS3.7 D.3.3.5)."""
        answers = {}
        accepted = {each.abstract_syntax for each in contexts.values()}
        for uid, asked in self.requestor.sop_class_extended.items():
            service = BY_ABSTRACT_SYNTAX.get(str(uid))
            if service is None or service.extend is None or str(uid) not in accepted:
                continue
            answers[str(uid)] = service.extend(bytes(asked))
            item = SOPClassExtendedNegotiation()
            item.sop_class_uid = uid
            item.service_class_application_information = answers[str(uid)]
            self.acceptor.add_negotiation_item(item)
        return answers


class AcceptedAssociation(Association):  # type: ignore[misc]
    """One association a peer opened with us. `start()` runs it on threads of its own."""

    def __init__(
        self,
        entity: AE,
        reception: Reception,
        connection: Connection,
        address: tuple[Any, ...],
        *,
        first: bytes,
        note: AssociationNote,
        patience: float,
    ) -> None:
        super().__init__(entity, "acceptor")
        # Its place is free once it is over, not only when the peer has closed the connection.
        for over in (evt.EVT_RELEASED, evt.EVT_ABORTED):
            self.bind(over, lambda _event: reception.ended(self))
        self.reception = reception
        self.connection = connection
        self.service: StoreService | None = None
        self.note = note
        self.cause: tuple[Ending, str] | None = None
        self.log_fields: dict[str, Any] = {"address": address[0]}
        self.exchange = Exchange(connection, self._is_over)
        self.gate = _Gate(self._has_work)
        self.gate.set()
        self._reactor_checkpoint = self.gate
        self.dul = _UpperLayer(self, ReceiveBuffer(connection, patience=patience, first=first))
        self.acse = _Negotiator(self)
        self.dimse.msg_queue = self.exchange.requests = _SignallingQueue(self.gate.ring)
        self._serving = False
        # Again, because they reach into the upper layer that was there before.
        self.acse_timeout = entity.acse_timeout
        self.network_timeout = entity.network_timeout
        self.set_socket(_Connection(self, client_socket=connection))
        self.acceptor.maximum_length = entity.maximum_pdu_size
        self.acceptor.ae_title = entity.ae_title
        self.acceptor.address_info = AddressInformation.from_tuple(connection.getsockname())
        self.acceptor.implementation_class_uid = entity.implementation_class_uid
        self.acceptor.implementation_version_name = entity.implementation_version_name
        self.requestor.address_info = AddressInformation.from_tuple(address)

    def run_reactor(self) -> None:
        try:
            super().run_reactor()
        finally:
            self.dul.kill_dul()
            self.cut()
            self.dul.join()
            self.connection.close()
            connections.close_all()
            self.reception.ended(self)

    @property
    def busy(self) -> bool:
        """Inside a message, in either direction, or being negotiated."""
        transfer = self.dul.transfer
        return transfer is None or transfer.busy or self._serving or self._has_work()

    @property
    def secured(self) -> Secured | None:
        """What TLS settled; None on a plain connection."""
        return self.connection.secured if isinstance(self.connection, TlsConnection) else None

    def blame(self, ending: Ending, reason: str = "") -> None:
        """Why it will end, unless it is released; the first cause stays."""
        if self.cause is None:
            self.cause = (ending, reason)

    def cut(self) -> None:
        """Ends the connection under the association's feet, from any thread."""
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # not connected any more, which is what was wanted

    def _serve_request(self, msg: Message, _context_id: int) -> None:
        self._serving = True
        try:
            self.exchange.serve(msg)
        finally:
            self._serving = False
            self.dul._idle_timer.restart()

    def _is_over(self) -> bool:
        """True when nothing that is sent now will be read (PS3.8 9.2.2: Sta6 and Sta8 may send)."""
        return self.dul.state_machine.current_state not in _MAY_SEND or not self.dul.is_alive()

    def _has_work(self) -> bool:
        return not (self.dimse.msg_queue.empty() and self.dul.to_user_queue.empty())


def _uids(context: PresentationContext) -> tuple[str, ...]:
    return tuple(str(uid) for uid in context.transfer_syntax)


def _context(verdict: Verdict) -> PresentationContext:
    """The library's form of a verdict.

    A refused one still carries some Transfer Syntax, which is not significant (PS3.8 9.3.3.2).
    """
    context = PresentationContext()
    context.context_id = verdict.proposal.context_id
    context.abstract_syntax = UID(verdict.proposal.abstract_syntax)
    proposed = next(iter(verdict.proposal.transfer_syntaxes), IMPLICIT_VR_LITTLE_ENDIAN)
    context.transfer_syntax = [UID(verdict.transfer_syntax or proposed)]
    context.result = int(verdict.result)
    context._as_scu, context._as_scp = False, verdict.result is Result.ACCEPTANCE
    return context
