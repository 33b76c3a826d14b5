"""QIDO-RS of another archive, below `/remotes/{remote}/` (PS3.18 10.6 over PS3.4 C.4.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import quote

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apps.access.principals import Principal
from apps.dicom.query import Level, Query
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import acceptable, choose
from apps.dicomweb.qido.parameters import Search, search_from
from apps.dicomweb.qido.results import always_included, result, unwanted_tags
from apps.dicomweb.qido.views import OFFERS, page_response
from apps.dicomweb.wado_rs.parts import keep_private
from apps.errors import InvalidRequest
from apps.network.models import ApplicationEntity
from apps.transfers.gateway_peers import gateway_peer, gateway_peers, web_archives
from apps.transfers.gateway_search import Answers, search_gateway

_MORE: Final = "There are additional results that can be requested"


def list_remotes(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """`/remotes`, our own: which archives there are, and whether objects can be had of them."""
    rows = [
        {
            "name": peer.title,
            "description": peer.description,
            "retrieve": peer.gateway == ApplicationEntity.Gateway.KEEP,
            "url": remote_url(request, peer),
        }
        for peer in gateway_peers(principal)
    ]
    rows += [
        {
            "name": archive.name,
            "description": archive.description,
            "retrieve": True,
            "url": f"{base_url(request)}/remotes/{archive.name}",
        }
        for archive in web_archives(principal)
    ]
    response = HttpResponse(orjson.dumps(rows), content_type="application/json")
    keep_private(response, "")
    return response


def remote_url(request: HttpRequest, peer: ApplicationEntity) -> str:
    """The base URL of the archive's DICOMweb service here."""
    return f"{base_url(request)}/remotes/{quote(peer.title, safe='')}"


def search_studies(request: HttpRequest, principal: Principal, remote: str) -> HttpResponseBase:
    """`/studies`."""
    return _search(request, principal, remote, Level.STUDY)


def search_series(
    request: HttpRequest, principal: Principal, remote: str, study: str | None = None
) -> HttpResponseBase:
    """`/series` and `/studies/{study}/series`."""
    return _search(request, principal, remote, Level.SERIES, study=study)


def search_instances(
    request: HttpRequest,
    principal: Principal,
    remote: str,
    study: str | None = None,
    series: str | None = None,
) -> HttpResponseBase:
    """`/instances`, those of a study, and those of a series."""
    return _search(request, principal, remote, Level.INSTANCE, study=study, series=series)


def _search(
    request: HttpRequest,
    principal: Principal,
    remote: str,
    level: Level,
    *,
    study: str | None = None,
    series: str | None = None,
) -> HttpResponseBase:
    peer = gateway_peer(principal, remote)
    offer, _ = choose(acceptable(request), OFFERS)
    asked = search_from(
        request.META.get("QUERY_STRING", ""), level, always_included(level), study, series
    )
    if asked.explain:
        raise InvalidRequest("Another archive explains nothing.", offending=("explain",))
    path = {"StudyInstanceUID": study or "", "SeriesInstanceUID": series or ""}
    said = {**asked.said, **path}
    named = [each for each, uid in ((Level.STUDY, study), (Level.SERIES, series)) if uid]
    found = search_gateway(principal, peer, _asked_there(asked.query), said, named)
    base = remote_url(request, peer)
    unwanted = unwanted_tags(
        level, asked.asked_tags, study=study is not None, series=series is not None
    )
    answers = [result(each, level, base, unwanted, asked.asked_tags) for each in found.matches]
    return page_response(request, offer, answers, base, _warnings(asked, found))


def _asked_there(query: Query) -> Query:
    """What other archives hardly know is not asked of them."""
    keys = (replace(key, empty=False, every=False) for key in query.keys)
    return replace(query, keys=tuple(keys))


def _warnings(asked: Search, found: Answers) -> list[str]:
    warnings = [*asked.warnings]
    switches = {
        "emptyvaluematching": any(key.empty for key in asked.query.keys),
        "multiplevaluematching": any(key.every for key in asked.query.keys),
    }
    for name in (name for name, wanted in switches.items() if wanted):
        sentence = f"The {name} parameter is not supported by another archive."
        warnings.append(f"{sentence} Only single value matching has been performed.")
    if asked.query.fuzzy_names:
        sentence = "The fuzzymatching parameter is not supported by another archive."
        warnings.append(f"{sentence} Only literal matching has been performed.")
    if found.unchecked:
        keys = ", ".join(found.unchecked)
        warnings.append(f"The other archive gives no value of {keys}: answers may not match it")
    return [*warnings, _MORE] if found.more else warnings
