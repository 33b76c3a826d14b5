"""Storage Commitment Push Model: requests in as SCP, reports in as SCU (PS3.4 J).

A report goes out on the association its request came by while that is open; `apps.commitment`
sees to the rest.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Final

from django.db import Error as DatabaseError
from django.db import connections

from apps.commitment.actions.accept_request import Asking, TransactionInUse, accept_request
from apps.commitment.actions.deliver_reports import (
    SAME_ASSOCIATION,
    keep_association,
    leave_association,
    mark_reported,
    release_report,
    take_ready,
)
from apps.commitment.actions.record_report import record_report
from apps.commitment.models import CommitmentRequest
from apps.commitment.selectors import event_type_of, information_of
from apps.commitment.tasks import request_verification
from apps.dicom import command_set
from apps.dicom.element_shapes import Encoding
from apps.dicom.storage_commitment import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    PUSH_MODEL_CLASS,
    PUSH_MODEL_INSTANCE,
    REQUEST_ACTION,
    FailureReason,
)
from apps.dicom.transfer_syntaxes import IMPLICIT_VR_LITTLE_ENDIAN
from apps.dimse.service import AcceptedContext, Request, Response, Session
from apps.dimse.status import INVALID_ARGUMENT, SUCCESS, Refused
from apps.errors import NotFound
from apps.ingest import inbox
from apps.network.p_data import message
from apps.network.receive_buffer import ConnectionLostError

logger = logging.getLogger(__name__)

_NO_SUCH_INSTANCE: Final = 0x0112
_NO_SUCH_EVENT_TYPE: Final = 0x0113
_NO_SUCH_ACTION: Final = 0x0123
_NO_MESSAGE: Final = 0  # no request has this Message ID: asks only whether it is all over
_RESPONSE_SECONDS: Final = 60.0
_RENEW_SECONDS: Final = 5.0
_SOON: Final = 0.1
_LATER: Final = 1.0
_SOON_FOR_SECONDS: Final = 10.0


def handle_n_action(request: Request) -> Response:
    """Success means that the request is kept, no more; the report is the promise (J.3.2)."""
    _demand_well_known(request)
    if request.number(command_set.ACTION_TYPE_ID) != REQUEST_ACTION:
        raise Refused(_NO_SUCH_ACTION, "Action Type ID is not 1")
    inbox.catch_up()
    session = request.session
    association = association_name(session)
    asking = Asking(session.calling_ae_title, session.called_ae_title, session.address, association)
    try:
        accept_request(asking, request.data, _encoding(request.context))
    except TransactionInUse as error:
        raise Refused(FailureReason.DUPLICATE_TRANSACTION, error.message) from error
    _reporters.attend(association, session, request.context)
    return Response(SUCCESS, values={command_set.ACTION_TYPE_ID: REQUEST_ACTION})


def handle_n_event_report(request: Request) -> Response:
    """A peer tells whether it commits to what we sent it (J.3.3)."""
    _demand_well_known(request)
    event_type = request.number(command_set.EVENT_TYPE_ID)
    if event_type not in (ALL_COMMITTED, FAILURES_EXIST):
        raise Refused(_NO_SUCH_EVENT_TYPE, "Event Type ID is neither 1 nor 2")
    implicit = _encoding(request.context).implicit
    try:
        record_report(request.session.calling_ae_title, request.data, implicit=implicit)
    except NotFound as error:
        raise Refused(INVALID_ARGUMENT, error.message, offending=(0x00081195,)) from error
    return Response(SUCCESS, values={command_set.EVENT_TYPE_ID: event_type})


def association_name(session: Session) -> str:
    """A name no other association has, on any machine and after any restart."""
    return f"{socket.gethostname()[:20]} {session.note.name} {session.note.started_at:%y%m%d%H%M%S}"


def _demand_well_known(request: Request) -> None:
    if request.sop_class_uid != PUSH_MODEL_CLASS or request.sop_instance_uid != PUSH_MODEL_INSTANCE:
        raise Refused(_NO_SUCH_INSTANCE, "Not the well-known SOP Instance")


def _encoding(context: AcceptedContext) -> Encoding:
    return Encoding(implicit=context.transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN, big_endian=False)


class _Reporters:
    """A thread for each association that may still deliver reports, and for no other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attended: set[str] = set()

    def attend(self, association: str, session: Session, context: AcceptedContext) -> None:
        """From now on until its requests are reported, or it is over."""
        with self._lock:
            if association in self._attended:
                return
            self._attended.add(association)
        threading.Thread(
            target=self._run, args=(association, session, context), name="reporter", daemon=True
        ).start()

    def _run(self, association: str, session: Session, context: AcceptedContext) -> None:
        try:
            request_verification()
            while _report(association, session, context):
                with self._lock:
                    # A request that came since finds no reporter and gets another.
                    if _nothing_left(association):
                        self._attended.discard(association)
                        return
            leave_association(association)
            request_verification()
        except DatabaseError as error:
            # The claim runs out by itself, and the report goes by a new association.
            logger.warning("Reports wait: the database does not answer (%s)", type(error).__name__)
        finally:
            with self._lock:
                self._attended.discard(association)
            connections.close_all()


_reporters = _Reporters()


def _nothing_left(association: str) -> bool:
    state = CommitmentRequest.State
    return not CommitmentRequest.objects.filter(
        association=association, state__in=(state.RECEIVED, state.VERIFIED)
    ).exists()


def _report(association: str, session: Session, context: AcceptedContext) -> bool:
    """Delivers what is ready until nothing is left; False once the association cannot any more."""
    began = renewed = time.monotonic()
    keep_association(association)
    while not session.peer.is_cancelled(_NO_MESSAGE):
        now = time.monotonic()
        if now - renewed >= _RENEW_SECONDS:
            renewed = now
            keep_association(association)
        for request in take_ready(association):
            if not _delivered(request, session, context):
                return False
        if _nothing_left(association):
            return True
        time.sleep(_SOON if now - began < _SOON_FOR_SECONDS else _LATER)
    return False


def _delivered(request: CommitmentRequest, session: Session, context: AcceptedContext) -> bool:
    peer = session.peer
    number = peer.new_message_id()
    command = command_set.command_set(
        {
            command_set.AFFECTED_SOP_CLASS_UID: PUSH_MODEL_CLASS,
            command_set.COMMAND_FIELD: command_set.N_EVENT_REPORT_RQ,
            command_set.MESSAGE_ID: number,
            command_set.COMMAND_DATA_SET_TYPE: command_set.A_DATA_SET,
            command_set.AFFECTED_SOP_INSTANCE_UID: PUSH_MODEL_INSTANCE,
            command_set.EVENT_TYPE_ID: event_type_of(request),
        }
    )
    information = information_of(request, implicit=_encoding(context).implicit)
    try:
        peer.send(message(context.context_id, command, information, peer.maximum))
        status = peer.reply(number, timeout=_RESPONSE_SECONDS).status
    except ConnectionLostError as error:
        release_report(request, f"{request.calling_ae_title} did not answer the report ({error}).")
        return False
    session.note.count("N-EVENT-REPORT", status)
    if status != SUCCESS:
        release_report(
            request, f"{request.calling_ae_title} refused the report with status {status:04X}."
        )
        return False
    mark_reported(request, SAME_ASSOCIATION)
    return True
