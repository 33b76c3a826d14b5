"""`/frames/{list}` (PS3.18 10.4.1.1.6): one range read a frame, decoded only where it must be.

Media types and default Transfer Syntaxes are those of PS3.18 tables 8.7.3-5 and 8.7.3-6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from apps.access.audit import view_event
from apps.access.principals import Principal
from apps.dicom.frames import FrameTable
from apps.dicom.pixels import writable
from apps.dicom.transfer_syntaxes import (
    DEFAULT_OF_MEDIA_TYPE,
    EXPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax,
)
from apps.dicom.whole_numbers import read_whole_number
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import OCTET_STREAM, MediaRange, acceptable, first_made
from apps.dicomweb.wado_rs.parts import (
    Part,
    body,
    boundary_of,
    closing,
    complete,
    content_type,
    if_none_match,
    not_modified,
    opening,
    streamed_response,
    whole_response,
)
from apps.errors import InvalidRequest, NotAcceptable, UnsupportedPixels
from apps.retrieve.edition import EDITION
from apps.retrieve.frames import (
    check_whole_frame,
    fragments_between,
    frame_table_of,
    stored_frame,
)
from apps.retrieve.locations import Location, location_of
from apps.retrieve.transcoding import (
    as_it_is,
    outgoing_syntax,
    syntax_for_browser,
    transcoded_frame,
)

LONGEST_LIST: Final = 20_000
# Larger answers are streamed; smaller ones get a tag and byte ranges.
WHOLE_BYTES: Final = 64 << 20
_TAGGED: Final = 64
_HELD: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What the answer's parts will be: payload type, Transfer Syntax, and one part or several."""

    media_type: str
    transfer_syntax_uid: str
    multipart: bool

    @property
    def labelled(self) -> str:
        """The part's Content-Type. Viewers take the Transfer Syntax from here and only here."""
        return f"{self.media_type}; transfer-syntax={self.transfer_syntax_uid}"


def retrieve_frames(  # noqa: PLR0917  the URL's own order
    request: HttpRequest, principal: Principal, study: str, series: str, instance: str, frames: str
) -> HttpResponseBase:
    """The frames in the order asked, each as stored or in the syntax that was asked for."""
    numbers = frame_numbers(frames)
    location = location_of(principal, study, series, instance)
    table = frame_table_of(location)
    for number in numbers:
        check_whole_frame(table, number)
    plans = plans_for(request, location, single=len(numbers) == 1)
    view_event(principal, "StudyViewed", study)

    def answer(plan: Plan) -> HttpResponseBase:
        etag = frame_etag(location.digest, plan, frames)
        tagged = len(frames) <= _TAGGED
        if tagged and if_none_match(request, etag):
            return not_modified(etag)
        if not plan.multipart:
            return frame_alone(request, location, table, numbers[0], plan, etag=etag)
        return _multipart(request, location, table, numbers, plan, etag if tagged else "")

    return first_made(plans, answer)


def frame_alone(
    request: HttpRequest,
    location: Location,
    table: FrameTable,
    number: int,
    plan: Plan,
    *,
    etag: str = "",
) -> HttpResponseBase:
    """One frame that is the whole body; streamed, and so without a tag, where it is very long."""
    part = frame_part(location, table, number, plan, base_url(request))
    chunks = complete(part.chunks, part.length)
    if part.length > WHOLE_BYTES:
        return streamed_response(chunks, plan.labelled)
    return whole_response(request, chunks, plan.labelled, etag)


def _multipart(  # noqa: PLR0917
    request: HttpRequest,
    location: Location,
    table: FrameTable,
    numbers: Sequence[int],
    plan: Plan,
    etag: str,
) -> HttpResponseBase:
    whole_type, chunks = multipart_of(location, table, numbers, plan, base_url(request))
    if etag and fits(table, numbers):
        return whole_response(request, chunks, whole_type, etag)
    return streamed_response(chunks, whole_type)


def frame_etag(digest: str, plan: Plan, frames: str) -> str:
    """The tag of the answer that has the frames of this list, of the instance with this digest."""
    variant = f"{plan.transfer_syntax_uid}-{frames[:_TAGGED]}-{plan.multipart:d}-{EDITION}"
    return f'"{digest[:32]}-{variant}"'


def multipart_of(
    location: Location, table: FrameTable, numbers: Sequence[int], plan: Plan, base: str
) -> tuple[str, Iterator[bytes]]:
    """The Content-Type and the chunks of a body with one part a frame."""
    boundary = boundary_of(location.digest, plan.labelled, ",".join(map(str, numbers)))

    def part(number: int) -> Part:
        return frame_part(location, table, number, plan, base)

    # The first frame is made before the answer begins: it shows whether there can be one.
    parts = chain([part(numbers[0])], map(part, numbers[1:]))
    return content_type(boundary, plan.media_type), body(boundary, parts)


def frame_part(location: Location, table: FrameTable, number: int, plan: Plan, base: str) -> Part:
    """One frame as a part. A long one, such as a whole video, is read while it is sent."""
    uri = f"{base}{location.path}/frames/{number}"
    pieces = table.fragments(number - 1)
    length = sum(each for _, each in pieces)
    as_stored = as_it_is(location, table, number, plan.transfer_syntax_uid)
    if length > _HELD and as_stored and not table.inflated:
        return Part(plan.labelled, uri, length, fragments_between(location, pieces, 0, length))
    data = outgoing_frame(location, table, number, plan)
    return Part(plan.labelled, uri, len(data), (data,))


def around_one_part(
    location: Location, length: int, number: int, plan: Plan, base: str
) -> tuple[str, bytes, bytes]:
    """`multipart_of` with one frame of so many bytes: the Content-Type, and what goes around it."""
    labelled = plan.labelled
    boundary = boundary_of(location.digest, labelled, str(number))
    head = opening(boundary, labelled, length, f"{base}{location.path}/frames/{number}")
    return content_type(boundary, plan.media_type), head, closing(boundary)


def fits(table: FrameTable, numbers: Sequence[int]) -> bool:
    """Whether the frames are few enough bytes, as stored, to be held in memory at once."""
    stored = (length for number in numbers for _, length in table.fragments(number - 1))
    return sum(stored) <= WHOLE_BYTES


def frame_numbers(text: str) -> list[int]:
    """`1,5,3` as numbers in the order given. Raises InvalidRequest."""
    pieces = text.split(",")
    if len(pieces) > LONGEST_LIST:
        raise InvalidRequest("Too many frames in one request.", offending=("frames",))
    numbers = [read_whole_number(piece) for piece in pieces]
    found = [number for number in numbers if number is not None]
    if len(found) != len(pieces):
        raise InvalidRequest(
            "The frame list must be whole numbers with commas between them.", offending=("frames",)
        )
    return found


def plan_for(request: HttpRequest, location: Location, *, single: bool) -> Plan:
    """The first of `plans_for`. Raises NotAcceptable."""
    return plans_for(request, location, single=single)[0]


def plans_for(request: HttpRequest, location: Location, *, single: bool) -> list[Plan]:
    """The entries of the acceptable set that can be served, at least one. Raises NotAcceptable."""
    browser = "Mozilla/" in request.META.get("HTTP_USER_AGENT", "")
    plans = [
        plan
        for entry in acceptable(request)
        if (plan := _plan(entry, location, single=single, browser=browser)) is not None
    ]
    if plans:
        return plans
    stored = transfer_syntax(location.transfer_syntax_uid)
    raise NotAcceptable(
        f"Frames of this instance are stored as {stored.media_type} ({stored.uid}); ask for "
        'multipart/related; type="application/octet-stream"; transfer-syntax=*.'
    )


def _plan(entry: MediaRange, location: Location, *, single: bool, browser: bool) -> Plan | None:
    stored_uid = location.transfer_syntax_uid
    multipart = entry.multipart or entry.media_type == "*/*"
    if not multipart and not single:
        return None
    if entry.transfer_syntax == "*":
        target = syntax_for_browser(location) if browser else outgoing_syntax(stored_uid)
    else:
        target = entry.transfer_syntax or _default_syntax(entry, stored_uid)
    known = {outgoing_syntax(stored_uid), EXPLICIT_VR_LITTLE_ENDIAN}
    if target not in known and not writable(target):
        return None
    own_type = transfer_syntax(target).media_type
    media_type = own_type if entry.covers(own_type) else OCTET_STREAM
    return Plan(media_type, target, multipart) if entry.covers(media_type) else None


def _default_syntax(entry: MediaRange, stored_uid: str) -> str:
    """No `transfer-syntax`: Explicit VR Little Endian, but what is lossy stays (PS3.18 8.7.3.4).

    An entry that names the stored image type gets the stored bytes: its own default would be
    another syntax of the same type, and nobody gains by recompressing.
    """
    stored = transfer_syntax(stored_uid)
    if stored.encapsulated and entry.part_type == stored.media_type:
        return stored_uid
    if entry.part_type == "image/*":
        return stored_uid if stored.encapsulated else DEFAULT_OF_MEDIA_TYPE["image/jpeg"]
    if stored.lossy and (stored.video or entry.part_type == "*/*"):
        return stored_uid
    return DEFAULT_OF_MEDIA_TYPE.get(entry.part_type, EXPLICIT_VR_LITTLE_ENDIAN)


def outgoing_frame(location: Location, table: FrameTable, number: int, plan: Plan) -> bytes:
    """One frame in the planned syntax. Raises NotAcceptable when its pixels cannot be decoded."""
    data = stored_frame(location, table, number)
    if as_it_is(location, table, number, plan.transfer_syntax_uid):
        return data
    try:
        return transcoded_frame(location, table, number, data, plan.transfer_syntax_uid)
    except UnsupportedPixels as failure:
        raise NotAcceptable(
            "This frame cannot be had in that Transfer Syntax; ask for transfer-syntax=*.",
            detail=failure.message,
        ) from failure
