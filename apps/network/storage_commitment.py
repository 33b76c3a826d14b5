"""Storage commitment on associations we open: asking as SCU, reporting as SCP (PS3.4 J.3).

Data sets go out and come in as bytes: one about 100,000 instances must not become objects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from apps.dicom import command_set
from apps.dicom.command_set import Value
from apps.dicom.storage_commitment import PUSH_MODEL_CLASS, PUSH_MODEL_INSTANCE, REQUEST_ACTION
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from apps.errors import NotAcceptable, Unavailable
from apps.network.associate_items import ProposedContext, Remote
from apps.network.association import OpenContext, OutgoingAssociation, Received
from apps.network.models import ApplicationEntity
from apps.network.peer_errors import PeerUnreachable

_SYNTAXES: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
_SUCCESS: Final = 0x0000

Information = Callable[[bool], bytes]
"""Makes the data set, given whether the VR is implicit; Little Endian always."""


@dataclass(frozen=True, slots=True)
class Report:
    """An N-EVENT-REPORT as it came."""

    information: bytes
    implicit: bool


def remote_of(own_title: str, peer: ApplicationEntity | None, title: str) -> Remote:
    """How to call a peer; raises NotAcceptable, in words, when nobody has said where it is."""
    if peer is None or not peer.host or not peer.port:
        raise NotAcceptable(f"{title} has no host and port under Network, so it cannot be called.")
    return Remote(peer.title, peer.host, peer.port, own_title, peer.use_tls)


def send_report(remote: Remote, event_type: int, information: Information) -> None:
    """Delivers a report on a new association, on which we are the SCP (PS3.4 J.3.3.1.2).

    Raises a PacsError, in words for an administrator, unless the peer answered Success.
    """
    with _association(remote, as_scp=True) as (association, context):
        _send(
            association,
            context,
            {
                command_set.COMMAND_FIELD: command_set.N_EVENT_REPORT_RQ,
                command_set.AFFECTED_SOP_CLASS_UID: PUSH_MODEL_CLASS,
                command_set.AFFECTED_SOP_INSTANCE_UID: PUSH_MODEL_INSTANCE,
                command_set.EVENT_TYPE_ID: event_type,
            },
            information,
        )
        answer = association.receive()
        _demand_success(remote, "report", answer)


def ask(
    remote: Remote, information: Information, heard: Callable[[Report], int], wait_seconds: float
) -> None:
    """Sends a request and waits a while for the report on the same association.

    `heard` gets the report and gives the status for the answer. Returns once the peer has
    accepted the request and has reported, released, or let the time pass. Raises a PacsError, in
    words for an administrator, when it did not accept.
    """
    with _association(remote, as_scp=False) as (association, context):
        _send(
            association,
            context,
            {
                command_set.COMMAND_FIELD: command_set.N_ACTION_RQ,
                command_set.REQUESTED_SOP_CLASS_UID: PUSH_MODEL_CLASS,
                command_set.REQUESTED_SOP_INSTANCE_UID: PUSH_MODEL_INSTANCE,
                command_set.ACTION_TYPE_ID: REQUEST_ACTION,
            },
            information,
        )
        answer = association.receive()
        reported = False
        while answer.command_field == command_set.N_EVENT_REPORT_RQ:  # faster than its own answer
            reported = _hear(association, context, answer, heard)
            answer = association.receive()
        _demand_success(remote, "request", answer)
        until = time.monotonic() + wait_seconds
        while not reported and association.waits(max(until - time.monotonic(), 0)):
            try:
                reported = _hear(association, context, association.receive(), heard)
            except PeerUnreachable:
                return  # it has ended the association, and will open one of its own


@contextmanager
def _association(
    remote: Remote, *, as_scp: bool
) -> Iterator[tuple[OutgoingAssociation, OpenContext]]:
    """An association with the one context; without `as_scp` we are SCU, as PS3.7 assumes.

    A peer that says nothing about our role is taken not to mind.
    """
    proposed = [ProposedContext(PUSH_MODEL_CLASS, _SYNTAXES, as_scp=as_scp)]
    with OutgoingAssociation.open(remote, proposed) as association:
        refused = as_scp and not association.roles.get(PUSH_MODEL_CLASS, (False, True))[1]
        if refused or not association.contexts:
            association.release()
            raise NotAcceptable(
                f"{remote.title} does not accept storage commitment with us in the SCP role, so "
                "it cannot take reports on a new association."
                if as_scp
                else f"{remote.title} does not accept storage commitment."
            )
        yield association, association.contexts[0]


def _send(
    association: OutgoingAssociation,
    context: OpenContext,
    command: dict[int, Value],
    information: Information,
) -> None:
    number = association.new_message_id()
    data = information(context.transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN)
    association.request(context, {**command, command_set.MESSAGE_ID: number}, data)


def _hear(
    association: OutgoingAssociation,
    context: OpenContext,
    message: Received,
    heard: Callable[[Report], int],
) -> bool:
    """Answers a report; False for a message that is none."""
    if message.command_field != command_set.N_EVENT_REPORT_RQ:
        return False
    implicit = context.transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN
    status = heard(Report(message.data, implicit))
    response: dict[int, Value] = {
        command_set.COMMAND_FIELD: command_set.N_EVENT_REPORT_RQ | command_set.RESPONSE,
        command_set.AFFECTED_SOP_CLASS_UID: PUSH_MODEL_CLASS,
        command_set.AFFECTED_SOP_INSTANCE_UID: PUSH_MODEL_INSTANCE,
        command_set.MESSAGE_ID_BEING_RESPONDED_TO: command_set.number(
            message.elements, command_set.MESSAGE_ID
        ),
        command_set.EVENT_TYPE_ID: command_set.number(message.elements, command_set.EVENT_TYPE_ID),
        command_set.STATUS: status,
    }
    association.request(context, response, None)
    return True


def _demand_success(remote: Remote, what: str, answer: Received) -> None:
    if command_set.STATUS not in answer.elements:
        raise Unavailable(f"{remote.title} did not answer the {what}.")
    if answer.status != _SUCCESS:
        comment = f": {answer.comment}" if answer.comment else ""
        raise Unavailable(
            f"{remote.title} refused the {what} with status {answer.status:04X}{comment}."
        )
