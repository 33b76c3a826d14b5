"""WADO-RS of another archive: fetched where it is not here yet, then served like our own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponseBase

from apps.access.principals import Principal
from apps.dicomweb.links import base_url
from apps.transfers.gateway_fetch import Wanted, bring_here
from apps.transfers.gateway_peers import gateway_peer

Retrieve = Callable[..., HttpResponseBase]


def fetched(view: Retrieve) -> Retrieve:
    """The view of our own archive's resource, once the other archive's objects are here."""

    @functools.wraps(view)
    def retrieve(
        request: HttpRequest, principal: Principal, remote: str, **path: str
    ) -> HttpResponseBase:
        peer = gateway_peer(principal, remote)
        wanted = Wanted(path["study"], path.get("series"), path.get("instance"))
        lacking = bring_here(principal, peer, wanted)
        response = view(request, principal, **path)
        if lacking and response.status_code == HTTPStatus.OK:
            # Part of it is better than nothing, if that is said (PS3.18 10.4.3).
            response.status_code = HTTPStatus.PARTIAL_CONTENT
            response["Warning"] = (
                f'299 {base_url(request)}: "{lacking} instances of the other archive are not here"'
            )
        return response

    return retrieve
