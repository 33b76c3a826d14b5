"""Subscriptions to work items (PS3.18 11.10 to 11.12), and where their events are to be had."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apps.access.principals import Permission, Principal, permit
from apps.dicom import ups
from apps.dicom.attributes import any_attribute
from apps.dicom.data_sets import Document, element
from apps.dicom.query import Key
from apps.dicom.values import DELIMITER
from apps.dicomweb.links import event_channel_url
from apps.dicomweb.qido.parameters import key_of, split_parameters
from apps.dicomweb.ups_rs.payload import empty
from apps.dicomweb.ups_rs.refusals import told
from apps.errors import InvalidRequest, NotFound
from apps.worklist.actions.subscribe import subscribe as subscribe_action
from apps.worklist.actions.subscribe import suspend as suspend_action
from apps.worklist.actions.subscribe import unsubscribe as unsubscribe_action

# PS3.5 6.2: at most 16 characters of the default repertoire, no backslash, no control character.
_AE_TITLE: Final = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")
# A comma of the filter's list stands before the next attribute.
_NEXT_KEY: Final = re.compile(r",(?=[0-9A-Za-z.]+=)")
_SETTINGS: Final = frozenset({"accept", "charset", "deletionlock", "filter"})


@told()
def subscribe(
    request: HttpRequest, principal: Principal, workitem: str, aetitle: str
) -> HttpResponseBase:
    """`POST /workitems/{workitem}/subscribers/{aetitle}` (11.10); the UID may be a well-known one.

    Content-Location is the WebSocket on which the events come.
    """
    pairs = split_parameters(request.META.get("QUERY_STRING", ""))
    keys = _filter(pairs)
    filtered = workitem == ups.FILTERED_SUBSCRIPTION
    if filtered and not keys:
        raise InvalidRequest("A filtered subscription needs a filter.", offending=("filter",))
    if keys and not filtered:
        raise InvalidRequest(
            f"Only the subscription to {ups.FILTERED_SUBSCRIPTION} takes a filter.",
            offending=("filter",),
        )
    receiver = ae_title(aetitle)
    subscribe_action(
        principal,
        workitem,
        receiver,
        deletion_lock=_lock(pairs),
        match=_identifier(keys),
        by_channel=True,
    )
    response = empty(201)
    response["Content-Location"] = event_channel_url(request, receiver)
    return response


@told()
def unsubscribe(
    _request: HttpRequest, principal: Principal, workitem: str, aetitle: str
) -> HttpResponseBase:
    """`DELETE /workitems/{workitem}/subscribers/{aetitle}` (11.11)."""
    if not unsubscribe_action(principal, workitem, ae_title(aetitle)):
        raise NotFound("There is no such subscription.")
    return empty(200)


@told()
def suspend(
    _request: HttpRequest, principal: Principal, workitem: str, aetitle: str
) -> HttpResponseBase:
    """`POST /workitems/{well-known UID}/subscribers/{aetitle}/suspend` (11.12)."""
    if not suspend_action(principal, workitem, ae_title(aetitle)):
        raise NotFound("There is no such subscription.")
    return empty(200)


def event_channel(request: HttpRequest, principal: Principal, aetitle: str) -> HttpResponseBase:
    """`GET /subscribers/{aetitle}` here: says where the WebSocket (8.10.4) is."""
    permit(principal, Permission.VIEW_WORKLIST)
    url = event_channel_url(request, ae_title(aetitle))
    response = HttpResponse(
        f"Open {url} instead: events come by WebSocket.\n",
        status=426,
        content_type="text/plain; charset=utf-8",
    )
    response["Upgrade"] = "websocket"
    response["Content-Location"] = url
    response["Cache-Control"] = "no-store"
    return response


def ae_title(text: str) -> str:
    """An AE title without padding; raises InvalidRequest."""
    title = text.strip(" ")
    if not title or not _AE_TITLE.fullmatch(title):
        raise InvalidRequest("An AE title has 1 to 16 plain characters.", offending=("aetitle",))
    return title


def _lock(pairs: Iterable[tuple[str, str]]) -> bool:
    given = {value.lower() for name, value in pairs if name.lower() == "deletionlock"}
    if not given:
        return False
    if len(given) > 1 or not given <= {"true", "false"}:
        raise InvalidRequest("deletionlock must be true or false.", offending=("deletionlock",))
    return given == {"true"}


def _filter(pairs: Iterable[tuple[str, str]]) -> list[Key]:
    """Keys of the `filter` list, and those given as parameters of their own (as before 2019)."""
    keys = []
    for name, value in pairs:
        if name.lower() == "filter":
            for each in filter(None, _NEXT_KEY.split(value)):
                attribute, equals, text = each.partition("=")
                if not equals:
                    raise InvalidRequest(
                        "The filter is a list of attribute=value.", offending=("filter",)
                    )
                keys.append(key_of(attribute.strip(), text))
        elif name.lower() not in _SETTINGS:
            keys.append(key_of(name, value))
    return keys


def _identifier(keys: Iterable[Key]) -> Document:
    """The keys as an identifier in the DICOM JSON Model, as a subscription over DIMSE has them."""
    document: Document = {}
    for key in keys:
        level = document
        for tag in key.path[:-1]:
            sequence = level.setdefault(f"{tag:08X}", {"vr": "SQ", "Value": [{}]})
            if sequence.get("vr") != "SQ" or not sequence.get("Value"):
                raise InvalidRequest("The filter contradicts itself.", offending=("filter",))
            level = sequence["Value"][0]
        attribute = any_attribute(key.tag)
        vr = attribute.vr if attribute else "LO"
        text = DELIMITER.join(key.values)
        level[f"{key.tag:08X}"] = {"vr": "SQ"} if vr == "SQ" else _element(vr, text)
    return document


def _element(vr: str, text: str) -> dict[str, object]:
    try:
        return element(vr, text)
    except ValueError:
        raise InvalidRequest(f"The filter has no value of {vr}.", offending=("filter",)) from None
