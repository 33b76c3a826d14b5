"""WADO-URI (PS3.18 section 9): one instance by query parameters, as DICOM or as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from apps.access.audit import view_event
from apps.access.principals import Principal
from apps.dicom.sop_classes import KINDS_WITH_CONTENT_TREE, sop_class
from apps.dicom.values import may_be_uid
from apps.dicom.whole_numbers import whole_number
from apps.dicomweb.negotiation import DICOM, MediaRange, parse_accept
from apps.dicomweb.pictures import picture_of
from apps.dicomweb.rendering_parameters import warn_of_ignored
from apps.dicomweb.wado_rs.instances import instance_response
from apps.dicomweb.wado_rs.parts import boundary_of, if_none_match, not_modified, whole_response
from apps.dicomweb.wado_rs.rendered_objects import (
    own_media_type,
    passed_through,
    report_response,
)
from apps.errors import InvalidRequest, NotAcceptable
from apps.rendering.burned_in import parse_annotation
from apps.rendering.options import JPEG, MEDIA_TYPES, uri_options
from apps.rendering.report_pages import REPORT_TYPES
from apps.rendering.stored_states import StateFrames, rendered_by_state
from apps.retrieve.frames import check_frame_number, frame_table_of
from apps.retrieve.locations import Location, location_of
from apps.retrieve.polarity import display_variant

_REQUIRED: Final = ("requestType", "studyUID", "seriesUID", "objectUID")
_PICTURE_ONLY: Final = (
    "rows",
    "columns",
    "region",
    "windowCenter",
    "windowWidth",
    "frameNumber",
    "imageQuality",
    "annotation",
    "presentationSeriesUID",
    "presentationUID",
)
_PRESENTATION: Final = ("presentationSeriesUID", "presentationUID")
_NOT_WITH_PRESENTATION: Final = ("region", "windowCenter", "windowWidth", "annotation")


def retrieve_by_uri(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """The object, or a picture of one of its frames. Raises InvalidRequest, NotFound."""
    asked = {name: str(value) for name, value in request.GET.items() if value}
    _check(asked)
    location = location_of(principal, asked["studyUID"], asked["seriesUID"], asked["objectUID"])
    accepted = asked.get("contentType", "") or request.headers.get("Accept", "")
    media_type = _media_type(accepted, location)
    view_event(principal, "StudyViewed", location.study_instance_uid)
    if media_type == DICOM:
        return _as_dicom(location, asked)
    if media_type in REPORT_TYPES:
        return report_response(request, location, media_type)
    if media_type == own_media_type(location):
        return passed_through(request, location, media_type)
    return _as_picture(request, principal, location, asked, media_type)


def _check(asked: Mapping[str, str]) -> None:
    missing = tuple(name for name in _REQUIRED if name not in asked)
    if missing:
        raise InvalidRequest(f"The request lacks {', '.join(missing)}.", offending=missing)
    if asked["requestType"] != "WADO":
        raise InvalidRequest("requestType must be WADO.", offending=("requestType",))
    bad = tuple(name for name in _REQUIRED[1:] if not may_be_uid(asked[name]))
    if bad:
        raise InvalidRequest(f"{', '.join(bad)} must be UIDs.", offending=bad)
    # A picture, too, may show who it is of.
    if asked.get("anonymize", "no") != "no":
        raise InvalidRequest("Objects are not de-identified here.", offending=("anonymize",))
    _check_presentation(asked)


def _check_presentation(asked: Mapping[str, str]) -> None:
    """Both UIDs or none, and nothing that the state itself says (PS3.18 9.5)."""
    named = [name for name in _PRESENTATION if name in asked]
    if not named:
        return
    if len(named) < len(_PRESENTATION) or not all(may_be_uid(asked[name]) for name in named):
        raise InvalidRequest(
            "presentationSeriesUID and presentationUID go together and are UIDs.",
            offending=_PRESENTATION,
        )
    clashing = tuple(name for name in _NOT_WITH_PRESENTATION if name in asked)
    if clashing:
        raise InvalidRequest(
            f"{', '.join(clashing)} cannot be given with a Presentation State.", offending=clashing
        )


def _media_type(accepted: str, location: Location) -> str:
    """The first of `accepted` that can be made; of anything, a picture where there is one.

    `contentType` ranks above the Accept header (PS3.18 8.7.8, 9.3), in which DICOM and pictures may
    stand side by side here. The transfer-syntax media parameter has no place here (8.7.3.5.2); it
    is ignored.
    """
    can_make: tuple[str, ...] = (DICOM,)
    if own := own_media_type(location):
        can_make = (DICOM, own)
    elif location.packed_frames is not None:
        can_make = (*MEDIA_TYPES, DICOM)
    elif sop_class(location.sop_class_uid).kind in KINDS_WITH_CONTENT_TREE:
        can_make = (*REPORT_TYPES, DICOM)
    entries = parse_accept(accepted.replace("; ", ";")) or [MediaRange("*/*")]
    for entry in entries:
        for media_type in can_make:
            if entry.covers(media_type) and not entry.multipart:
                return media_type
    raise NotAcceptable(f"This object can be had as {', '.join(can_make)} only.")


def _as_dicom(location: Location, asked: Mapping[str, str]) -> HttpResponseBase:
    """As DICOM in the first syntax of `transferSyntax` that can be made; `*` is as stored.

    Without it in Explicit VR Little Endian (9.5).
    """
    misplaced = tuple(name for name in _PICTURE_ONLY if name in asked)
    if misplaced:
        raise InvalidRequest(
            f"{', '.join(misplaced)} has no meaning for application/dicom.", offending=misplaced
        )
    syntaxes = [each.strip() for each in asked.get("transferSyntax", "").split(",")]
    if syntaxes != [""] and not all(each == "*" or may_be_uid(each) for each in syntaxes):
        raise InvalidRequest("transferSyntax must be a UID or *.", offending=("transferSyntax",))
    for syntax in syntaxes[:-1]:
        with suppress(NotAcceptable):
            return _in_syntax(location, syntax)
    return _in_syntax(location, syntaxes[-1])


def _in_syntax(location: Location, syntax: str) -> HttpResponseBase:
    return instance_response(location, MediaRange(DICOM, (("transfer-syntax", syntax),)))


def _as_picture(
    request: HttpRequest,
    principal: Principal,
    location: Location,
    asked: dict[str, str],
    media_type: str,
) -> HttpResponseBase:
    number = whole_number(asked.get("frameNumber", "1"), "frameNumber")
    if number < 1:
        raise InvalidRequest("Frames are counted from 1.", offending=("frameNumber",))
    check_frame_number(frame_table_of(location), number)
    annotation, _ = parse_annotation(asked.get("annotation", ""))
    options = uri_options(asked, media_type=media_type or JPEG)
    options = replace(options, annotation=annotation)
    state = _presentation_state(principal, asked)
    shown = StateFrames(principal, state).named(location, number) if state else None
    seed = (location.digest, repr(options), str(number), *(shown.seed if shown else ()))
    etag = f'"{boundary_of(*seed, display_variant())[8:]}"'
    response: HttpResponseBase
    if if_none_match(request, etag):
        response = not_modified(etag)
    else:
        if shown is None:
            picture = picture_of(location, number, options)
        else:
            picture = rendered_by_state(shown, options)
        response = whole_response(request, (picture.body,), picture.media_type, etag)
    warn_of_ignored(request, response)
    return response


def _presentation_state(principal: Principal, asked: Mapping[str, str]) -> Location | None:
    """The Presentation State to apply; it lies in the study of its images (PS3.3 C.11.11)."""
    if "presentationUID" not in asked:
        return None
    return location_of(
        principal, asked["studyUID"], asked["presentationSeriesUID"], asked["presentationUID"]
    )
