"""The same resources below `/dicom-web/studies/`, for UIDs with a slash in them.

They stand behind all others: a path that means something without slashes in UIDs keeps that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import URLPattern, path

from apps.dicomweb.urls import urlpatterns as known


def _slashed(pattern: URLPattern) -> URLPattern:
    route = re.sub("<str:(study|series|instance)>", r"<uid:\1>", str(pattern.pattern))
    return path(re.sub(r"<uid:(\w+)>$", r"<last_uid:\1>", route), _rather(pattern.callback))


def _rather(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Who misspelt a resource is not told that there is no such study."""

    @wraps(view)
    def asked(request: HttpRequest, **uids: Any) -> HttpResponseBase:
        response = view(request, **uids)
        if response.status_code == HTTPStatus.NOT_FOUND:
            raise Http404
        return response

    return asked


def _levels(pattern: URLPattern) -> int:
    return str(pattern.pattern).count("/")


# The longest first: to the shortest, all that follows is a part of the UID.
urlpatterns = [
    _slashed(each)
    for each in sorted(known, key=_levels, reverse=True)
    if str(each.pattern).startswith("studies/<str:study>")
]
