"""Unified Procedure Step SCP: Push, Pull, Watch and Query (PS3.4 CC)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from apps.access.audit import view_event
from apps.dicom import command_set, ups
from apps.dicom.data_sets import Document, read_data_set, text_at, write_data_set
from apps.dicom.identifiers import AnswerWriter, read_identifier
from apps.dicom.mpps import tag_of
from apps.dicom.ups import Fault, UpsFault
from apps.dimse import status
from apps.dimse.find import until_cancelled
from apps.dimse.mpps import tags_of
from apps.dimse.service import Request, Response
from apps.dimse.status import Refused, answer_for
from apps.errors import InvalidRequest
from apps.worklist.actions.change_work_item import (
    change_work_item,
    change_work_item_state,
    request_cancellation,
)
from apps.worklist.actions.create_work_item import create_work_item
from apps.worklist.actions.subscribe import check_receiver, subscribe, suspend, unsubscribe
from apps.worklist.work_item_search import WorkItemQuery, search_work_items, work_item

_CHANGE_STATE, _CANCEL, _SUBSCRIBE, _UNSUBSCRIBE, _SUSPEND = 1, 2, 3, 4, 5
# TABLE: which actions each SOP Class has (CC.2-1 to CC.2-5).
ACTIONS: Final[dict[str, frozenset[int]]] = {
    ups.PUSH: frozenset({_CANCEL}),
    ups.PULL: frozenset({_CHANGE_STATE}),
    ups.WATCH: frozenset({_CANCEL, _SUBSCRIBE, _UNSUBSCRIBE, _SUSPEND}),
    ups.QUERY: frozenset(),
}
_NO_SUCH_ACTION: Final = 0x0123
_RECEIVING_AE: Final = tag_of("ReceivingAE")
_DELETION_LOCK: Final = tag_of("DeletionLock")


def handle_c_find(request: Request) -> Iterator[Response]:
    """A pending response for each work item that matches (CC.2.8)."""
    identifier = read_identifier(request.data, request.context.transfer_syntax)
    query = WorkItemQuery(identifier.keys)
    pending = status.PENDING_WITHOUT_OPTIONAL_KEYS if query.unsupported else status.PENDING
    empty = {
        key.tag: ""
        for key in query.unsupported
        if len(key.path) == 1
        and not key.private_creator
        and f"{key.tag:08X}" != ups.TRANSACTION_UID
    }
    writer = AnswerWriter(request.context.transfer_syntax, identifier.character_set)
    found = search_work_items(query, request.session.principal)
    view_event(request.session.principal, "WorklistRead", "")
    answers = ({int(tag, 16): item[tag] for tag in item} for item in found)
    yield from until_cancelled(
        request, (Response(pending, writer.write(empty, each)) for each in answers)
    )


def _told(act: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """A handler whose faults are answered with the standard's own codes."""

    def handle(request: Request) -> Response:
        try:
            return act(request)
        except UpsFault as error:
            comment = error.message[: command_set.LONGEST_COMMENT]
            return Response(int(error.fault), None, comment)
        except InvalidRequest as error:
            answer = answer_for(error, request.command_field)
            values = {command_set.ATTRIBUTE_IDENTIFIER_LIST: answer.offending}
            return Response(answer.status, None, answer.comment, values)

    return handle


def _document(request: Request) -> Document:
    if not request.data:
        return {}
    return read_data_set(request.data, request.context.transfer_syntax).document


@_told
def handle_n_create(request: Request) -> Response:
    """Work is put on the list (CC.2.5)."""
    principal = request.session.principal
    item = create_work_item(principal, request.sop_instance_uid, _document(request))
    values = {command_set.AFFECTED_SOP_INSTANCE_UID: item.sop_instance_uid}
    return Response(status.SUCCESS, values=values)


@_told
def handle_n_set(request: Request) -> Response:
    """What is known of a work item changes (CC.2.6)."""
    change_work_item(request.session.principal, request.sop_instance_uid, _document(request))
    return Response(status.SUCCESS)


@_told
def handle_n_get(request: Request) -> Response:
    """The attributes asked for, or all; never the Transaction UID (CC.2.7)."""
    item = work_item(request.sop_instance_uid, request.session.principal)
    asked = tags_of(request.elements.get(command_set.ATTRIBUTE_IDENTIFIER_LIST, b""))
    document = {tag: each for tag, each in item.document.items() if not asked or tag in asked}
    view_event(request.session.principal, "WorklistRead", "")
    missing = asked - document.keys() - {"00080005"}
    data = write_data_set(document, request.context.transfer_syntax)
    return Response(status.NOT_ALL_ATTRIBUTES if missing else status.SUCCESS, data)


@_told
def handle_n_action(request: Request) -> Response:
    """State, cancellation, subscriptions (CC.2.1 to CC.2.3)."""
    action = request.number(command_set.ACTION_TYPE_ID) or 0
    if action not in ACTIONS[request.context.abstract_syntax]:
        raise Refused(_NO_SUCH_ACTION, "This SOP Class does not have that action")
    warning = _ACTS[action](request, _document(request))
    values: dict[int, command_set.Value] = {command_set.ACTION_TYPE_ID: action}
    return Response(status.SUCCESS if warning is None else int(warning), values=values)


def _change_state(request: Request, information: Document) -> Fault | None:
    state, key = text_at(information, ups.STATE), text_at(information, ups.TRANSACTION_UID)
    principal = request.session.principal
    return change_work_item_state(principal, request.sop_instance_uid, state, key)


def _cancel(request: Request, information: Document) -> Fault | None:
    principal = request.session.principal
    return request_cancellation(principal, request.sop_instance_uid, information)


def _subscribe(request: Request, information: Document) -> None:
    receiver = _receiver(information)
    check_receiver(receiver)
    match = {t: e for t, e in information.items() if t not in {_RECEIVING_AE, _DELETION_LOCK}}
    subscribe(
        request.session.principal,
        request.sop_instance_uid,
        receiver,
        deletion_lock=text_at(information, _DELETION_LOCK) == "TRUE",
        match=match,
    )


def _unsubscribe(request: Request, information: Document) -> None:
    unsubscribe(request.session.principal, request.sop_instance_uid, _receiver(information))


def _suspend(request: Request, information: Document) -> None:
    suspend(request.session.principal, request.sop_instance_uid, _receiver(information))


def _receiver(information: Document) -> str:
    return text_at(information, _RECEIVING_AE).strip()


_ACTS: Final[dict[int, Callable[[Request, Document], Fault | None]]] = {
    _CHANGE_STATE: _change_state,
    _CANCEL: _cancel,
    _SUBSCRIBE: _subscribe,
    _UNSUBSCRIBE: _unsubscribe,
    _SUSPEND: _suspend,
}
