"""`/metadata` (PS3.18 10.4.1.1.2): stored fragments, joined without being unpacked."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apps.access.audit import view_event
from apps.access.principals import Permission, Principal, permit
from apps.archive.fragments import join_gzip, join_plain, plain
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import (
    DICOM_JSON,
    DICOM_XML,
    Offer,
    acceptable,
    accepts_gzip,
    choose,
)
from apps.dicomweb.wado_rs.parts import (
    Part,
    body,
    boundary_of,
    content_type,
    if_none_match,
    keep_private,
    not_modified,
    streamed_response,
)
from apps.dicomweb.xml_model import native_dicom_model
from apps.errors import NotFound
from apps.retrieve.metadata import TAGGED_INSTANCES, fragments_of, tag_of

_JSON = Offer(DICOM_JSON)
_PLAIN_JSON = Offer("application/json")
_XML = Offer(DICOM_XML, multipart=True)


def retrieve_metadata(
    request: HttpRequest,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
) -> HttpResponseBase:
    """The metadata of a study, series or instance as DICOM JSON or Native DICOM Model XML."""
    permit(principal, Permission.VIEW_IMAGES)
    offer, _ = choose(acceptable(request), (_JSON, _XML, _PLAIN_JSON))
    fragments = fragments_of(principal, study, series, instance)
    first = list(islice(fragments, TAGGED_INSTANCES))
    if not first:
        raise NotFound("There is no such study, series or instance.")
    view_event(principal, "StudyViewed", study)
    rest = next(fragments, None)
    if rest is not None:
        return _untagged(request, offer, chain(first, [rest], fragments))
    base = base_url(request)
    packed = accepts_gzip(request)
    etag = tag_of(first, base, offer.label, str(packed))
    if if_none_match(request, etag):
        return not_modified(etag)
    response = _joined(first, offer, base, packed=packed)
    keep_private(response, etag)
    return response


def _joined(fragments: list[bytes], offer: Offer, base: str, *, packed: bool) -> HttpResponse:
    if offer is _XML:
        boundary, chunks = _xml(fragments, base)
        content, media_type = b"".join(chunks), content_type(boundary, DICOM_XML)
        content = zlib.compress(content, level=1, wbits=31) if packed else content
        return _packed(HttpResponse(content, content_type=media_type), packed=packed)
    join = join_gzip if packed else join_plain
    content = b"".join(join(fragments, base.encode()))
    return _packed(HttpResponse(content, content_type=offer.media_type), packed=packed)


def _packed(response: HttpResponse, *, packed: bool) -> HttpResponse:
    if packed:
        response["Content-Encoding"] = "gzip"
    return response


def _untagged(request: HttpRequest, offer: Offer, fragments: Iterable[bytes]) -> HttpResponseBase:
    """Very many instances: streamed as they come from the database."""
    base = base_url(request)
    if offer is _XML:
        boundary, chunks = _xml(fragments, base)
        return streamed_response(chunks, content_type(boundary, DICOM_XML))
    packed = accepts_gzip(request)
    join = join_gzip if packed else join_plain
    response = streamed_response(join(fragments, base.encode()), offer.media_type)
    if packed:
        response["Content-Encoding"] = "gzip"
    return response


def _digit_for_digit(fragment: bytes) -> dict[str, Any]:
    """The document with its numbers as they are written: `1.50` stays `1.50`."""
    found: dict[str, Any] = json.loads(fragment, parse_float=str, parse_int=str)
    return found


def _path_of(document: dict[str, Any]) -> str:
    """Where the metadata of this instance alone is had."""
    uids = (document[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    study, series, instance = (quote(uid, safe="") for uid in uids)
    return f"/studies/{study}/series/{series}/instances/{instance}/metadata"


def _xml(fragments: Iterable[bytes], base: str) -> tuple[str, Iterator[bytes]]:
    """One part per instance (PS3.18 8.7.3.2): parsed from the JSON, without touching a file."""
    boundary = boundary_of(base, "metadata")

    def parts() -> Iterator[Part]:
        for fragment in fragments:
            document = _digit_for_digit(plain(fragment, base.encode()))
            model = native_dicom_model(document)
            yield Part(DICOM_XML, f"{base}{_path_of(document)}", len(model), (model,))

    return boundary, body(boundary, parts())
