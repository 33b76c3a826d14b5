"""`/bulkdata/{path}`: one value of an instance by range read (PS3.18 10.4.1.1.5)."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponseBase

from apps.access.audit import view_event
from apps.access.principals import Principal
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import MULTIPART, OCTET_STREAM, Offer, acceptable, choose
from apps.dicomweb.wado_rs.frames import all_frames
from apps.dicomweb.wado_rs.parts import (
    Part,
    body,
    boundary_of,
    byte_range,
    content_type,
    if_none_match,
    keep_private,
    length_of,
    not_modified,
    streamed_response,
)
from apps.retrieve.bulkdata import BulkValue, bulk_value, path_from
from apps.retrieve.locations import location_of
from apps.retrieve.metadata import dicom_json_of

_ENCAPSULATED_DOCUMENT: Final = "00420011"
_MIME_TYPE: Final = "00420012"
_PIXEL_DATA: Final = "7FE00010"


def retrieve_bulkdata(  # noqa: PLR0917  the URL's own order
    request: HttpRequest, principal: Principal, study: str, series: str, instance: str, element: str
) -> HttpResponseBase:
    """The value a BulkDataURI of our metadata points at: whole or a byte range of it."""
    path = path_from(element)
    location = location_of(principal, study, series, instance)
    view_event(principal, "StudyViewed", study)
    if path == (_PIXEL_DATA,) and location.encapsulated:
        return all_frames(request, location)
    media_type = OCTET_STREAM
    if path == (_ENCAPSULATED_DOCUMENT,):
        media_type = document_type(dicom_json_of(location.key)) or OCTET_STREAM
    types = dict.fromkeys((media_type, OCTET_STREAM))
    offers = [Offer(each, multipart=several) for several in (True, False) for each in types]
    offer, entry = choose(acceptable(request), offers)
    value = bulk_value(location, path)
    etag = f'"{location.digest[:32]}-{element[:80]}-{offer.multipart:d}"'
    if if_none_match(request, etag):
        return not_modified(etag)
    uri = f"{base_url(request)}{location.path}/bulkdata/{element}"
    if offer.multipart and entry.media_type in {MULTIPART, "*/*"}:
        return _multipart(value, offer.media_type, uri, etag)
    return alone(request, value, offer.media_type, etag)


def retrieve_pixel_data(
    request: HttpRequest, principal: Principal, study: str, series: str, instance: str
) -> HttpResponseBase:
    """`/pixeldata`: the frames as parts where they are compressed, else the whole value."""
    return retrieve_bulkdata(request, principal, study, series, instance, _PIXEL_DATA)


def document_type(metadata: dict[str, dict[str, list[str]]]) -> str:
    """MIME Type of Encapsulated Document, where it is one that a header may carry."""
    values = metadata.get(_MIME_TYPE, {}).get("Value") or [""]
    kind = str(values[0]).strip().lower()
    plain = kind.replace("/", "", 1).replace("+", "").replace("-", "").replace(".", "")
    return kind if kind.count("/") == 1 and plain.isascii() and plain.isalnum() else ""


def _multipart(value: BulkValue, media_type: str, uri: str, etag: str) -> HttpResponseBase:
    boundary = boundary_of(etag, uri)
    part = Part(media_type, uri, value.length, value.chunks(0, value.length))
    response = streamed_response(body(boundary, [part]), content_type(boundary, media_type))
    response["Content-Length"] = str(length_of(boundary, part))
    keep_private(response, etag)
    return response


def alone(request: HttpRequest, value: BulkValue, media_type: str, etag: str) -> HttpResponseBase:
    """One part, of which a range can be asked (RFC 9110 14)."""
    asked = byte_range(request, value.length, etag)
    start, end = asked or (0, value.length)
    response = streamed_response(value.chunks(start, end), media_type)
    if asked is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {start}-{end - 1}/{value.length}"
    response["Content-Length"] = str(end - start)
    response["Accept-Ranges"] = "bytes"
    # A document of the archive must not run in our origin.
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    keep_private(response, etag)
    return response
