"""Storage commitment on associations we open: asking as SCU, reporting as SCP (PS3.4 J.3).

Data sets go out and come in as bytes: one about 100,000 instances must not become objects.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from django.db import connections
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT

from apps.dicom import uids
from apps.dicom.storage_commitment import PUSH_MODEL_CLASS, PUSH_MODEL_INSTANCE, REQUEST_ACTION
from apps.errors import Unavailable
from apps.network.models import ApplicationEntity
from apps.network.tls import TlsNotReady, client_context

# We say in one line who cannot be reached; the library would add a stack.
logging.getLogger("pynetdicom.transport").setLevel(logging.CRITICAL)

_CONNECT_SECONDS: Final = 10
_RESPONSE_SECONDS: Final = 60

Information = Callable[[bool], bytes]
"""Makes the data set, given whether the VR is implicit; Little Endian always."""


@dataclass(frozen=True, slots=True)
class Called:
    """Whom we call and as whom."""

    own_title: str
    title: str
    host: str
    port: int
    use_tls: bool = False


def called_as(own_title: str, peer: ApplicationEntity | None, title: str) -> Called:
    """How to call a peer; raises Unavailable, in words, when nobody has said where it is."""
    if peer is None or not peer.host or not peer.port:
        raise Unavailable(f"{title} has no host and port under Network, so it cannot be called.")
    return Called(own_title, peer.title, peer.host, peer.port, use_tls=peer.use_tls)


@dataclass(frozen=True, slots=True)
class Report:
    """An N-EVENT-REPORT as it came."""

    event_type: int
    information: bytes
    implicit: bool


def send_report(called: Called, event_type: int, information: Information) -> None:
    """Delivers a report on a new association, on which we are the SCP (PS3.4 J.3.3.1.2).

    Raises Unavailable, in words for an administrator, unless the peer answered Success.
    """
    with _association(called, scu=False, scp=True) as (association, context):
        request = N_EVENT_REPORT()
        request.MessageID = 1
        request.AffectedSOPClassUID = UID(PUSH_MODEL_CLASS)
        request.AffectedSOPInstanceUID = UID(PUSH_MODEL_INSTANCE)
        request.EventTypeID = event_type
        request.EventInformation = BytesIO(information(_implicit(context)))
        _demand_success(called, "report", _response(called, association, context, request))


def ask(
    called: Called, information: Information, heard: Callable[[Report], int], wait_seconds: float
) -> None:
    """Sends a request and waits a while for the report on the same association.

    `heard` gets the report and gives the status for the answer. Returns once the peer has
    accepted the request and reported, released, or let the time pass; raises Unavailable, in
    words for an administrator, when it did not accept.
    """
    reported = threading.Event()

    def handle_n_event_report(event: Any) -> tuple[int, None]:
        body = event.request.EventInformation
        syntax = event.context.transfer_syntax
        raw = body.getvalue() if body else b""
        try:
            status = heard(Report(event.event_type, raw, syntax == ImplicitVRLittleEndian))
        finally:
            connections.close_all()  # this thread's own
        reported.set()
        return status, None

    handlers = [(evt.EVT_N_EVENT_REPORT, handle_n_event_report)]
    with _association(called, scu=True, scp=False, handlers=handlers) as (association, context):
        request = N_ACTION()
        request.MessageID = 1
        request.RequestedSOPClassUID = UID(PUSH_MODEL_CLASS)
        request.RequestedSOPInstanceUID = UID(PUSH_MODEL_INSTANCE)
        request.ActionTypeID = REQUEST_ACTION
        request.ActionInformation = BytesIO(information(_implicit(context)))
        _demand_success(called, "request", _response(called, association, context, request))
        for _ in range(int(wait_seconds * 10)):
            if reported.wait(0.1) or not association.is_established:
                break


@contextmanager
def _association(
    called: Called, *, scu: bool, scp: bool, handlers: list[Any] | None = None
) -> Iterator[tuple[Association, Any]]:
    """An association with the one context, released at the end."""
    entity = AE(ae_title=called.own_title)
    entity.implementation_class_uid = uids.IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = uids.IMPLEMENTATION_VERSION_NAME
    entity.connection_timeout = _CONNECT_SECONDS
    entity.acse_timeout = _CONNECT_SECONDS
    entity.dimse_timeout = entity.network_timeout = _RESPONSE_SECONDS
    syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    entity.add_requested_context(PUSH_MODEL_CLASS, syntaxes)
    # Without negotiation the requestor is SCU (PS3.7 D.3.3.4), so only the other role is proposed.
    roles = [build_role(PUSH_MODEL_CLASS, scu_role=scu, scp_role=scp)] if scp else []
    connected = threading.Event()
    association = entity.associate(
        called.host,
        called.port,
        ae_title=called.title,
        ext_neg=roles,
        tls_args=_tls(called),
        evt_handlers=[(evt.EVT_CONN_OPEN, lambda _event: connected.set()), *(handlers or [])],
    )
    if not association.is_established:
        raise Unavailable(_why_not(called, association, scp=scp, connected=connected.is_set()))
    try:
        yield association, _context(called, association, scp=scp)
    finally:
        if association.is_established:
            association.release()


def _tls(called: Called) -> tuple[ssl.SSLContext, str] | None:
    if not called.use_tls:
        return None
    try:
        return client_context(), called.host
    except TlsNotReady as error:
        raise Unavailable(str(error)) from error


def _context(called: Called, association: Association, *, scp: bool) -> Any:
    """The accepted context; a peer that says nothing about our role is taken not to mind."""
    context = next(iter(association.accepted_contexts), None)
    if context is None:
        association.release()
        raise Unavailable(_not_accepted(called, scp=scp))
    answered = association.acceptor.role_selection.get(UID(PUSH_MODEL_CLASS))
    if scp and answered is not None and not answered.scp_role:
        association.release()
        raise Unavailable(_not_accepted(called, scp=scp))
    return context


def _why_not(called: Called, association: Association, *, scp: bool, connected: bool) -> str:
    where = f"{called.title} at {called.host}:{called.port}"
    if not connected:
        return f"{where} cannot be reached."
    if association.is_rejected:
        answer = association.acceptor.primitive
        reason = getattr(answer, "reason_str", "") if answer is not None else ""
        return f"{where} rejects the association: {reason or 'no reason given'}."
    if association.rejected_contexts:
        return _not_accepted(called, scp=scp)
    return f"{where} does not answer, or ends the association at once."


def _not_accepted(called: Called, *, scp: bool) -> str:
    if scp:
        return (
            f"{called.title} does not accept storage commitment with us in the SCP role, so it "
            "cannot take reports on a new association."
        )
    return f"{called.title} does not accept storage commitment."


def _implicit(context: Any) -> bool:
    return bool(context.transfer_syntax[0] == ImplicitVRLittleEndian)


def _response(called: Called, association: Association, context: Any, request: Any) -> Any:
    """Sends as the library's own `send_n_*` do, but for the data set, which is bytes already."""
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        if not association.is_alive():
            raise Unavailable(f"{called.title} ended the association.")
        threading.Event().wait(0.001)
    try:
        association.dimse.send_msg(request, context.context_id)
        _, response = association.dimse.get_msg(block=True)
    finally:
        association._reactor_checkpoint.set()
    return response


def _demand_success(called: Called, what: str, response: Any) -> None:
    if response is None or getattr(response, "Status", None) is None:
        raise Unavailable(f"{called.title} did not answer the {what}.")
    if response.Status != 0:
        raise Unavailable(f"{called.title} refused the {what} with status {response.Status:04X}.")
