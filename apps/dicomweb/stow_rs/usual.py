"""The usual Store request, answered before Django begins: one instance more of a stored series.

As with single frames (`apps.dicomweb.hot_frames`), what the whole stack answered a caller once is
the pattern for the next: its headers, save those that belong to the instance. Sign-in, room, scan,
verdict and commit are the functions of every other Store request. Whatever is unusual, a refusal
too, is left to the whole stack, which finds the body as if nobody had read it.
"""

from __future__ import annotations

import io
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

import orjson
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from apps.access.authentication import standing_of
from apps.access.principals import Permission, Principal
from apps.access.standing import Standing
from apps.dicom.in_memory import InMemory
from apps.dicom.part10 import Provenance
from apps.dicom.part_uids import Uids
from apps.dicomweb.links import MOUNT, base_url
from apps.dicomweb.negotiation import DICOM, DICOM_JSON, MULTIPART, parse_media_type
from apps.dicomweb.patterns import Answer, Environ, Patterns
from apps.dicomweb.stow_rs.receiving import DOOR
from apps.dicomweb.stow_rs.views import Report, Stored, path_of
from apps.ingest import inbox
from apps.storage.capacity import capacity

LARGEST_BYTES: Final = 1 << 20
"""What one place of a web process may hold in memory; and no room need be held for so few."""

_PATH: Final = re.compile(rf"{MOUNT}/studies(?:/([0-9.]{{1,64}}))?")
_BOUNDARY: Final = re.compile(
    r"[A-Za-z0-9'()+_,./:=?-]{1,256}"
)  # of RFC 2046 5.1.1, without blanks
_LONGEST_HEADER: Final = 4096
_DIGITS: Final = len(str(LARGEST_BYTES))
_OF_THE_INSTANCE: Final = frozenset({"location", "content-location", "content-length"})


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What one caller's Store requests have in common."""

    principal: Principal
    standing: Standing
    base: str
    headers: tuple[tuple[str, str], ...]


_patterns: Final = Patterns[_Pattern]()


def forget_patterns() -> None:
    """For tests."""
    _patterns.forget()


def learn(request: HttpRequest, response: HttpResponse) -> None:
    """Notes what the whole stack answered to a Store request that went well."""
    principal, standing = getattr(request, "_pacsweb_principal", None), standing_of(request)
    if (
        response.status_code != HTTPStatus.OK
        or response.get("Content-Type") != DICOM_JSON
        or response.has_header("Warning")
        or response.cookies
        or standing is None
        or not isinstance(principal, Principal)
        or not principal.may(Permission.STORE_INSTANCES)
    ):
        return
    headers = tuple(each for each in response.items() if each[0].lower() not in _OF_THE_INSTANCE)
    _patterns.learn(request.META, _Pattern(principal, standing, base_url(request), headers))


def usual_store(environ: Environ) -> Answer | None:
    """The answer to a Store request of one small instance whose fate is certain; else None."""
    length = environ.get("CONTENT_LENGTH", "")
    asked = _PATH.fullmatch(environ["PATH_INFO"])
    if asked is None or not _is_plain(environ) or not _is_small(length):
        return None
    pattern = _patterns.find(environ)
    if pattern is None or not _has_room():
        return None
    began = time.monotonic()
    body = environ["wsgi.input"].read(int(length))
    stored = _stored(environ, body, pattern, asked[1]) if len(body) == int(length) else None
    if stored is None:
        environ["wsgi.input"] = io.BytesIO(body)
        return None
    inbox.ring()
    answer = _answer(pattern, stored, asked[1])
    # Where nobody has to wait for the indexer, senders still must not outrun it.
    inbox.give_way(time.monotonic() - began)
    return answer


def _is_plain(environ: Environ) -> bool:
    """The pattern knows headers and caller; the method, and what stands beside the path, not."""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and not environ.get("QUERY_STRING")
        and not environ.get("SCRIPT_NAME")
    )


def _has_room() -> bool:
    try:
        return capacity().accepts_instances
    except OSError:
        return False  # the whole stack meets the same, and tells it


def _is_small(length: str) -> bool:
    """Zeros before it make a length neither small nor quick to read."""
    return (
        len(length) <= _DIGITS
        and length.isascii()
        and length.isdigit()
        and 0 < int(length) <= LARGEST_BYTES
    )


def _stored(environ: Environ, body: bytes, pattern: _Pattern, study: str | None) -> Stored | None:
    """What was stored while the sign-in stands: that is asked together with all else."""
    source = _only_instance(environ.get("CONTENT_TYPE", ""), body)
    if source is None:
        return None
    sender, now = pattern.principal, timezone.now().isoformat()
    came = Provenance(DOOR, "", "", sender.address, now, sender.name)
    condition = pattern.standing.question()
    seen = inbox.take_at_once(source, came, study=study, condition=condition)
    if seen is None:
        return None
    place = seen.place
    uids = Uids(seen.scan.attributes.get("SOPClassUID", ""), place.instance)
    return Stored(uids, path_of(place))


def _answer(pattern: _Pattern, stored: Stored, study: str | None) -> Answer:
    report = Report()
    report.stored.append(stored)
    dataset: dict[str, Any] = report.dataset(pattern.base, study)
    content = orjson.dumps(dataset)
    where = dataset["00081190"]["Value"][0]
    return Answer(
        [
            *pattern.headers,
            ("Location", where),
            ("Content-Location", where),
            ("Content-Length", str(len(content))),
        ],
        content,
    )


def _only_instance(content_type: str, body: bytes) -> InMemory | None:
    """The one instance of a body; None where it has none or several, or is not that plain."""
    if content_type == DICOM:
        return InMemory(body)
    boundary = _boundary_in(content_type)
    if not boundary:
        return None
    opening, delimiter = b"--" + boundary + b"\r\n", b"\r\n--" + boundary
    blank = body.find(b"\r\n\r\n", len(opening), len(opening) + _LONGEST_HEADER)
    header = body[len(opening) : max(blank, 0)]
    if not body.startswith(opening) or not _is_plain_header(header):
        return None
    begin = blank + 4
    end = len(body) - len(delimiter) - (4 if body.endswith(b"\r\n") else 2)
    if end < begin or body[end:].removesuffix(b"\r\n") != delimiter + b"--":
        return None
    # Looked at backwards, which takes a third of the time.
    if body.rfind(delimiter, begin, end + len(delimiter) - 1) >= 0:
        return None
    return InMemory(body, begin, end)


def _is_plain_header(header: bytes) -> bool:
    """Whether it is one to its end: an empty line, which a line feed alone may make, ends one."""
    plain = header.count(b"\n") == header.count(b"\r\n")
    return bool(header) and plain and not header.startswith(b"\r\n")


@lru_cache(maxsize=256)
def _boundary_in(content_type: str) -> bytes:
    """What stands between instances; empty where the body has no instances, or says it oddly.

    Remembered: many senders have the same with each request.
    """
    media_type, parameters = parse_media_type(content_type)
    named = dict(parameters)
    if media_type != MULTIPART or named.get("type", "").lower() != DICOM:
        return b""
    boundary = named.get("boundary", "")
    return boundary.encode() if _BOUNDARY.fullmatch(boundary) else b""
