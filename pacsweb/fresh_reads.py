"""Whoever reads sees what was stored before: by the web doors, whichever resource is asked.

A Store request may be answered a moment before its instances are indexed. A reader waits for them,
two seconds at most; a search that was not given that long says so in its answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from apps.dicomweb.links import MOUNT
from apps.ingest import inbox

_READS: Final = re.compile(
    f"{MOUNT}/(?!remotes|workitems|subscribers|openapi)|/wado|/fhir/ImagingStudy"
    "|/api/(?!session|capacity|preferences|schema|peers)|/admin/|/receipts/|/polarity/"
)
_STORE: Final = re.compile(rf"{MOUNT}/studies(/[^/]+)?")
_ONE_INSTANCE: Final = re.compile(rf"{MOUNT}/studies/[^/]+/series/[^/]+/instances/.|/wado")
_NOT_YET: Final = '299 pacsweb "Instances received moments ago are not searchable yet."'


class FreshReadsMiddleware:
    """Stands before everything that answers from the archive."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The inner answer, given when what was stored before is indexed.

        A stored instance is found whatever else is on its way, so only an answer that there is
        none is asked for a second time.
        """
        path = request.path_info
        if not _READS.match(path) or (request.method == "POST" and _STORE.fullmatch(path)):
            return self._get_response(request)
        awaited = inbox.on_their_way()
        if not awaited:
            return self._get_response(request)
        if request.method == "GET" and _ONE_INSTANCE.match(path):
            response = self._get_response(request)
            if response.status_code != HTTPStatus.NOT_FOUND:
                return response
        caught_up = inbox.catch_up(awaited)
        response = self._get_response(request)
        if not caught_up and path.startswith(MOUNT):
            said = response.get("Warning")
            response["Warning"] = f"{said}, {_NOT_YET}" if said else _NOT_YET
        return response
