"""Single frames, answered before Django begins: the busiest request there is.

What the whole stack answered a caller once is the pattern for the next frame of the same caller:
its headers, save those that belong to the frame. Sign-in, visibility, negotiation, body and audit
are the view's own functions, asked anew each time. Whatever is unusual, a refusal too, is left to
the whole stack: here is no answer but 200.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apps.access.audit import view_event
from apps.access.authentication import standing_of
from apps.access.principals import Principal
from apps.dicom.frames import FrameTable
from apps.dicomweb.links import MOUNT, base_url
from apps.dicomweb.patterns import Answer, Environ, Patterns
from apps.dicomweb.wado_rs.frames import (
    WHOLE_BYTES,
    Plan,
    around_one_part,
    fits,
    frame_etag,
    multipart_of,
    outgoing_frame,
    plan_for,
)
from apps.errors import PacsError
from apps.retrieve.frames import check_whole_frame, frame_table_of, piece_between
from apps.retrieve.locations import Location, StandingLocator
from apps.retrieve.transcoding import differs_by_object, stored_as
from apps.storage.blobs import BlobMissing, BlobStore
from apps.storage.stores import blob_store

_UID: Final = r"([0-9.]{1,64})"
_PATH: Final = re.compile(
    f"{MOUNT}/studies/{_UID}/series/{_UID}/instances/{_UID}/frames/([1-9][0-9]{{0,8}})"
)
_SECRET: Final = frozenset({"HTTP_AUTHORIZATION", "HTTP_COOKIE"})
_OF_THE_FRAME: Final = frozenset({"content-type", "content-length", "etag"})


@dataclass(frozen=True, slots=True)
class _Way:
    """What the answer will be, and whether whole bytes of it go out as they are stored."""

    plan: Plan
    as_it_is: bool


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What one caller's frames have in common; `asked` has the headers without credentials."""

    principal: Principal
    locator: StandingLocator
    store: BlobStore
    asked: HttpRequest
    base: str
    headers: tuple[tuple[str, str], ...]
    ways: dict[str, _Way]
    """By stored Transfer Syntax, where that decides."""


_patterns: Final = Patterns[_Pattern]()


def forget_patterns() -> None:
    """For tests."""
    _patterns.forget()


class HotFramesMiddleware:
    """Stands outermost, where answers are complete, and learns from those of single frames."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The inner answer, unchanged."""
        response = self._get_response(request)
        if isinstance(response, HttpResponse) and response.status_code == HTTPStatus.OK:
            _learn(request, response)
        return response


def _learn(request: HttpRequest, response: HttpResponse) -> None:
    environ = request.META
    if _single(environ) is None or response.cookies or not response.has_header("ETag"):
        return
    principal, standing = getattr(request, "_pacsweb_principal", None), standing_of(request)
    if standing is None or not isinstance(principal, Principal):
        return
    asked = HttpRequest()
    asked.META = {
        name: value
        for name, value in environ.items()
        if name not in _SECRET and name.startswith("HTTP_")
    }
    headers = tuple(each for each in response.items() if each[0].lower() not in _OF_THE_FRAME)
    _patterns.learn(
        environ,
        _Pattern(
            principal,
            StandingLocator(principal, standing),
            blob_store(),
            asked,
            base_url(request),
            headers,
            {},
        ),
    )


def _single(environ: Environ) -> re.Match[str] | None:
    """The path's parts where this is a plain GET of one frame."""
    if environ.get("REQUEST_METHOD") != "GET" or environ.get("QUERY_STRING"):
        return None
    if environ.get("CONTENT_LENGTH", "") not in {"", "0"}:
        return None
    return None if environ.get("SCRIPT_NAME") else _PATH.fullmatch(environ.get("PATH_INFO", ""))


def hot_frame(environ: Environ) -> Answer | None:
    """The answer to a plain GET of a frame by somebody whose pattern is known; else None."""
    asked = _single(environ)
    if asked is None:
        return None
    pattern = _patterns.find(environ)
    if pattern is None:
        return None
    try:
        study, series, instance, frame = asked.groups()
        location = pattern.locator.find(study, series, instance)
        return None if location is None else _answer(pattern, location, frame)
    except (PacsError, BlobMissing, DatabaseError):
        # The whole stack meets the same, and says it in words.
        return None


def _answer(pattern: _Pattern, location: Location, frame: str) -> Answer | None:
    number = int(frame)
    table = frame_table_of(location)
    piece = table.whole_piece(number - 1)
    way = pattern.ways.get(location.transfer_syntax_uid) or _way(pattern, location)
    if not way.as_it_is or not _held_at_once(table, number, piece):
        return None
    plan = way.plan
    view_event(pattern.principal, "StudyViewed", location.study_instance_uid)
    if not plan.multipart:
        content_type, content = plan.labelled, outgoing_frame(location, table, number, plan)
    elif piece is not None:
        around = around_one_part(location, piece[1], number, plan, pattern.base)
        content_type = around[0]
        content = piece_between(pattern.store, location, piece, *around[1:])
    else:
        content_type, chunks = multipart_of(location, table, (number,), plan, pattern.base)
        content = b"".join(chunks)
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(content))),
        ("ETag", frame_etag(location.digest, plan, frame)),
        *pattern.headers,
    ]
    return Answer(headers, content)


def _held_at_once(table: FrameTable, number: int, piece: tuple[int, int] | None) -> bool:
    """Whether the frame is as stored and not long. Raises NotFound unless it is there, whole."""
    if piece is not None:
        return piece[1] <= WHOLE_BYTES
    check_whole_frame(table, number)
    return not table.bit_offset(number - 1) and fits(table, (number,))


def _way(pattern: _Pattern, location: Location) -> _Way:
    plan = plan_for(pattern.asked, location, single=True)
    way = _Way(plan, stored_as(location.transfer_syntax_uid, plan.transfer_syntax_uid))
    if not differs_by_object(location.transfer_syntax_uid):
        pattern.ways[location.transfer_syntax_uid] = way
    return way
