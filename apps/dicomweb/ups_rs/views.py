"""Worklist Service (PS3.18 11): work items created, read, changed, claimed, cancelled, searched."""

from __future__ import annotations

from itertools import islice
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from apps.access.audit import view_event
from apps.access.principals import Principal
from apps.access.searches import note_search
from apps.dicom import uids, ups
from apps.dicom.data_sets import Document, text_at
from apps.dicom.mpps import tag_of
from apps.dicomweb.qido.parameters import split_parameters
from apps.dicomweb.ups_rs.payload import (
    OF_ONE,
    OF_SEVERAL,
    chosen,
    empty,
    one,
    read_document,
    several,
    work_item_url,
)
from apps.dicomweb.ups_rs.refusals import ALREADY, OF_UPDATE, told, warn
from apps.dicomweb.ups_rs.search import PAGE, search_from
from apps.errors import InvalidRequest
from apps.worklist.actions.change_work_item import (
    change_work_item,
    change_work_item_state,
    request_cancellation,
)
from apps.worklist.actions.create_work_item import create_work_item
from apps.worklist.work_item_search import search_work_items, work_item

_SOP_INSTANCE_UID: Final = tag_of("SOPInstanceUID")
# The standard's template has the UID alone behind the `?`; clients also give it these names.
_WORKITEM_NAMES: Final = frozenset({"workitem", "affectedsopinstanceuid", "sopinstanceuid", "uid"})
_TRANSACTION_NAMES: Final = frozenset({"transaction-uid", "transactionuid", "transaction"})
# What we set ourselves, whatever was sent.
_OURS: Final = frozenset(
    {ups.TRANSACTION_UID, ups.MODIFIED, tag_of("SOPClassUID"), _SOP_INSTANCE_UID}
)


@told()
def create(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """`POST /workitems?{workitem}` (11.4); the UID may stand in the data set instead."""
    named = _uid_in_query(request, _WORKITEM_NAMES)
    document = read_document(request)
    inside = text_at(document, _SOP_INSTANCE_UID)
    if named and inside and named != inside:
        raise InvalidRequest(
            "The URL and the data set name different work items.", offending=(_SOP_INSTANCE_UID,)
        )
    item = create_work_item(principal, named or inside, document)
    response = empty(201)
    response["Location"] = work_item_url(request, item.sop_instance_uid)
    response["Content-Location"] = response["Location"]
    if _is_altered(document, item.document):
        warn(request, response, "The Workitem was created with modifications.")
    return response


@told()
def retrieve(request: HttpRequest, principal: Principal, workitem: str) -> HttpResponseBase:
    """`GET /workitems/{workitem}` (11.5), never with its Transaction UID."""
    offer = chosen(request, OF_ONE)
    item = work_item(workitem, principal)
    view_event(principal, "WorklistRead", "")
    return one(request, offer, item.document)


@told(OF_UPDATE)
def update(request: HttpRequest, principal: Principal, workitem: str) -> HttpResponseBase:
    """`POST /workitems/{workitem}?{transaction-uid}` (11.6)."""
    named = _uid_in_query(request, _TRANSACTION_NAMES)
    changes = read_document(request)
    if not changes:
        raise InvalidRequest("The body holds no attribute to change.")
    inside = text_at(changes, ups.TRANSACTION_UID)
    if named and inside and named != inside:
        raise InvalidRequest(
            "The URL and the data set have different Transaction UIDs.",
            offending=(ups.TRANSACTION_UID,),
        )
    key = named or inside
    if key:
        changes[ups.TRANSACTION_UID] = {"vr": "UI", "Value": [key]}
    change_work_item(principal, workitem, changes)
    return empty(200)


@told()
def change_state(request: HttpRequest, principal: Principal, workitem: str) -> HttpResponseBase:
    """`PUT /workitems/{workitem}/state` (11.7)."""
    information = read_document(request)
    state, key = text_at(information, ups.STATE), text_at(information, ups.TRANSACTION_UID)
    already = change_work_item_state(principal, workitem, state, key)
    response = empty(200)
    if already is not None:
        warn(request, response, ALREADY[already])
    return response


@told()
def cancel(request: HttpRequest, principal: Principal, workitem: str) -> HttpResponseBase:
    """`POST /workitems/{workitem}/cancelrequest` (11.8); a reason is not demanded."""
    already = request_cancellation(principal, workitem, read_document(request))
    response = empty(202)
    if already is not None:
        warn(request, response, ALREADY[already])
    return response


def search(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """`GET /workitems` (11.9): 204 for nothing, 206 where a page left some out."""
    offer = chosen(request, OF_SEVERAL)
    asked = search_from(request.META.get("QUERY_STRING", ""))
    note_search(principal, "workitems", asked.said)
    matches = search_work_items(asked.query, principal, whole=asked.everything)
    limit = min(PAGE if asked.limit is None else asked.limit, PAGE)
    skipped = sum(1 for _ in islice(matches, asked.offset))
    found = list(islice(matches, limit))
    left = sum(1 for _ in matches) if skipped == asked.offset else 0
    view_event(principal, "WorklistRead", "")
    response = several(request, offer, found) if found else empty(204)
    if left:
        response.status_code = 206 if found else 204
        warn(request, response, f"There are {left} additional results that can be requested")
    return response


def _uid_in_query(request: HttpRequest, names: frozenset[str]) -> str:
    """The UID alone (`?1.2.3`) or under one of the names; `""` where there is none."""
    found = set()
    for piece in request.META.get("QUERY_STRING", "").split("&"):
        if not piece:
            continue
        ((name, value),) = split_parameters(piece) or [("", "")]
        if name.lower() in names:
            found.add(value.strip())
        elif "=" not in piece:
            found.add(name.strip())
    if len(found) > 1 or not all(map(uids.is_valid, found)):
        raise InvalidRequest("The query holds something that is no UID.")
    return next(iter(found), "")


def _is_altered(sent: Document, kept: Document) -> bool:
    """Whether anything that was sent is kept otherwise."""
    return any(kept.get(tag) != each for tag, each in sent.items() if tag not in _OURS)
