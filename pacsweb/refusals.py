"""What is refused before a view is reached, or by an error of ours, in the form of its door."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from apps.access.views import locked_out as page_locked_out
from apps.dicomweb.cors import allow_origin
from apps.dicomweb.links import MOUNT
from apps.dicomweb.status import failure_response
from apps.errors import InvalidRequest, NotFound, NotPermitted, PacsError, SignInPaused

_API: Final = "/api"
_LISTS: Final = {
    _API: "/api/schema/",
    MOUNT: f"{MOUNT}/openapi.json",
    "/fhir": "/fhir/metadata",
    "/wado": f"{MOUNT}/openapi.json",
}
"""Doors of programs, and where each says what it has."""


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """No resource has this path."""
    door = _door(request)
    if not door:
        return defaults.page_not_found(request, exception)
    hint = " Try the path without the slash at its end." if request.path_info[-1] == "/" else ""
    if door == _API:
        hint = "" if hint else " Paths here end with a slash."
    sentence = f"There is no such resource; {_LISTS[door]} lists those there are.{hint}"
    return _in_form(request, NotFound(sentence), 404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django itself does not take, such as a Host that is not ours."""
    if not _door(request):
        return defaults.bad_request(request, exception)
    foreign = isinstance(exception, DisallowedHost)
    sentence = (
        "This server is not called by that name; PACSWEB_ALLOWED_HOSTS lists its names."
        if foreign
        else "The request cannot be understood."
    )
    return _in_form(request, InvalidRequest(sentence), 400)


def not_permitted(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What nobody, or not this caller, may do."""
    if not _door(request):
        return defaults.permission_denied(request, exception)
    return _in_form(request, NotPermitted("This is not permitted."), 403)


def locked_out(request: HttpRequest, *_args: object, **_kwargs: object) -> HttpResponse:
    """Sign-in is paused for this name; a program hears it in its own form."""
    if not _door(request):
        return page_locked_out(request)
    paused = SignInPaused(int(settings.AXES_COOLOFF_TIME.total_seconds()))
    return _in_form(request, paused, 429)


def failed(request: HttpRequest) -> HttpResponse:
    """An error of ours; the log has it."""
    if not _door(request):
        return defaults.server_error(request)
    return _in_form(request, PacsError("Something failed here; the log has the details."), 500)


def _door(request: HttpRequest) -> str:
    """The path that all of its resources begin with; "" for pages that people look at."""
    path = request.path_info
    return next((each for each in _LISTS if path == each or path.startswith(each + "/")), "")


def _in_form(request: HttpRequest, failure: PacsError, status: int) -> HttpResponse:
    if _door(request) == _API:
        return JsonResponse({"detail": failure.message}, status=status)
    response = failure_response(request, failure)
    allow_origin(request, response)
    return response
