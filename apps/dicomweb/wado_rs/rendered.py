"""`/rendered` and `/thumbnail` (PS3.18 10.4.1.1.3, 10.4.1.1.4): pictures for ordinary clients.

A series or study is answered with one picture that stands for it: the middle instance (of the
first series that has images).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from apps.access.audit import view_event
from apps.access.principals import Permission, Principal, permit
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import Offer, acceptable, choose
from apps.dicomweb.pictures import picture_of
from apps.dicomweb.wado_rs.frames import frame_numbers
from apps.dicomweb.wado_rs.parts import (
    Part,
    body,
    boundary_of,
    content_type,
    if_none_match,
    not_modified,
    streamed_response,
    whole_response,
)
from apps.errors import InvalidRequest, NotAcceptable
from apps.rendering.options import (
    MEDIA_TYPES,
    RenderOptions,
    Viewport,
    parse_quality,
    parse_viewport,
    parse_window,
)
from apps.retrieve.frames import check_frame_number, frame_table_of
from apps.retrieve.locations import Location, location_of, representative_of

THUMBNAIL: Final = Viewport(256, 256)
_OFFERS: Final = tuple(
    Offer(media_type, multipart=several) for several in (False, True) for media_type in MEDIA_TYPES
)
_ICC_PROFILES: Final = frozenset({"no", "yes", "srgb", "adobergb", "rommrgb", "displayp3"})


def retrieve_rendered(  # noqa: PLR0917  the URL's own order
    request: HttpRequest,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    frames: str | None = None,
) -> HttpResponseBase:
    """Frames as pictures in native size, or as the query parameters ask (PS3.18 8.3.5.1)."""
    location, numbers = _target(principal, study, series, instance, frames)
    options = _options(request, thumbnail=False)
    return _answer(request, principal, location, numbers or [1], options)


def retrieve_thumbnail(  # noqa: PLR0917  the URL's own order
    request: HttpRequest,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    frames: str | None = None,
) -> HttpResponseBase:
    """One small picture; of several frames the middle one."""
    location, numbers = _target(principal, study, series, instance, frames)
    if not numbers:
        numbers = [(frame_table_of(location).count + 1) // 2]
    options = _options(request, thumbnail=True)
    return _answer(request, principal, location, numbers[:1], options)


def _target(
    principal: Principal, study: str, series: str | None, instance: str | None, frames: str | None
) -> tuple[Location, list[int]]:
    permit(principal, Permission.VIEW_IMAGES)
    numbers = frame_numbers(frames) if frames is not None else []
    if series is not None and instance is not None:
        location = location_of(principal, study, series, instance)
    else:
        location = representative_of(principal, study, series)
    if location.packed_frames is None:
        raise NotAcceptable("This instance is no image and cannot be rendered as one.")
    return location, numbers


def _options(request: HttpRequest, *, thumbnail: bool) -> RenderOptions:
    """The query parameters. Raises InvalidRequest, naming the one at fault."""
    asked = request.GET
    profile = asked.get("iccprofile", "no")
    if profile not in _ICC_PROFILES or profile != "no":
        raise InvalidRequest("Pictures are made without an ICC profile.", offending=("iccprofile",))
    options = RenderOptions()
    if "viewport" in asked:
        viewport = parse_viewport(asked["viewport"], size_only=thumbnail)
        options = replace(options, viewport=viewport)
    elif thumbnail:
        options = replace(options, viewport=THUMBNAIL)
    if "window" in asked:
        options = replace(options, window=parse_window(asked["window"]))
    if "quality" in asked:
        options = replace(options, quality=parse_quality(asked["quality"]))
    return options


def _answer(
    request: HttpRequest,
    principal: Principal,
    location: Location,
    numbers: Sequence[int],
    options: RenderOptions,
) -> HttpResponseBase:
    offer, _ = choose(acceptable(request), _OFFERS)
    options = replace(options, media_type=offer.media_type)
    table = frame_table_of(location)
    for number in numbers:
        check_frame_number(table, number)
    view_event(principal, "StudyViewed", location.study_instance_uid)
    boundary = boundary_of(location.digest, repr(options), ",".join(map(str, numbers)))
    etag = f'"{boundary[8:]}-{offer.multipart:d}"'
    response: HttpResponseBase
    if if_none_match(request, etag):
        response = not_modified(etag)
    elif len(numbers) == 1 and not offer.multipart:
        picture = picture_of(location, numbers[0], options)
        response = whole_response(request, (picture.body,), picture.media_type, etag)
    else:
        response = _several(request, location, numbers, options, boundary)
    _warn_of_ignored(request, response)
    return response


def _several(
    request: HttpRequest,
    location: Location,
    numbers: Sequence[int],
    options: RenderOptions,
    boundary: str,
) -> HttpResponseBase:
    """A part per frame; the first is made before the answer begins, to know that there is one."""
    base = f"{base_url(request)}{location.path}/frames/"

    def part(number: int) -> Part:
        picture = picture_of(location, number, options)
        uri = f"{base}{number}/rendered"
        return Part(picture.media_type, uri, len(picture.body), (picture.body,))

    first = part(numbers[0])
    parts = (first if place == 0 else part(number) for place, number in enumerate(numbers))
    return streamed_response(body(boundary, parts), content_type(boundary, options.media_type))


def _warn_of_ignored(request: HttpRequest, response: HttpResponseBase) -> None:
    """Annotations are not burned in here; that is said, not hidden (PS3.18 8.3.5.1.1)."""
    if request.GET.get("annotation"):
        response["Warning"] = (
            f'299 {base_url(request)}: "The following annotation values are not supported: '
            f'{_plain(request.GET["annotation"])}"'
        )


def _plain(text: str) -> str:
    """What a header may carry of it."""
    return re.sub(r"[^A-Za-z0-9,]", "", text[:80])
