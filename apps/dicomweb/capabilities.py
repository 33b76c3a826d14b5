"""TABLE: what can be done with each resource; from it come OPTIONS and the OpenAPI document.

PS3.18 8.9 wants a Capabilities Description of every resource, as WADL. The same rows make the
OpenAPI document, which is what tools of today read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apps.access.principals import Principal
from apps.dicom.sop_classes import TABLE as SOP_CLASSES
from apps.dicomweb.links import base_url
from apps.rendering.options import MEDIA_TYPES

WADL: Final = "application/vnd.sun.wadl+xml"
_JSON_TYPES: Final = ("application/json", "application/vnd.oai.openapi+json")

_DICOM: Final = ('multipart/related; type="application/dicom"', "application/zip")
_METADATA: Final = (
    "application/dicom+json",
    'multipart/related; type="application/dicom+xml"',
    "application/json",
)
_FRAMES: Final = (
    'multipart/related; type="application/octet-stream"',
    'multipart/related; type="image/jpeg"',
    'multipart/related; type="image/jls"',
    'multipart/related; type="image/jp2"',
    'multipart/related; type="image/jphc"',
    'multipart/related; type="image/dicom-rle"',
    "application/octet-stream",
)
_PARTS: Final = _FRAMES[:-1]
_RENDERED: Final = (
    *(*MEDIA_TYPES, "text/html", "text/plain", "text/xml", "application/pdf"),
    *("video/mp4", "video/mpeg"),
)
_STORED: Final = ("application/dicom+json", "application/dicom+xml")
_STORE: Final = (
    'multipart/related; type="application/dicom"',
    'multipart/related; type="application/dicom+json"',
    'multipart/related; type="application/dicom+xml"',
    'multipart/related; type="application/octet-stream"',
    "application/dicom",
)
_WORK_ITEM: Final = (*_METADATA[:2], "application/dicom+xml", "application/json")
_WORK_ITEM_BODY: Final = ("application/dicom+json", "application/dicom+xml")
_JSON: Final = ("application/json",)
_SEARCH: Final = (
    *("limit", "offset", "includefield", "fuzzymatching", "emptyvaluematching"),
    *("multiplevaluematching", "explain", "accept"),
)
_RENDERING: Final = (
    "viewport",
    "window",
    "quality",
    "annotation",
    "iccprofile",
    "polarity",
    "accept",
)


@dataclass(frozen=True, slots=True)
class Capability:
    """One method of one resource: what it is for, what it takes by query and body, and gives."""

    path: str
    method: str
    name: str
    parameters: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


def _instances(path: str) -> tuple[str, ...]:
    """Several come as one body of many parts or files; one comes alone as well."""
    return (*_DICOM, "application/dicom") if path == _INSTANCE else _DICOM


_STUDY: Final = "studies/{study}"
_SERIES: Final = f"{_STUDY}/series/{{series}}"
_INSTANCE: Final = f"{_SERIES}/instances/{{instance}}"
_WORKITEM: Final = "workitems/{workitem}"
_SUBSCRIBER: Final = f"{_WORKITEM}/subscribers/{{aetitle}}"
_FRAME: Final = f"{_INSTANCE}/frames/{{frames}}"
_LEVELS: Final = ((_STUDY, "Study"), (_SERIES, "Series"), (_INSTANCE, "Instance"))


def _table() -> tuple[Capability, ...]:
    rows = [
        Capability("studies", "GET", "SearchForStudies", _SEARCH, _METADATA),
        Capability(f"{_STUDY}/series", "GET", "SearchForStudySeries", _SEARCH, _METADATA),
        Capability(f"{_STUDY}/instances", "GET", "SearchForStudyInstances", _SEARCH, _METADATA),
        Capability("series", "GET", "SearchForSeries", _SEARCH, _METADATA),
        Capability(f"{_SERIES}/instances", "GET", "SearchForSeriesInstances", _SEARCH, _METADATA),
        Capability("instances", "GET", "SearchForInstances", _SEARCH, _METADATA),
        Capability("studies", "POST", "StoreInstances", (), _STORED, _STORE),
        Capability(_STUDY, "POST", "StoreStudyInstances", (), _STORED, _STORE),
        Capability(_FRAME, "GET", "RetrieveFrames", ("accept",), _FRAMES),
        Capability(f"{_FRAME}/rendered", "GET", "RetrieveRenderedFrames", _RENDERING, MEDIA_TYPES),
        Capability(f"{_FRAME}/thumbnail", "GET", "RetrieveFrameThumbnail", _RENDERING, MEDIA_TYPES),
        Capability("changes", "GET", "ListChanges", ("after", "limit"), _JSON),
        Capability(f"{_STUDY}/restore", "POST", "RestoreRejected", (), _JSON),
        Capability(f"{_STUDY}/purge", "POST", "PurgeRejected", (), _JSON),
        Capability("openapi.json", "GET", "DescribeService", (), _JSON),
        Capability("", "GET", "DescribeServiceAtItsRoot", (), _JSON),
    ]
    for path, level in _LEVELS:
        rows += [
            Capability(path, "GET", f"Retrieve{level}", ("accept",), _instances(path)),
            Capability(path, "DELETE", f"Reject{level}", ("reason",), _JSON),
            Capability(f"{path}/metadata", "GET", f"Retrieve{level}Metadata", (), _METADATA),
            Capability(
                f"{path}/rendered", "GET", f"RetrieveRendered{level}", _RENDERING, _RENDERED
            ),
            Capability(
                f"{path}/thumbnail", "GET", f"Retrieve{level}Thumbnail", _RENDERING, MEDIA_TYPES
            ),
        ]
    return tuple(rows)


def _bulk_data() -> tuple[Capability, ...]:
    one = f"{_INSTANCE}/bulkdata/{{element}}"
    types = ("application/octet-stream", _PARTS[0])
    rows = [Capability(one, "GET", "RetrieveBulkdata", ("accept",), types)]
    for path, level in _LEVELS:
        alone = _FRAMES if path == _INSTANCE else _PARTS
        rows += [
            Capability(f"{path}/bulkdata", "GET", f"Retrieve{level}Bulkdata", ("accept",), _PARTS),
            Capability(f"{path}/pixeldata", "GET", f"Retrieve{level}PixelData", ("accept",), alone),
        ]
    return tuple(rows)


def _work_items() -> tuple[Capability, ...]:
    body = _WORK_ITEM_BODY
    return (
        Capability("workitems", "GET", "SearchForWorkitems", _SEARCH[:4], _METADATA),
        Capability("workitems", "POST", "CreateWorkitem", ("workitem",), (), body),
        Capability(_WORKITEM, "GET", "RetrieveWorkitem", ("accept",), _WORK_ITEM),
        Capability(_WORKITEM, "POST", "UpdateWorkitem", ("transaction-uid",), (), body),
        Capability(f"{_WORKITEM}/state", "PUT", "ChangeWorkitemState", (), (), body),
        Capability(
            f"{_WORKITEM}/cancelrequest", "POST", "RequestWorkitemCancellation", (), (), body
        ),
        Capability(_SUBSCRIBER, "POST", "SubscribeToWorkitems", ("deletionlock", "filter")),
        Capability(_SUBSCRIBER, "DELETE", "UnsubscribeFromWorkitems"),
        Capability(f"{_SUBSCRIBER}/suspend", "POST", "SuspendGlobalSubscription"),
        Capability("subscribers/{aetitle}", "GET", "OpenEventChannel", (), ("text/plain",)),
    )


_REMOTE: Final = "remotes/{remote}/"
# What is done with another archive as with our own; every row becomes one below `remotes/`.
_ON_REMOTES: Final = re.compile(r"SearchFor|Retrieve|Store")


def _remotes(own: tuple[Capability, ...]) -> tuple[Capability, ...]:
    linked = f"{_REMOTE}{_INSTANCE}/{{element}}"
    rows = [
        Capability("remotes", "GET", "ListRemotes", (), _JSON),
        Capability(linked, "GET", "RemoteRetrieveLinked", (), ("application/octet-stream",)),
    ]
    for row in own:
        if _ON_REMOTES.match(row.name):
            kept = tuple(each for each in row.parameters if each != "explain")
            takes = tuple(
                each for each in row.takes if each.strip('"').endswith("application/dicom")
            )
            remote = replace(row, path=_REMOTE + row.path, name=f"Remote{row.name}")
            rows.append(replace(remote, parameters=kept, takes=takes))
    return tuple(rows)


_COMMITMENT: Final = "commitment-requests/{transaction}"
_COMMITMENTS: Final = (
    Capability(_COMMITMENT, "POST", "RequestCommitment", (), _WORK_ITEM, _WORK_ITEM_BODY),
    Capability(_COMMITMENT, "GET", "CheckCommitment", ("accept",), _WORK_ITEM),
)
NON_PATIENT: Final = tuple(sorted({each.resource for each in SOP_CLASSES} - {""}))
"""The categories of the Non-Patient Instance Service (PS3.18 12.1.1)."""


def _non_patient() -> tuple[Capability, ...]:
    rows = []
    for npi in NON_PATIENT:
        name = npi.title().replace("-", "")
        one, alone = f"{npi}/{{uid}}", (*_METADATA, _DICOM[0], "application/dicom")
        octets = ("application/octet-stream",)
        rows += [
            Capability(npi, "GET", f"SearchFor{name}", _SEARCH[:3], _METADATA),
            Capability(one, "GET", f"RetrieveOf{name}", ("accept",), alone),
            Capability(f"{one}/bulkdata/{{element}}", "GET", f"BulkdataOf{name}", (), octets),
        ]
    return tuple(rows)


OWN: Final = (*_table(), *_bulk_data())
WORK_ITEMS: Final = _work_items()
TABLE: Final = (*OWN, *_remotes(OWN), *_non_patient(), *WORK_ITEMS, *_COMMITMENTS)
_PLACE: Final = re.compile(r"\{(\w+)\}")
_NUMBERS: Final = frozenset({"limit", "offset", "after", "quality"})
_SWITCHES: Final = frozenset(
    {"deletionlock", "emptyvaluematching", "fuzzymatching", "multiplevaluematching"}
)
# A data set in the DICOM JSON Model (PS3.18 Annex F): elements by tag, sequences nested.
_DATA_SET: Final = {
    "type": "object",
    "description": "Elements by tag, eight hexadecimal digits (PS3.18 F.2).",
    "additionalProperties": {
        "type": "object",
        "required": ["vr"],
        "properties": {
            "vr": {"type": "string", "pattern": "^[A-Z]{2}$"},
            "Value": {"type": "array", "items": {}},
            "InlineBinary": {"type": "string", "format": "byte"},
            "BulkDataURI": {"type": "string", "format": "uri"},
        },
    },
}
_ERRORS: Final = {
    "400": "The request breaks a rule; the message says which.",
    "401": "Sign in first.",
    "403": "This caller may not do this.",
    "404": "Nothing by that name.",
    "406": "None of the accepted media types can be made.",
    "429": "Too many failed sign-ins; try again later.",
    "503": "Not just now; try again soon.",
}
_OF_READING: Final = {
    "304": "Nothing has changed.",
    "410": "The stored bytes are missing.",
    "413": "The search would have to read too much.",
    "416": "The range lies outside the resource.",
    "422": "The stored instance cannot be read.",
}
_OF_WRITING: Final = {
    "409": "None was stored, or the state does not allow it; the answer says which.",
    "413": "The body is too long.",
    "415": "The body is of a type that is not taken here.",
    "507": "There is no room for it.",
}
_OF_REMOTES: Final = {
    "502": "The other archive refused or failed.",
    "504": "The other archive did not answer.",
}
_OF_CHANNELS: Final = {"426": "Events come by WebSocket; the answer says where."}


def _failures(row: Capability) -> dict[str, str]:
    """What may go wrong there."""
    found = dict(_ERRORS)
    found |= _OF_READING if row.method == "GET" else _OF_WRITING
    if row.path.startswith("remotes"):
        found |= _OF_REMOTES
    if row.path.startswith("subscribers"):
        found |= _OF_CHANNELS
    return dict(sorted(found.items()))


def openapi(base: str) -> dict[str, Any]:
    """The service in OpenAPI 3.0."""
    paths: dict[str, dict[str, Any]] = {}
    for row in TABLE:
        paths.setdefault(f"/{row.path}", {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.0.3",
        "info": {"title": "pacsweb DICOMweb", "version": "1"},
        "servers": [{"url": base}],
        "security": [{"basic": []}, {"token": []}],
        "components": {
            "schemas": {"DataSet": _DATA_SET},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
        "paths": paths,
    }


def _operation(row: Capability) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PLACE.findall(row.path)
    ]
    parameters += [
        {"name": name, "in": "query", "schema": _schema(name)} for name in row.parameters
    ]
    errors = {code: {"description": text} for code, text in _failures(row).items()}
    responses: dict[str, Any] = {**_successes(row), **errors}
    operation: dict[str, Any] = {
        "operationId": row.name,
        "parameters": parameters,
        "responses": responses,
    }
    if row.takes:
        content = {each: {"schema": _body_schema(each)} for each in row.takes}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _successes(row: Capability) -> dict[str, Any]:
    """What an answer may be; a search that finds nothing has none (PS3.18 8.3.4.4.1)."""
    done: dict[str, Any] = {"description": "Done."}
    if row.answers:
        done["content"] = {media_type: {"schema": {}} for media_type in row.answers}
    if "Search" not in row.name:
        return {"2XX": done}
    return {
        "200": done,
        "204": {"description": "Nothing matches."},
        "206": {**done, "description": "A page; Warning says how many results remain."},
    }


def _body_schema(media_type: str) -> dict[str, Any]:
    if media_type == "application/dicom+json":
        return {"$ref": "#/components/schemas/DataSet"}
    return {"type": "string", "format": "binary"}


def _schema(name: str) -> dict[str, Any]:
    if name in _NUMBERS:
        return {"type": "integer", "minimum": 0}
    return {"type": "boolean" if name in _SWITCHES else "string"}


def wadl(base: str) -> bytes:
    """The Capabilities Description of PS3.18 8.9 and Annex H."""
    namespace = "http://wadl.dev.java.net/2009/02"
    out = [f'<?xml version="1.0" encoding="UTF-8"?><application xmlns="{namespace}">']
    out.append(f"<resources base={quoteattr(base)}>")
    by_path: dict[str, list[Capability]] = {}
    for row in TABLE:
        by_path.setdefault(row.path, []).append(row)
    for path, rows in by_path.items():
        out.append(f"<resource path={quoteattr(path)}>")
        out += [
            f'<param name={quoteattr(name)} style="template" required="true"/>'
            for name in _PLACE.findall(path)
        ]
        out += [_wadl_method(row) for row in rows]
        out.append("</resource>")
    out.append("</resources></application>")
    return "".join(out).encode()


def _wadl_method(row: Capability) -> str:
    query = "".join(f'<param name={quoteattr(name)} style="query"/>' for name in row.parameters)
    takes = "".join(f"<representation mediaType={quoteattr(each)}/>" for each in row.takes)
    gives = "".join(f"<representation mediaType={quoteattr(each)}/>" for each in row.answers)
    return (
        f"<method name={quoteattr(row.method)} id={quoteattr(row.name)}>"
        f"<doc>{escape(row.name)}</doc><request>{query}{takes}</request>"
        f'<response status="200">{gives}</response></method>'
    )


def describe(request: HttpRequest, allowed: tuple[str, ...]) -> HttpResponse:
    """The answer to OPTIONS: WADL unless JSON is asked for; the resource's methods in Allow."""
    accept = request.META.get("HTTP_ACCEPT", "").lower()
    base = base_url(request)
    if any(each in accept for each in _JSON_TYPES) and WADL not in accept:
        response = HttpResponse(orjson.dumps(openapi(base)), content_type="application/json")
    else:
        response = HttpResponse(wadl(base), content_type=WADL)
    response["Allow"] = ", ".join((*allowed, "OPTIONS"))
    response["Vary"] = "Accept"
    return response


def openapi_document(request: HttpRequest, _principal: Principal) -> HttpResponseBase:
    """`/openapi.json`."""
    body = orjson.dumps(openapi(base_url(request)))
    response = HttpResponse(body, content_type="application/json")
    response["Cache-Control"] = "private, no-cache"
    return response
