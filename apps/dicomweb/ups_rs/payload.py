"""Work items as bodies of requests and answers (PS3.18 11.4 to 11.9): JSON and XML, in and out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
from django.http import HttpRequest, HttpResponse

from apps.dicom.composition import Bulk, composed, parse_json
from apps.dicom.data_sets import Document, read_data_set
from apps.dicom.json_values import DicomJson
from apps.dicom.multipart import CHUNK, ByteSource, Chunk, MultipartReader, PartCutOff
from apps.dicom.native_xml import parse_xml
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import (
    DICOM_JSON,
    DICOM_XML,
    MULTIPART,
    Offer,
    acceptable,
    choose,
    parse_media_type,
)
from apps.dicomweb.status import TooBroad, UnsupportedMediaType
from apps.dicomweb.wado_rs.parts import Part, body, boundary_of, content_type, keep_private
from apps.dicomweb.xml_model import native_dicom_model
from apps.errors import InvalidRequest, UnreadableInstance

LONGEST: Final = 16 << 20
"""Bytes of a request's data set: far more than any work item has, and bounded."""

_JSON_TYPES: Final = frozenset({DICOM_JSON, "application/json"})
_XML_TYPES: Final = frozenset({DICOM_XML, "application/xml", "text/xml"})
_JSON: Final = Offer(DICOM_JSON)
_XML: Final = Offer(DICOM_XML)
_XML_PARTS: Final = Offer(DICOM_XML, multipart=True)
_PLAIN_JSON: Final = Offer("application/json")
OF_ONE: Final = (_JSON, _XML, _XML_PARTS, _PLAIN_JSON)
OF_SEVERAL: Final = (_JSON, _XML_PARTS, _PLAIN_JSON)
_WORKITEM_UID: Final = "00080018"


def read_document(request: HttpRequest) -> Document:
    """The one data set of the body, as if it had come over DIMSE; nothing for an empty body.

    Raises UnsupportedMediaType, InvalidRequest, TooBroad.
    """
    media_type, parameters = parse_media_type(request.META.get("CONTENT_TYPE", ""))
    source: ByteSource = request.META["wsgi.input"]
    if media_type == MULTIPART:
        media_type, text = _only_part(source, dict(parameters))
    else:
        text = _bounded(iter(lambda: source.read(CHUNK), b""))
    _check_length(request, media_type, text)
    if not text.strip():
        return {}
    try:
        return _as_received(_parsed(media_type, text))
    except UnreadableInstance as failure:
        raise InvalidRequest(failure.message.replace("metadata", "data set")) from failure


def _check_length(request: HttpRequest, media_type: str, text: bytes) -> None:
    announced = request.META.get("CONTENT_LENGTH") or ""
    known = media_type in _JSON_TYPES | _XML_TYPES
    if not known and (text or media_type):
        raise UnsupportedMediaType(
            "Send the data set as application/dicom+json or application/dicom+xml."
        )
    if announced.isdigit() and not text and int(announced):
        raise InvalidRequest("The body ended before its announced length.")


def _bounded(chunks: Iterator[Chunk]) -> bytes:
    text = bytearray()
    for chunk in chunks:
        text += chunk
        if len(text) > LONGEST:
            raise TooBroad(f"The data set is longer than {LONGEST >> 20} MB.")
    return bytes(text)


def _only_part(source: ByteSource, parameters: Mapping[str, str]) -> tuple[str, bytes]:
    """Type and bytes of the one part that a work item may have (11.4.1.4)."""
    boundary = parameters.get("boundary", "")
    if not boundary:
        raise InvalidRequest("The Content-Type names no boundary.", offending=("Content-Type",))
    found: list[tuple[str, bytes]] = []
    try:
        for part in MultipartReader(source, boundary):
            own, _ = parse_media_type(part.headers.get("content-type", parameters.get("type", "")))
            found.append((own, _bounded(part.chunks)))
            if len(found) > 1:
                raise InvalidRequest("A request holds one data set, in one part.")
    except PartCutOff:
        raise InvalidRequest("The body ended too early.") from None
    if not found:
        raise InvalidRequest("The body has no part.")
    return found[0]


def _parsed(media_type: str, text: bytes) -> DicomJson:
    if media_type in _XML_TYPES:
        return parse_xml(text)
    datasets = parse_json(text)
    if len(datasets) != 1:
        raise InvalidRequest("A request holds one data set.")
    return datasets[0]


def _as_received(dataset: DicomJson) -> Document:
    """Through bytes and back: what JSON allows and DICOM does not is refused here, once."""
    raw = b"".join(composed(dataset, _no_bulk_data, encapsulated=False))
    return read_data_set(raw, EXPLICIT_VR_LITTLE_ENDIAN).document


def _no_bulk_data(_uri: str) -> Bulk:
    raise UnreadableInstance("A work item has no bulk data; send the value itself.")


def work_item_url(request: HttpRequest, sop_instance_uid: str) -> str:
    """Where the work item can be had."""
    return f"{base_url(request)}/workitems/{sop_instance_uid}"


def chosen(request: HttpRequest, offers: Sequence[Offer]) -> Offer:
    """Which representation the client wants; raises NotAcceptable."""
    return choose(acceptable(request), offers)[0]


def one(request: HttpRequest, offer: Offer, document: Document) -> HttpResponse:
    """A single work item: an object in JSON, a document or a part in XML."""
    location = work_item_url(request, document[_WORKITEM_UID]["Value"][0])
    if offer is _XML_PARTS:
        response = _xml_parts(request, [document])
    elif offer is _XML:
        response = HttpResponse(native_dicom_model(document), content_type=DICOM_XML)
    else:
        response = HttpResponse(orjson.dumps(document), content_type=offer.media_type)
    response["Content-Location"] = location
    keep_private(response, "")
    return response


def several(request: HttpRequest, offer: Offer, found: Sequence[Document]) -> HttpResponse:
    """Results of a search: an array in JSON, parts in XML."""
    if offer is _XML_PARTS:
        response = _xml_parts(request, found)
    else:
        response = HttpResponse(orjson.dumps(list(found)), content_type=offer.media_type)
    keep_private(response, "")
    return response


def _xml_parts(request: HttpRequest, found: Sequence[dict[str, Any]]) -> HttpResponse:
    boundary = boundary_of(base_url(request), "workitems")
    models = [native_dicom_model(each) for each in found]
    parts = (
        Part(
            DICOM_XML, work_item_url(request, each[_WORKITEM_UID]["Value"][0]), len(model), (model,)
        )
        for each, model in zip(found, models, strict=True)
    )
    content = b"".join(body(boundary, parts))
    return HttpResponse(content, content_type=content_type(boundary, DICOM_XML))


def empty(status: int) -> HttpResponse:
    """An answer without a body."""
    response = HttpResponse(status=status)
    del response["Content-Type"]
    response["Cache-Control"] = "no-store"
    return response
