"""QIDO-RS (PS3.18 10.6): the six search resources."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apps.access.principals import Permission, Principal, permit
from apps.access.searches import note_search
from apps.archive.explanations import explained
from apps.archive.private_values import is_indexed_private
from apps.archive.selectors import count, search
from apps.dicom.attributes import BY_TAG, any_attribute
from apps.dicom.query import Key, Level
from apps.dicom.values import is_uid
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import (
    DICOM_JSON,
    DICOM_XML,
    Offer,
    acceptable,
    accepts_gzip,
    choose,
)
from apps.dicomweb.qido.parameters import Search, search_from
from apps.dicomweb.qido.results import always_included, result, unwanted_tags
from apps.dicomweb.status import TooBroad
from apps.dicomweb.wado_rs.parts import Part, body, boundary_of, content_type, keep_private
from apps.dicomweb.xml_model import native_dicom_model
from apps.errors import InvalidRequest, OutOfResources

_JSON: Final = Offer(DICOM_JSON)
_XML: Final = Offer(DICOM_XML, multipart=True)
OFFERS: Final = (_JSON, _XML, Offer("application/json"))
_RESOURCE: Final = {Level.STUDY: "studies", Level.SERIES: "series", Level.INSTANCE: "instances"}
_WORTH_PACKING: Final = 1400


def search_studies(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """`/studies`."""
    return _search(request, principal, Level.STUDY)


def search_series(
    request: HttpRequest, principal: Principal, study: str | None = None
) -> HttpResponseBase:
    """`/series` and `/studies/{study}/series`."""
    return _search(request, principal, Level.SERIES, study)


def search_instances(
    request: HttpRequest,
    principal: Principal,
    study: str | None = None,
    series: str | None = None,
) -> HttpResponseBase:
    """`/instances`, those of a study, and those of a series."""
    return _search(request, principal, Level.INSTANCE, study, series)


def _search(
    request: HttpRequest,
    principal: Principal,
    level: Level,
    study: str | None = None,
    series: str | None = None,
) -> HttpResponseBase:
    permit(principal, Permission.VIEW_IMAGES)
    offer, _ = choose(acceptable(request), OFFERS)
    asked = search_from(
        request.META.get("QUERY_STRING", ""),
        level,
        always_included(level),
        study,
        series,
        is_indexed=is_indexed_private,
    )
    if asked.explain:
        return _explanation(asked, principal)
    base = base_url(request)
    if study is None:
        note_search(principal, _RESOURCE[level], asked.said)
    try:
        page = search(asked.query, principal)
        found = [*page]
    except OutOfResources as failure:
        raise TooBroad(failure.message) from failure
    if page.unsupported:
        raise _unsupported([key.path[-1] for key in page.unsupported])
    if not found and not asked.query.offset:
        _refuse_no_uids(asked.query.keys)
    unwanted = unwanted_tags(
        level, asked.asked_tags, study=study is not None, series=series is not None
    )
    answers = [result(match, level, base, unwanted, asked.asked_tags) for match in found]
    warnings = [*asked.warnings, *_remaining(asked, len(found), principal)]
    return page_response(request, offer, answers, base, warnings)


def page_response(
    request: HttpRequest,
    offer: Offer,
    answers: list[dict[str, Any]],
    base: str,
    warnings: Sequence[str],
) -> HttpResponse:
    """A page of answers, or 204 where there is none, with a Warning for each sentence."""
    response = _answer(request, offer, answers, base) if answers else _nothing()
    if warnings:
        response["Warning"] = ", ".join(f'299 {base}: "{warning}"' for warning in warnings)
    keep_private(response, "")
    return response


def _explanation(asked: Search, principal: Principal) -> HttpResponse:
    """`explain=1`, our own: for each key why nothing was found, as plain JSON."""
    keys = explained(asked.query, principal)
    found = None
    with suppress(OutOfResources):  # the key that cannot be counted says so
        found = count(asked.query, principal)
    body = {"found": found, "keys": [asdict(key) for key in keys]}
    response = HttpResponse(orjson.dumps(body), content_type="application/json")
    keep_private(response, "")
    return response


def _nothing() -> HttpResponse:
    """No match, or an offset behind the last: 204 without a body (PS3.18 8.3.4.4.1)."""
    response = HttpResponse(status=204)
    del response["Content-Type"]
    return response


def _unsupported(tags: Sequence[int]) -> InvalidRequest:
    """A key we cannot match by must not silently widen the answer."""
    names = tuple(BY_TAG[tag].keyword if tag in BY_TAG else f"{tag:08X}" for tag in tags)
    return InvalidRequest(
        f"{', '.join(names)} cannot be used as a key in this search.", offending=names
    )


def _refuse_no_uids(keys: Sequence[Key]) -> None:
    """What breaks the rules for UIDs may be stored all the same; where it is not, it was a slip."""
    for key in keys:
        attribute = any_attribute(key.path[-1])
        odd = (value for value in key.values if value.strip('*"') and not is_uid(value))
        if attribute is not None and attribute.vr == "UI" and next(odd, None) is not None:
            raise InvalidRequest(f"{attribute.keyword} is no UID.", offending=(attribute.keyword,))


def _remaining(asked: Search, returned: int, principal: Principal) -> list[str]:
    """The text of PS3.18 8.3.4.4.1, with the true number; nothing where all was returned."""
    if returned < asked.limit:
        return []
    remaining = count(asked.query, principal) - asked.query.offset - returned
    if remaining <= 0:
        return []
    return [f"There are {remaining} additional results that can be requested"]


def _answer(
    request: HttpRequest, offer: Offer, found: list[dict[str, Any]], base: str
) -> HttpResponse:
    if offer is _XML:
        boundary = boundary_of(base, "search")
        models = [native_dicom_model(each) for each in found]
        parts = (
            Part(DICOM_XML, each["00081190"]["Value"][0], len(model), (model,))
            for each, model in zip(found, models, strict=True)
        )
        content, media_type = b"".join(body(boundary, parts)), content_type(boundary, DICOM_XML)
    else:
        content, media_type = orjson.dumps(found), offer.media_type
    packed = len(content) > _WORTH_PACKING and accepts_gzip(request)
    if packed:
        content = zlib.compress(content, level=1, wbits=31)
    response = HttpResponse(content, content_type=media_type)
    if packed:
        response["Content-Encoding"] = "gzip"
    return response
