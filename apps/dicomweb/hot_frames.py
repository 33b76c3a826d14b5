"""Single frames, answered before Django begins: the busiest request there is.

What the whole stack answered a caller once is the pattern for the next frame of the same caller:
its headers, save those that belong to the frame. Sign-in, visibility, negotiation, body and audit
are the view's own functions, asked anew each time. Whatever is unusual, a refusal too, is left to
the whole stack: here is no answer but 200.
"""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from operator import itemgetter
from typing import Any, Final

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apps.access.audit import view_event
from apps.access.authentication import standing_of
from apps.access.principals import Principal
from apps.dicom.frames import FrameTable
from apps.dicomweb.links import MOUNT, base_url
from apps.dicomweb.wado_rs.frames import (
    WHOLE_BYTES,
    Plan,
    fits,
    frame_etag,
    multipart_of,
    one_part_of,
    outgoing_frame,
    plan_for,
)
from apps.errors import PacsError
from apps.retrieve.frames import check_whole_frame, frame_table_of
from apps.retrieve.locations import Location, StandingLocator
from apps.retrieve.transcoding import differs_by_object, stored_as
from apps.storage.blobs import BlobMissing

# As long may Basic's throttling and a token's last use lag behind; rights are asked each time.
REMEMBERED_SECONDS: Final = 30.0
_REMEMBERED: Final = 512
_KEY: Final = secrets.token_bytes(32)
_UID: Final = r"([0-9.]{1,64})"
_PATH: Final = re.compile(
    f"{MOUNT}/studies/{_UID}/series/{_UID}/instances/{_UID}/frames/([1-9][0-9]{{0,8}})"
)
# What of a request, beside its headers, an answer may depend on.
_BESIDE: Final = frozenset({"REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme"})
# Differ from request to request, and nobody here reads them.
_IGNORED: Final = frozenset(
    {"HTTP_X_REQUEST_ID", "HTTP_X_CORRELATION_ID", "HTTP_TRACEPARENT", "HTTP_TRACESTATE"}
)
_UNUSUAL: Final = ("HTTP_IF_", "HTTP_RANGE", "HTTP_TRANSFER_ENCODING")
_SECRET: Final = frozenset({"HTTP_AUTHORIZATION", "HTTP_COOKIE"})
_OF_THE_FRAME: Final = frozenset({"content-type", "content-length", "etag"})

Environ = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete 200."""

    headers: list[tuple[str, str]]
    content: bytes


@dataclass(frozen=True, slots=True)
class _Way:
    """What the answer will be, and whether whole bytes of it go out as they are stored."""

    plan: Plan
    as_it_is: bool


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What one caller's frames have in common; `asked` has the headers without credentials."""

    until: float
    principal: Principal
    locator: StandingLocator
    asked: HttpRequest
    base: str
    headers: tuple[tuple[str, str], ...]
    ways: dict[str, _Way]
    """By stored Transfer Syntax, where that decides."""


_patterns: dict[bytes, _Pattern] = {}


def forget_patterns() -> None:
    """For tests."""
    _patterns.clear()


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
    key, standing = _fingerprint(environ), standing_of(request)
    principal = getattr(request, "_pacsweb_principal", None)
    if not key or standing is None or not isinstance(principal, Principal):
        return
    asked = HttpRequest()
    asked.META = {
        name: value
        for name, value in environ.items()
        if name not in _SECRET and name.startswith("HTTP_")
    }
    headers = tuple(each for each in response.items() if each[0].lower() not in _OF_THE_FRAME)
    if len(_patterns) >= _REMEMBERED:
        _patterns.clear()
    until = time.monotonic() + REMEMBERED_SECONDS
    locator = StandingLocator(principal, standing)
    _patterns[key] = _Pattern(until, principal, locator, asked, base_url(request), headers, {})


def _single(environ: Environ) -> re.Match[str] | None:
    """The path's parts where this is a plain GET of one frame."""
    if environ.get("REQUEST_METHOD") != "GET" or environ.get("QUERY_STRING"):
        return None
    return None if environ.get("SCRIPT_NAME") else _PATH.fullmatch(environ.get("PATH_INFO", ""))


@functools.lru_cache(maxsize=256)
def _counting(names: tuple[str, ...]) -> tuple[bytes, Callable[[Environ], tuple[str, ...]]] | None:
    """Those that an answer may depend on, as text, and what picks their values.

    None for conditional requests and ranges. Remembered: a client sends the same with each frame.
    """
    if any(name.startswith(_UNUSUAL) for name in names):
        return None
    counting = [
        name
        for name in names
        if name in _BESIDE or (name.startswith("HTTP_") and name not in _IGNORED)
    ]
    return "\n".join(counting).encode(), itemgetter(*counting)


def _fingerprint(environ: Environ) -> bytes:
    """Of all that is asked save the path; keyed, so that memory holds nothing of use elsewhere.

    Empty for conditional requests, ranges and requests with a body.
    """
    counting = _counting(tuple(environ))
    if counting is None or environ.get("CONTENT_LENGTH", "") not in {"", "0"}:
        return b""
    names, values = counting
    # Neither a name nor a value holds the end of a line.
    text = "\n".join(values(environ)).encode(errors="surrogatepass")
    return hashlib.blake2b(names + b"\n\n" + text, key=_KEY, digest_size=32).digest()


def hot_frame(environ: Environ) -> Answer | None:
    """The answer to a plain GET of a frame by somebody whose pattern is known; else None."""
    asked = _single(environ)
    if asked is None:
        return None
    pattern = _patterns.get(_fingerprint(environ))
    if pattern is None or pattern.until <= time.monotonic():
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
        content_type, content = one_part_of(location, piece, number, plan, pattern.base)
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
