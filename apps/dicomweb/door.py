"""The one wrapper around every view: method, cross-origin, sign-in, and failures in words."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from apps.access.authentication import challenge_for, principal_of
from apps.access.principals import Principal
from apps.dicomweb.cors import allow_origin, preflight_response
from apps.dicomweb.status import MethodNotAllowed, failure_response, status_of
from apps.errors import PacsError, Unavailable
from apps.storage.blobs import BlobMissing

_logger = logging.getLogger(__name__)
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, Principal, P], HttpResponseBase]


def door(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """A GET resource of the DICOMweb service."""
    return resource(GET=view)


def resource(**views: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """One resource with a view per method, called as `view(request, principal, **path)`.

    Django's own CSRF check is off because API clients have no token; `principal_of` makes it for
    requests that are signed in by a session.
    """
    methods = tuple(views) + (("HEAD",) if "GET" in views else ())
    described = next(iter(views.values()))

    @functools.wraps(described)
    def answer(request: HttpRequest, *args: P.args, **path: P.kwargs) -> HttpResponseBase:
        if request.method == "OPTIONS":
            return preflight_response(request, methods)
        method = "GET" if request.method == "HEAD" else request.method or ""
        response: HttpResponseBase
        try:
            if method not in views:
                raise MethodNotAllowed(methods)
            principal = principal_of(request, "dicomweb")
            response = views[method](request, principal, *args, **path)
        except (PacsError, BlobMissing) as failure:
            response = _answer_failure(request, failure)
        except (OperationalError, InterfaceError) as failure:
            _logger.warning("The database does not answer: %s", type(failure).__name__)
            response = failure_response(
                request, Unavailable("The database does not answer just now; try again soon.")
            )
        allow_origin(request, response)
        return response

    return csrf_exempt(answer)


def _answer_failure(request: HttpRequest, failure: Exception) -> HttpResponseBase:
    response = failure_response(request, failure)
    status = status_of(failure)
    if status == 401:
        response["WWW-Authenticate"] = challenge_for(request)
    elif status >= 500 and status not in {503, 507}:
        _logger.error("Answered %s: %s", status, type(failure).__name__, exc_info=failure)
    elif isinstance(failure, BlobMissing):
        _logger.error("A stored blob is missing: %s", failure)
    return response
