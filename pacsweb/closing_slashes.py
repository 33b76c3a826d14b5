"""Resources of the API are served by their path with and without the slash at its end.

A redirect would lose the body of whatever changes something, and half of all clients write paths
without that slash.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponseBase
from django.urls import is_valid_path

_API: Final = "/api/"


class ClosingSlashMiddleware:
    """Stands before CommonMiddleware, which would redirect."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer of the resource that the path with a slash names, where there is one."""
        path = request.path_info
        wanting = path.startswith(_API) and not path.endswith("/")
        if wanting and not is_valid_path(path) and is_valid_path(f"{path}/"):
            request.path_info, request.path = f"{path}/", f"{request.path}/"
        return self._get_response(request)
