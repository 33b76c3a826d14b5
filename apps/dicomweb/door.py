"""The one wrapper around every view: method, cross-origin, sign-in, and failures in words."""

from __future__ import annotations

import functools
import hashlib
import logging
import re
import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.db import DataError, InterfaceError, OperationalError
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from apps.access.authentication import (
    challenge_for,
    has_csrf_token,
    principal_of,
    remember,
    standing_of,
)
from apps.access.principals import Principal
from apps.access.standing import Standing
from apps.dicomweb.capabilities import describe
from apps.dicomweb.cors import allow_origin, is_preflight, preflight_response
from apps.dicomweb.links import MOUNT
from apps.dicomweb.status import MethodNotAllowed, PackedBody, failure_response, status_of
from apps.errors import InvalidRequest, NotAuthenticated, NotFound, PacsError, Unavailable
from apps.storage.blobs import BlobMissing

_logger = logging.getLogger(__name__)
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, Principal, P], HttpResponseBase]


# Scrolling asks for hundreds of images a second, a sender stores one instance after the other: each
# asks whether the sign-in still stands, but need not sign in anew. As long may Basic's throttling
# and a token's last use lag behind.
REMEMBERED_SECONDS = 30.0
_READING = frozenset({"GET", "HEAD"})
_STORING = re.compile(rf"{MOUNT}/studies(/[0-9.]+)?")
_REMEMBERED = 512
_KEY = secrets.token_bytes(32)
_principals: dict[bytes, tuple[float, Principal, Standing]] = {}


def is_remembered(request: HttpRequest) -> bool:
    """True for a reading or storing request whose caller is known here; notes the caller on it.

    Who stores by a session must have sent its CSRF token with this very request.
    """
    if not _may_be_remembered(request):
        return False
    key = _fingerprint(request)
    known = _principals.get(key)
    if known is None or known[0] <= time.monotonic():
        return False
    _, principal, standing = known
    try:
        stands = standing.holds()
    except DatabaseError:
        return False  # whoever asks the database next will say so
    if not stands:
        _principals.pop(key, None)
        return False
    if request.method not in _READING and not has_csrf_token(request):
        return False
    remember(request, principal, standing)
    return True


def _may_be_remembered(request: HttpRequest) -> bool:
    if request.method == "POST":
        return _STORING.fullmatch(request.path_info) is not None
    return request.method in _READING


def forget_principals() -> None:
    """For tests, and for whatever must take effect in this process at once."""
    _principals.clear()


def _principal_of(request: HttpRequest) -> Principal:
    """Who asks; remembered for the requests to come."""
    principal, standing = principal_of(request, "dicomweb"), standing_of(request)
    if standing is not None and _may_be_remembered(request):
        key = _fingerprint(request)
        if key not in _principals or _principals[key][0] <= time.monotonic():
            if len(_principals) >= _REMEMBERED:
                _principals.clear()
            _principals[key] = (time.monotonic() + REMEMBERED_SECONDS, principal, standing)
    return principal


def _fingerprint(request: HttpRequest) -> bytes:
    """Keyed, so that memory holds nothing that could be used or guessed elsewhere."""
    meta = request.META
    parts = (
        meta.get("HTTP_AUTHORIZATION", ""),
        request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""),
        meta.get("REMOTE_ADDR", ""),
        meta.get("HTTP_X_FORWARDED_FOR", ""),
    )
    return hashlib.blake2b("\n".join(parts).encode(errors="replace"), key=_KEY).digest()


def resource(**views: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """One resource with a view per method, called as `view(request, principal, **path)`.

    Django's own CSRF check is off because API clients have no token; `principal_of` makes it for
    requests that are signed in by a session.
    """
    methods = tuple(views) + (("HEAD",) if "GET" in views else ())
    any_view = next(iter(views.values()))

    @functools.wraps(any_view)
    def answer(request: HttpRequest, *args: P.args, **path: P.kwargs) -> HttpResponseBase:
        if request.method == "OPTIONS":
            return _options(request, methods)
        method = "GET" if request.method == "HEAD" else request.method or ""
        response: HttpResponseBase
        try:
            if method not in views:
                raise MethodNotAllowed(methods)
            principal = _principal_of(request)
            _check_body(request)
            if any("\0" in str(value) for value in path.values()):
                raise NotFound("There is nothing by that name.")
            try:
                response = views[method](request, principal, *args, **path)
            except BlobMissing:
                # It may have been replaced between the look-up and the reading: look once more.
                response = views[method](request, principal, *args, **path)
        except (PacsError, BlobMissing) as failure:
            response = _answer_failure(request, failure)
        except (DataError, OperationalError, InterfaceError) as failure:
            response = failure_response(request, _in_words(failure))
        allow_origin(request, response)
        return response

    answer.methods = methods  # type: ignore[attr-defined]  # the conformance statement reads it
    return csrf_exempt(answer)  # type: ignore[return-value]  # P is kept by wraps


def _check_body(request: HttpRequest) -> None:
    """None of our resources takes a compressed body (RFC 9110 15.5.16)."""
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() != "identity":
        raise PackedBody


def _in_words(failure: DatabaseError) -> PacsError:
    """What the database's refusal means: no answer, or a value that no column can hold."""
    if isinstance(failure, DataError):
        return InvalidRequest("A value cannot be kept or looked for.")
    _logger.warning("The database does not answer: %s", type(failure).__name__)
    return Unavailable("The database does not answer just now; try again soon.")


def _options(request: HttpRequest, methods: tuple[str, ...]) -> HttpResponseBase:
    """To a browser what it may send; to others the capabilities. Neither needs a sign-in."""
    if is_preflight(request):
        return preflight_response(request, methods)
    response = describe(request, methods)
    allow_origin(request, response)
    return response


def _answer_failure(request: HttpRequest, failure: Exception) -> HttpResponseBase:
    response = failure_response(request, failure)
    status = status_of(failure)
    if isinstance(failure, NotAuthenticated):
        response["WWW-Authenticate"] = challenge_for(request)
    elif status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _logger.error("Answered %s: %s", status, type(failure).__name__, exc_info=failure)
    elif isinstance(failure, BlobMissing):
        _logger.error("A stored blob is missing: %s", failure)
    return response
