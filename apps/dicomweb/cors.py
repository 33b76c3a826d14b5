"""Cross-origin reading by viewers served elsewhere: `PACSWEB_CORS_ORIGINS` lists their origins."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

ALLOWED_HEADERS: Final = "accept, authorization, content-type, range, if-none-match"
EXPOSED_HEADERS: Final = (
    "Content-Type, Content-Length, Content-Range, Content-Location, Warning, ETag, Location"
)
PREFLIGHT_SECONDS: Final = 7200


def allow_origin(request: HttpRequest, response: HttpResponseBase) -> None:
    """Adds the headers a listed origin needs to read the answer.

    `*` lets every origin read with a token in Authorization, but never with a session's cookie.
    """
    origins = settings.PACSWEB.cors_origins
    if not origins:
        return
    vary = response.get("Vary", "")
    response["Vary"] = f"{vary}, Origin" if vary else "Origin"
    origin = request.META.get("HTTP_ORIGIN", "")
    if not origin:
        return
    if origin in origins:
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Allow-Credentials"] = "true"
    elif "*" in origins:
        response["Access-Control-Allow-Origin"] = "*"
    else:
        return
    response["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    # The page that shows images across origins may itself ask for isolation (COEP).
    response["Cross-Origin-Resource-Policy"] = "cross-origin"


def is_preflight(request: HttpRequest) -> bool:
    """Whether a browser asks what it may do; others ask for capabilities (PS3.18 8.9)."""
    return bool(request.META.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD"))


def preflight_response(request: HttpRequest, methods: tuple[str, ...]) -> HttpResponse:
    """The answer to OPTIONS: which methods and headers the resource takes; needs no sign-in."""
    response = HttpResponse(status=204)
    response["Allow"] = ", ".join((*methods, "OPTIONS"))
    allow_origin(request, response)
    if "Access-Control-Allow-Origin" in response:
        response["Access-Control-Allow-Methods"] = ", ".join((*methods, "OPTIONS"))
        response["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
    return response
