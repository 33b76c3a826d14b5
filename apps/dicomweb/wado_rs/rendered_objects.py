"""`/rendered` of what is no plain image: reports, documents, videos, Presentation States.

Media types are those of PS3.18 table 8.7.4-1. Documents and videos pass through as they were
stored; nothing of them may run in our origin.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from apps.access.audit import view_event
from apps.access.principals import Principal
from apps.dicom.sop_classes import KINDS_WITH_CONTENT_TREE, sop_class
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import Offer, acceptable, choose
from apps.dicomweb.rendering_parameters import rendering_options
from apps.dicomweb.wado_rs.bulkdata import ENCAPSULATED_DOCUMENT, alone, document_type
from apps.dicomweb.wado_rs.parts import (
    Part,
    body,
    boundary_of,
    byte_range,
    content_type,
    if_none_match,
    keep_private,
    not_modified,
    streamed_response,
    whole_response,
)
from apps.errors import NotAcceptable, NotFound
from apps.rendering.options import MEDIA_TYPES, RenderOptions
from apps.rendering.presentation import RENDERED_STATES
from apps.rendering.report_pages import REPORT_TYPES, report_page
from apps.rendering.stored_states import ShownFrame, StateFrames, rendered_by_state
from apps.retrieve.bulkdata import bulk_value
from apps.retrieve.frames import fragments_between, frame_table_of
from apps.retrieve.locations import Location
from apps.retrieve.metadata import dicom_json_of

_SANDBOX: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
# PS3.18 has a type of its own for HEVC; browsers know it as MP4 only.
_HEVC: Final = "video/h265"
_PICTURES: Final = tuple(
    Offer(media_type, multipart=several) for several in (False, True) for media_type in MEDIA_TYPES
)


def rendered_object(
    request: HttpRequest, principal: Principal, location: Location
) -> HttpResponseBase:
    """The object for people. Raises NotAcceptable where it cannot be shown as anything asked."""
    kind = sop_class(location.sop_class_uid).kind
    if kind in KINDS_WITH_CONTENT_TREE:
        response = _report(request, location)
    elif location.sop_class_uid in RENDERED_STATES:
        response = _presented(request, principal, location)
    elif media_type := own_media_type(location):
        offers = [Offer(media_type)]
        if transfer_syntax(location.transfer_syntax_uid).codec == "hevc":
            offers.append(Offer(_HEVC))
        offer, _ = choose(acceptable(request), offers)
        response = passed_through(request, location, offer.media_type)
    else:
        raise NotAcceptable("This instance is no image and cannot be rendered as one.")
    view_event(principal, "StudyViewed", location.study_instance_uid)
    return response


def report_response(request: HttpRequest, location: Location, media_type: str) -> HttpResponseBase:
    """The report's page; it loads nothing and runs nothing."""
    etag = f'"{location.digest[:32]}-{media_type}"'
    if if_none_match(request, etag):
        return not_modified(etag)
    page = report_page(dicom_json_of(location.key), media_type)
    response = whole_response(request, (page,), f"{media_type}; charset=utf-8", etag)
    response["Content-Security-Policy"] = _SANDBOX
    return response


def _report(request: HttpRequest, location: Location) -> HttpResponseBase:
    offer, _ = choose(acceptable(request), [Offer(each) for each in REPORT_TYPES])
    return report_response(request, location, offer.media_type)


def own_media_type(location: Location) -> str:
    """Of a video or an encapsulated document, which can be had as nothing else; else empty."""
    syntax = transfer_syntax(location.transfer_syntax_uid)
    if syntax.video:
        return syntax.media_type
    if location.packed_frames is not None:
        return ""
    metadata = dicom_json_of(location.key)
    if ENCAPSULATED_DOCUMENT not in metadata:
        return ""
    return document_type(metadata) or "application/octet-stream"


def passed_through(request: HttpRequest, location: Location, media_type: str) -> HttpResponseBase:
    """The video or document as it was stored (PS3.3 C.24.2), with ranges."""
    if transfer_syntax(location.transfer_syntax_uid).video:
        return _video(request, location, media_type)
    value = bulk_value(location, (ENCAPSULATED_DOCUMENT,))
    return alone(request, value, media_type, f'"{location.digest[:32]}-document"')


def _video(request: HttpRequest, location: Location, media_type: str) -> HttpResponseBase:
    """The stored stream; a player may ask for ranges of it."""
    pieces = frame_table_of(location).fragments(0)
    etag = f'"{location.digest[:32]}-video"'
    if if_none_match(request, etag):
        return not_modified(etag)
    length = sum(each for _, each in pieces)
    asked = byte_range(request, length, etag)
    start, end = asked or (0, length)
    response = streamed_response(fragments_between(location, pieces, start, end), media_type)
    if asked is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {start}-{end - 1}/{length}"
    response["Content-Length"] = str(end - start)
    response["Accept-Ranges"] = "bytes"
    keep_private(response, etag)
    return response


def _presented(request: HttpRequest, principal: Principal, state: Location) -> HttpResponseBase:
    """The images a Presentation State is for, as it shows them: the first one, or all as parts."""
    offer, _ = choose(acceptable(request), _PICTURES)
    options = rendering_options(request, offer.media_type, presentation_state=True)
    frames = iter(StateFrames(principal, state))
    shown = next(frames, None)
    if shown is None:
        raise NotFound("None of the images of this Presentation State is stored here.")
    boundary = boundary_of(*shown.seed, repr(options))
    if offer.multipart:
        parts = _parts(base_url(request), chain([shown], frames), options)
        parts = chain([next(parts)], parts)
        return streamed_response(body(boundary, parts), content_type(boundary, offer.media_type))
    etag = f'"{boundary[8:]}"'
    if if_none_match(request, etag):
        return not_modified(etag)
    picture = rendered_by_state(shown, options)
    return whole_response(request, (picture.body,), picture.media_type, etag)


def _parts(base: str, frames: Iterator[ShownFrame], options: RenderOptions) -> Iterator[Part]:
    for shown in frames:
        picture = rendered_by_state(shown, options)
        uri = f"{base}{shown.state.path}/rendered"
        yield Part(picture.media_type, uri, len(picture.body), (picture.body,))
