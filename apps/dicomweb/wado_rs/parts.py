"""multipart/related bodies (PS3.18 8.6.1.2), and answers to Range requests over them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from apps.dicomweb.status import RangeNotSatisfiable
from apps.errors import UnreadableInstance

_GATHERED = 256 << 10
_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its media type with parameters, where it can be had alone, and its bytes."""

    media_type: str
    location: str
    length: int
    chunks: Iterable[bytes]


def boundary_of(*seed: str) -> str:
    """A boundary of 42 characters that is the same whenever the same content is sent.

    The same, because a viewer may fetch one body in several ranges. The seed holds the content's
    own digest, so no content can be made to contain its boundary.
    """
    return "pacsweb-" + hashlib.sha256("\n".join(seed).encode()).hexdigest()[:34]


def content_type(boundary: str, part_type: str) -> str:
    """The Content-Type of the whole body."""
    return f'multipart/related; type="{part_type}"; boundary={boundary}'


def opening(boundary: str, media_type: str, length: int, location: str) -> bytes:
    """The delimiter and header of a first part. Viewers match these names letter by letter."""
    return (
        f"--{boundary}\r\n"
        f"Content-Type: {media_type}\r\n"
        f"Content-Length: {length}\r\n"
        f"Content-Location: {location}\r\n\r\n"
    ).encode("latin-1")


def closing(boundary: str) -> bytes:
    """The last delimiter."""
    return f"\r\n--{boundary}--\r\n".encode("ascii")


def body(boundary: str, parts: Iterable[Part | None]) -> Iterator[bytes]:
    """The whole body, chunk by chunk; None while the next part is waited for."""
    lead = b""
    for part in parts:
        if part is None:
            yield b""
            continue
        yield lead + opening(boundary, part.media_type, part.length, part.location)
        yield from complete(part.chunks, part.length)
        lead = b"\r\n"
    yield closing(boundary)


def complete(chunks: Iterable[bytes], length: int) -> Iterator[bytes]:
    """The chunks, once it is sure that they are as long as was said; else UnreadableInstance.

    A blob that was cut short on disk must not look like a small instance.
    """
    for chunk in chunks:
        length -= len(chunk)
        yield chunk
    if length:
        raise UnreadableInstance("The stored bytes are not as many as were received.")


def length_of(boundary: str, part: Part) -> int:
    """Bytes of a body that has this part alone."""
    head = opening(boundary, part.media_type, part.length, part.location)
    return len(head) + part.length + len(closing(boundary))


def whole_response(
    request: HttpRequest, pieces: Iterable[bytes], content_type: str, etag: str
) -> HttpResponse:
    """A body that fits into memory: 304 when the client has it, 206 when it asks for a range."""
    if etag and if_none_match(request, etag):
        return not_modified(etag)
    content = b"".join(pieces)
    response = HttpResponse(content, content_type=content_type)
    asked = byte_range(request, len(content), etag)
    if asked is not None:
        start, end = asked
        response.content = content[start:end]
        response.status_code = 206
        response["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
    response["Content-Length"] = str(len(response.content))
    response["Accept-Ranges"] = "bytes"
    keep_private(response, etag)
    return response


def gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer, larger chunks: each one costs a hand-over to the server.

    An empty one says that the next takes a while: what is held goes out, and a client that has
    left is noticed.
    """
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= _GATHERED or not chunk:
            yield chunk if len(held) == 1 else b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def streamed_response(chunks: Iterable[bytes], content_type: str) -> StreamingHttpResponse:
    """A body of any size in flat memory."""
    response = StreamingHttpResponse(gathered(chunks), content_type=content_type)
    # nginx would collect the answer on disk first.
    response["X-Accel-Buffering"] = "no"
    keep_private(response, "")
    return response


def keep_private(response: HttpResponse | StreamingHttpResponse, etag: str) -> None:
    """Only the reader's own browser may keep it, and must ask again before using it."""
    response["Cache-Control"] = "private, no-cache" if etag else "private, no-store"
    response["Vary"] = "Accept, Accept-Encoding, Authorization, Cookie"
    if etag:
        response["ETag"] = etag


def if_none_match(request: HttpRequest, etag: str) -> bool:
    """True when the client already holds this representation (RFC 9110 13.1.2)."""
    header = request.META.get("HTTP_IF_NONE_MATCH", "")
    if not header:
        return False
    held = {each.strip().removeprefix("W/") for each in header.split(",")}
    return "*" in held or etag.removeprefix("W/") in held


def not_modified(etag: str) -> HttpResponse:
    """304, with what a cache needs."""
    response = HttpResponse(status=304)
    del response["Content-Type"]
    keep_private(response, etag)
    return response


def byte_range(request: HttpRequest, length: int, etag: str = "") -> tuple[int, int] | None:
    """The single range asked for as start and end (exclusive); None for the whole.

    Several ranges, other units and a Range whose If-Range no longer holds are answered whole
    (RFC 9110 14.2). Raises RangeNotSatisfiable.
    """
    header = request.META.get("HTTP_RANGE", "")
    if not header:
        return None
    condition = request.META.get("HTTP_IF_RANGE", "")
    match = _RANGE.match(header.replace(" ", ""))
    if match is None or match.group(0) == "bytes=-" or (condition and condition != etag):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(length - int(last), 0), length
    else:
        start = int(first)
        end = min(int(last) + 1, length) if last else length
        if last and int(last) < start:
            return None
    if start >= length or start >= end:
        raise RangeNotSatisfiable(length)
    return start, end
