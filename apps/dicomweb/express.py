"""Requests that read or store, of a caller already known, skip what the rest of the site needs.

Sessions, messages and content policy cost several times what one image costs. They stay in place
for everybody who is not in this process's short memory, and for all else that changes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import Resolver404, resolve

from apps.dicomweb.door import is_remembered
from apps.dicomweb.links import MOUNT

_PATHS: Final = (f"{MOUNT}/", "/wado")


class ExpressMiddleware:
    """Stands before the session's middleware and answers DICOMweb requests itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The view's answer for a remembered caller; else what the whole stack answers."""
        if not request.path_info.startswith(_PATHS) or not is_remembered(request):
            return self._get_response(request)
        # CommonMiddleware's check of the Host header, which stands further inside.
        request.get_host()
        try:
            match = resolve(request.path_info)
        except Resolver404:
            return self._get_response(request)
        request.resolver_match = match
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        if isinstance(response, HttpResponse) and not response.has_header("Content-Length"):
            response["Content-Length"] = str(len(response.content))
        return response
