"""`/bulkdata/{path}`: one value of an instance by range read (PS3.18 10.4.1.1.5)."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponseBase

from apps.access.audit import view_event
from apps.access.principals import Principal
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import MULTIPART, OCTET_STREAM, Offer, acceptable, choose
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
from apps.dicomweb.wado_rs.pixel_parts import PIXEL_DATA, PIXELS, compressed_pixel_data
from apps.retrieve.bulkdata import BulkValue, bulk_value, path_from
from apps.retrieve.locations import Location, location_of
from apps.retrieve.metadata import dicom_json_of

ENCAPSULATED_DOCUMENT: Final = "00420011"
_MIME_TYPE: Final = "00420012"


def retrieve_bulkdata(  # noqa: PLR0917  the URL's own order
    request: HttpRequest, principal: Principal, study: str, series: str, instance: str, element: str
) -> HttpResponseBase:
    """The value a BulkDataURI of our metadata points at: whole or a byte range of it."""
    path = path_from(element)
    location = location_of(principal, study, series, instance)
    view_event(principal, "StudyViewed", study)
    if path == (PIXEL_DATA,) and location.encapsulated:
        return compressed_pixel_data(request, location)
    types = types_of_document(location) if path == (ENCAPSULATED_DOCUMENT,) else (OCTET_STREAM,)
    # Bytes of a value can be counted only where it is the whole body.
    alone_first = "Range" in request.headers
    offers = [
        Offer(each, multipart=several)
        for several in (not alone_first, alone_first)
        for each in types
    ]
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
    metadata = dicom_json_of(location_of(principal, study, series, instance).key)
    element = next((each for each in PIXELS if each in metadata), PIXEL_DATA)
    return retrieve_bulkdata(request, principal, study, series, instance, element)


def types_of_document(location: Location) -> tuple[str, ...]:
    """Media types of an encapsulated document's bytes: its own and that of any bytes."""
    own = document_type(dicom_json_of(location.key))
    return tuple(dict.fromkeys((own or OCTET_STREAM, OCTET_STREAM)))


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
