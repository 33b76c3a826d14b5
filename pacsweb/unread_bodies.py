"""A refusal reaches the caller also when it comes before the request's body was read.

A server that answers and closes while the client is still sending resets the connection, and the
client sees "connection aborted" in place of the sentence that says why (RFC 9112 9.6).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponseBase

_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_CHUNK: Final = 1 << 20
_MOST_BYTES: Final = 64 << 20
_MOST_SECONDS: Final = 5.0
"""What is read on behalf of a refused caller; then the connection is closed, and said to be."""

_AT_ONCE: Final = 2
"""So many refused callers may be slow at once: they must not hold every place of the process."""

_places = threading.Semaphore(_AT_ONCE)


class UnreadBodyMiddleware:
    """Stands outermost; reads what the view left of the body, within bounds."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The inner answer; with `Connection: close` when the body is longer than the bounds."""
        response = self._get_response(request)
        if request.method in _WITHOUT_BODY or response.streaming:
            return response
        if not _read_rest_in_turn(request):
            response["Connection"] = "close"
        return response


def _read_rest_in_turn(request: HttpRequest) -> bool:
    """Whether the body was read to its end; it is not begun where others are slow already."""
    if not _places.acquire(timeout=_MOST_SECONDS / 10):
        return False
    try:
        return _read_rest(request)
    finally:
        _places.release()


def _read_rest(request: HttpRequest) -> bool:
    """Whether the body was read to its end."""
    # Django's own stream takes a body of unknown length for an empty one.
    chunked = "HTTP_TRANSFER_ENCODING" in request.META
    source = request.META["wsgi.input"] if chunked else request
    deadline = time.monotonic() + _MOST_SECONDS
    left = _MOST_BYTES
    while left > 0 and time.monotonic() < deadline:
        read = len(source.read(_CHUNK))
        if not read:
            return True
        left -= read
    return False
