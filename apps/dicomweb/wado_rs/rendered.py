"""`/rendered` and `/thumbnail` (PS3.18 10.4.1.1.3, 10.4.1.1.4) for ordinary clients.

A series or study is answered with one picture that stands for it: the middle instance (of the
first series that has images). Asked for a multipart body, it is answered with all its images.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from apps.access.audit import view_event
from apps.access.principals import Permission, Principal, permit
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import Offer, acceptable, choose
from apps.dicomweb.pictures import animation_of, picture_of
from apps.dicomweb.rendering_parameters import rendering_options, warn_of_ignored
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
from apps.dicomweb.wado_rs.rendered_objects import rendered_object
from apps.errors import NotFound, UnsupportedPixels
from apps.rendering.options import MEDIA_TYPES, MOVING, PNG, RenderOptions, Viewport
from apps.rendering.pictograms import pictogram_of
from apps.rendering.stored import middle_frame
from apps.retrieve.frames import check_frame_number, frame_table_of
from apps.retrieve.locations import Location, location_of, locations_of, representative_of
from apps.retrieve.polarity import display_variant
from apps.storage.blobs import BlobMissing

_logger = logging.getLogger(__name__)
THUMBNAIL: Final = Viewport(256, 256)
_OFFERS: Final = tuple(
    Offer(media_type, multipart=several) for several in (False, True) for media_type in MEDIA_TYPES
)


@dataclass(frozen=True, slots=True)
class Target:
    """What the URL names. Only instances and frames have a location from the start."""

    study: str
    series: str | None
    location: Location | None
    frames: tuple[int, ...]


def retrieve_rendered(  # noqa: PLR0917  the URL's own order
    request: HttpRequest,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    frames: str | None = None,
) -> HttpResponseBase:
    """The resource as people look at it: pictures, a report's page, a document, a video."""
    target = _target(principal, study, series, instance, frames)
    location = target.location or _stands_for(principal, target)
    if _is_picture(location):
        response = _pictures(request, principal, target, location)
    else:
        response = rendered_object(request, principal, location)
    warn_of_ignored(request, response)
    return response


def retrieve_thumbnail(  # noqa: PLR0917  the URL's own order
    request: HttpRequest,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
    frames: str | None = None,
) -> HttpResponseBase:
    """One small picture; of several frames the middle one, of what is no image a pictogram."""
    target = _target(principal, study, series, instance, frames)
    location = target.location or _stands_for(principal, target)
    offer, entry = choose(acceptable(request), _OFFERS)
    options = rendering_options(request, offer.media_type, thumbnail=True)
    options = replace(options, viewport=options.viewport or THUMBNAIL)
    view_event(principal, "StudyViewed", study)
    if not _is_picture(location):
        # Drawings are PNG wherever that will do.
        if entry.covers(PNG) and not entry.multipart:
            offer = Offer(PNG)
        return _pictogram(request, location, options.viewport or THUMBNAIL, offer)
    numbers = target.frames or (middle_frame(location),)
    return _answer(request, location, numbers[:1], options, offer)


def _pictogram(
    request: HttpRequest, location: Location, viewport: Viewport, offer: Offer
) -> HttpResponseBase:
    size = min(viewport.width or viewport.height, viewport.height or viewport.width)
    picture = pictogram_of(location.sop_class_uid, size, offer.media_type)
    boundary = boundary_of(location.sop_class_uid, offer.label, str(picture.width))
    if offer.multipart:
        uri = f"{base_url(request)}{location.path}/thumbnail"
        part = Part(picture.media_type, uri, len(picture.body), (picture.body,))
        return streamed_response(body(boundary, [part]), content_type(boundary, picture.media_type))
    return whole_response(request, (picture.body,), picture.media_type, f'"{boundary[8:]}"')


def _target(
    principal: Principal, study: str, series: str | None, instance: str | None, frames: str | None
) -> Target:
    permit(principal, Permission.VIEW_IMAGES)
    numbers = tuple(frame_numbers(frames)) if frames is not None else ()
    location = None
    if series is not None and instance is not None:
        location = location_of(principal, study, series, instance)
    return Target(study, series, location, numbers)


def _is_picture(location: Location) -> bool:
    video = transfer_syntax(location.transfer_syntax_uid).video
    return location.packed_frames is not None and not video


def _stands_for(principal: Principal, target: Target) -> Location:
    """The instance shown for a study or series: an image, else a video, else whatever is first."""
    uids = target.study, target.series
    try:
        location = representative_of(principal, *uids)
    except NotFound:
        first = next(locations_of(principal, *uids), None)
        if first is None:
            raise
        return first
    if _is_picture(location):
        return location
    return next((each for each in locations_of(principal, *uids) if _is_picture(each)), location)


def _pictures(
    request: HttpRequest, principal: Principal, target: Target, location: Location
) -> HttpResponseBase:
    offer, _ = choose(acceptable(request), _OFFERS)
    options = rendering_options(request, offer.media_type)
    view_event(principal, "StudyViewed", target.study)
    if target.location is None and offer.multipart:
        located = locations_of(principal, target.study, target.series)
        pictured = ((each, None) for each in located if _is_picture(each))
        boundary = boundary_of(target.study, target.series or "", repr(options))
        return _several(request, pictured, options, boundary)
    numbers: Sequence[int] = target.frames
    count = frame_table_of(location).count
    if not numbers and (offer.multipart or offer.media_type in MOVING):
        numbers = range(1, count + 1)
    return _answer(request, location, numbers or (1,), options, offer)


def _answer(
    request: HttpRequest,
    location: Location,
    numbers: Sequence[int],
    options: RenderOptions,
    offer: Offer,
) -> HttpResponseBase:
    """Frames of one instance: one picture, an animation, or a part for each."""
    table = frame_table_of(location)
    for number in numbers:
        check_frame_number(table, number)
    frames = ",".join(map(str, numbers))
    boundary = boundary_of(location.digest, repr(options), frames, display_variant())
    etag = f'"{boundary[8:]}-{offer.multipart:d}"'
    if if_none_match(request, etag):
        return not_modified(etag)
    moving = len(numbers) > 1 and options.media_type in MOVING
    if offer.multipart or (len(numbers) > 1 and not moving):
        return _several(request, [(location, numbers)], options, boundary)
    if moving:
        picture = animation_of(location, numbers, options)
    else:
        picture = picture_of(location, numbers[0], options)
    return whole_response(request, (picture.body,), picture.media_type, etag)


_Pictured = tuple[Location, Sequence[int] | None]


def _several(
    request: HttpRequest, pictured: Iterable[_Pictured], options: RenderOptions, boundary: str
) -> HttpResponseBase:
    """A part per frame; the first is made before the answer begins, to know that there is one."""
    frames = (
        (location, number)
        for location, numbers in pictured
        for number in (numbers or range(1, frame_table_of(location).count + 1))
    )
    parts = _parts(base_url(request), frames, options)
    first = next(parts)
    return streamed_response(
        body(boundary, chain([first], parts)), content_type(boundary, options.media_type)
    )


def _parts(
    base: str, frames: Iterable[tuple[Location, int]], options: RenderOptions
) -> Iterator[Part]:
    """What cannot be shown behind the first part is left out, and logged."""
    begun = False
    for location, number in frames:
        try:
            picture = picture_of(location, number, options)
        except (UnsupportedPixels, BlobMissing) as failure:
            if not begun:
                raise
            _logger.warning("A frame was left out of a rendered answer: %s", failure)
            continue
        begun = True
        uri = f"{base}{location.path}/frames/{number}/rendered"
        yield Part(picture.media_type, uri, len(picture.body), (picture.body,))
