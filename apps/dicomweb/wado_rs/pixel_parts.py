"""Encapsulated Pixel Data as bulk data: every frame a part (PS3.18 8.7.3.3)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from apps.dicom.frames import FrameTable
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import OCTET_STREAM, first_made
from apps.dicomweb.wado_rs.frames import Plan, frame_alone, frame_part, plans_for
from apps.dicomweb.wado_rs.parts import (
    Part,
    body,
    boundary_of,
    content_type,
    streamed_response,
)
from apps.errors import NotAcceptable
from apps.retrieve.frames import frame_table_of
from apps.retrieve.locations import Location
from apps.retrieve.transcoding import outgoing_syntax

_logger = logging.getLogger(__name__)
PIXEL_DATA: Final = "7FE00010"
PIXELS: Final = (PIXEL_DATA, "7FE00008", "7FE00009")
"""Integers, and the floats and doubles of parametric maps (PS3.3 C.7.6.24, C.7.6.25)."""


def compressed_pixel_data(request: HttpRequest, location: Location) -> HttpResponseBase:
    """Encapsulated Pixel Data of one instance: every frame a part, or its only frame alone."""
    table = frame_table_of(location)

    def answer(plan: Plan) -> HttpResponseBase:
        if not plan.multipart:
            return frame_alone(request, location, table, 1, plan)
        parts = begun_parts(location, table, plan, base_url(request))
        boundary = boundary_of(location.digest, plan.labelled, PIXEL_DATA)
        return streamed_response(body(boundary, parts), content_type(boundary, plan.media_type))

    return first_made(plans_for(request, location, single=table.count == 1), answer)


def begun_parts(
    location: Location, table: FrameTable, plan: Plan, base: str, *, rather_as_stored: bool = False
) -> Iterator[Part]:
    """`frame_parts`, the first of them made: it shows whether the plan can be kept."""
    parts = frame_parts(location, table, plan, base, rather_as_stored=rather_as_stored)
    return chain([next(parts)], parts)


def frame_parts(
    location: Location, table: FrameTable, plan: Plan, base: str, *, rather_as_stored: bool = False
) -> Iterator[Part]:
    """A part for each frame. Raises NotAcceptable where one cannot be made as planned.

    With `rather_as_stored`, for an answer that has begun and can no longer become an error, all of
    them go out as they are stored where the first one cannot be made.
    """
    for number in range(1, table.count + 1):
        try:
            part = frame_part(location, table, number, plan, base)
        except NotAcceptable as refusal:
            if number > 1 or not rather_as_stored:
                raise
            _logger.warning("Pixel data goes out as it is stored: %s", refusal)
            stored = outgoing_syntax(location.transfer_syntax_uid)
            plan = replace(plan, media_type=OCTET_STREAM, transfer_syntax_uid=stored)
            part = frame_part(location, table, number, plan, base)
        yield part
