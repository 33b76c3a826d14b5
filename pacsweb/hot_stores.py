"""Store requests of a caller already known, answered without the site's stack of middleware.

A sender of single instances asks hundreds of times a second, and the stack takes a good part of the
time that storing one takes. Sign-in, CSRF check, permission and view are the same code as ever
(`apps.dicomweb.door`), and what the stack adds to an answer is added here. Who is not remembered
there goes through the whole stack, and is from then on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from io import BytesIO
from typing import Any, Final, cast

from csp.middleware import CSPMiddleware
from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import ResolverMatch, resolve
from django.utils.log import log_response

from apps.dicomweb.door import is_remembered
from apps.dicomweb.links import MOUNT
from apps.dicomweb.stow_rs.usual import learn
from pacsweb.unread_bodies import UnreadBodyMiddleware

_PATH: Final = re.compile(rf"{MOUNT}/studies(?:/[0-9.]{{1,64}})?")
_TYPES: Final = ("multipart/related", "application/dicom")
"""What a Store has. The CSRF check looks for its token in a form, which would be read for that."""
_FIRST_ERROR: Final = 400
_OF_THE_STACK: Final = (XFrameOptionsMiddleware, CSPMiddleware, SecurityMiddleware)
"""Those that add to every answer; the innermost first. The others have no part in a Store."""


def hot_store(environ: dict[str, Any]) -> HttpResponse | None:
    """The answer to a Store request of a remembered caller; else None, and nothing was read."""
    if (
        environ["REQUEST_METHOD"] != "POST"
        or environ.get("SCRIPT_NAME")
        or _PATH.fullmatch(environ["PATH_INFO"]) is None
        or not environ.get("CONTENT_TYPE", "").lower().startswith(_TYPES)
        or settings.SECURE_SSL_REDIRECT
    ):
        return None
    request = WSGIRequest(environ)
    if not is_remembered(request):
        return None
    response = _answer(request)
    assert isinstance(response, HttpResponse)
    learn(request, response)
    if response.status_code >= _FIRST_ERROR:
        log_response(
            "%s: %s", response.reason_phrase, request.path, response=response, request=request
        )
    return response


def _viewed(request: HttpRequest) -> HttpResponseBase:
    request.get_host()  # as CommonMiddleware does: raises for a host that is not ours
    match = _view_of(request.path_info)
    request.resolver_match = match
    response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    return response


def _with_headers(request: HttpRequest) -> HttpResponseBase:
    response = _never_raises(request)
    for name, value in _headers(request.scheme or ""):
        response.setdefault(name, value)
    if isinstance(response, HttpResponse) and not response.has_header("Content-Length"):
        response["Content-Length"] = str(len(response.content))
    return response


def _answering(
    step: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """What it raises becomes an answer, as around every middleware of the stack."""
    return cast("Callable[[HttpRequest], HttpResponseBase]", convert_exception_to_response(step))


_never_raises = _answering(_viewed)
_answer = _answering(UnreadBodyMiddleware(_with_headers))


@lru_cache(maxsize=64)
def _view_of(path: str) -> ResolverMatch:
    return resolve(path)


@cache
def _headers(scheme: str) -> tuple[tuple[str, str], ...]:
    """What the stack adds to an answer that says nothing about it."""
    request = WSGIRequest(
        {"REQUEST_METHOD": "POST", "wsgi.url_scheme": scheme, "wsgi.input": BytesIO()}
    )
    response = HttpResponse()
    before = {name for name, _ in response.items()}
    for each in _OF_THE_STACK:
        each(HttpResponse).process_response(request, response)
    return tuple(item for item in response.items() if item[0] not in before)
