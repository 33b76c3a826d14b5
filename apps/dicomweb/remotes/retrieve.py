"""WADO-RS of another archive: fetched where it is not here yet, then served like our own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from apps.access.principals import Permission, Principal, permit
from apps.dicomweb.links import base_url
from apps.dicomweb.wado_rs.instances import check_acceptable, instances_response
from apps.retrieve.locations import Location, locations_named, locations_of
from apps.transfers.gateway_fetch import Coming, Wanted, bring_here
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
        _admit_lacking(request, response, lacking)
        return response

    return retrieve


def retrieve_arriving(
    request: HttpRequest, principal: Principal, remote: str, study: str, series: str | None = None
) -> HttpResponseBase:
    """A whole study or series, each instance as soon as it is here, in the order they come.

    What does not come after all cannot be said by a status any more: the body ends without its
    last delimiter (of a ZIP archive, without its directory), and the next request is told.
    """
    permit(principal, Permission.VIEW_IMAGES)
    peer = gateway_peer(principal, remote)
    check_acceptable(request, None)
    coming = Coming(principal, peer, Wanted(study, series))
    try:
        located = _located(principal, study, series, coming)
        response = instances_response(request, principal, located, (study, series, None))
        _admit_lacking(request, response, coming.short)
    except BaseException:
        coming.close()
        raise
    if isinstance(response, StreamingHttpResponse):
        response.streaming_content = _Closing(response, coming)
    return response


def _located(
    principal: Principal, study: str, series: str | None, coming: Coming
) -> Iterator[Location | None]:
    sent = set()
    for location in locations_of(principal, study, series):
        sent.add(location.key)
        yield location
    for came in coming:
        if not came:
            yield None
        for location in locations_named(principal, study, series, came):
            if location.key not in sent:
                sent.add(location.key)
                yield location


class _Closing:
    """The body; the place is given back also when nobody ever reads it (HEAD), or reads on."""

    def __init__(self, response: StreamingHttpResponse, coming: Coming) -> None:
        self._chunks: Iterable[bytes] = iter(response)
        self._coming = coming

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    def close(self) -> None:
        """Called at the end of the response, whatever ended it."""
        self._coming.close()


def _admit_lacking(request: HttpRequest, response: HttpResponseBase, lacking: int) -> None:
    """Part of it is better than nothing, if that is said (PS3.18 10.4.3)."""
    if lacking and response.status_code == HTTPStatus.OK:
        response.status_code = HTTPStatus.PARTIAL_CONTENT
        response["Warning"] = (
            f'299 {base_url(request)}: "{lacking} instances of the other archive are not here"'
        )
