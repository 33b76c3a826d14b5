"""FHIR R4: ImagingStudy by read and search, and what this server can (CapabilityStatement)."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import orjson
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apps.access.audit import view_event
from apps.access.principals import Permission, Principal, permit
from apps.access.searches import note_search
from apps.archive.models import Series
from apps.archive.selectors import count, instances_of, search
from apps.dicom.query import Key, Level, Query
from apps.dicom.uids import in_path
from apps.dicomweb.fhir.imaging_study import ASKED, Resource, imaging_study
from apps.dicomweb.fhir.parameters import (
    SEARCH_PARAMETERS,
    SETTINGS,
    query_from,
    without_those_left_undone,
)
from apps.dicomweb.links import MOUNT, base_url
from apps.dicomweb.negotiation import Offer, acceptable, choose, parse_media_type
from apps.dicomweb.qido.parameters import split_parameters
from apps.dicomweb.status import FHIR_JSON, UnsupportedMediaType
from apps.dicomweb.wado_rs.parts import keep_private
from apps.errors import InvalidRequest, NotAcceptable, NotFound

_STUDY_UID: Final = 0x0020000D
_FORM: Final = "application/x-www-form-urlencoded"
_LONGEST_FORM: Final = 64 << 10
_OFFERS: Final = (Offer(FHIR_JSON), Offer("application/json"), Offer("text/json"))
_FORMATS: Final = frozenset({"json", *(each.media_type for each in _OFFERS)})


def _answer(resource: Resource) -> HttpResponse:
    response = HttpResponse(orjson.dumps(resource), content_type=f"{FHIR_JSON}; charset=utf-8")
    keep_private(response, "")
    return response


def read_imaging_study(request: HttpRequest, principal: Principal, study: str) -> HttpResponseBase:
    """`GET /fhir/ImagingStudy/{Study Instance UID}`: with series and instances."""
    permit(principal, Permission.VIEW_IMAGES)
    _check_format(request, split_parameters(request.META.get("QUERY_STRING", "")))
    query = Query(Level.STUDY, (Key((_STUDY_UID,), (study,)),), include=ASKED)
    match = next(iter(search(query, principal)), None)
    # A key may mean more than itself: all studies (`*`), or several.
    if match is None or match.study_instance_uid != study:
        raise NotFound("There is no such ImagingStudy.")
    view_event(principal, "StudyViewed", study)
    instances = instances_of(principal, study).only(
        "series_id", "sop_instance_uid", "sop_class_uid", "instance_number", "image_type"
    )
    resource = imaging_study(match, _series_of([match.pk]), base_url(request), instances.iterator())
    return _answer(resource)


def _series_of(studies: list[int]) -> QuerySet[Series]:
    return Series.objects.filter(study_id__in=studies).order_by("series_number", "pk")


def search_imaging_studies(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """`GET /fhir/ImagingStudy?…`: a searchset Bundle; instances are had by reading one."""
    permit(principal, Permission.VIEW_IMAGES)
    return _searched(request, principal, request.META.get("QUERY_STRING", ""))


def search_by_form(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """`POST /fhir/ImagingStudy/_search`: the same, parameters in the URL, the body or both."""
    permit(principal, Permission.VIEW_IMAGES)
    media_type, _ = parse_media_type(request.META.get("CONTENT_TYPE") or _FORM)
    if media_type != _FORM:
        raise UnsupportedMediaType(f"Send the parameters as {_FORM}.")
    form = request.META["wsgi.input"].read(_LONGEST_FORM + 1)
    if len(form) > _LONGEST_FORM:
        raise InvalidRequest("The parameters are too long.")
    given = (request.META.get("QUERY_STRING", ""), form.decode("latin-1"))
    return _searched(request, principal, "&".join(filter(None, given)))


def _searched(request: HttpRequest, principal: Principal, parameters: str) -> HttpResponseBase:
    pairs = without_those_left_undone(split_parameters(parameters))
    _check_format(request, pairs)
    query = query_from(pairs)
    said = {name: value for name, value in pairs if name not in SETTINGS}
    note_search(principal, "ImagingStudy", said)
    base = base_url(request)
    here = f"{base.removesuffix(MOUNT)}/fhir/ImagingStudy"
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 0 if query is None else count(query, principal),
    }
    only_counted = ("_summary", "count") in pairs or (query and query.limit == 1)
    if query is None or only_counted:
        bundle["link"] = _links(here, pairs, 0, 0, more=False)
        return _answer(bundle)
    return _answer({**bundle, **_page(query, principal, here, base, pairs)})


def _page(
    query: Query, principal: Principal, here: str, base: str, pairs: list[tuple[str, str]]
) -> Resource:
    matches = list(search(query, principal))
    size = (query.limit or 1) - 1
    page, more = matches[:size], len(matches) > size
    series: dict[int, list[Series]] = {}
    for each in _series_of([match.pk for match in page]):
        series.setdefault(each.study_id, []).append(each)
    bundle: Resource = {
        "link": _links(here, pairs, query.offset, size, more=more),
        "entry": [
            {
                "fullUrl": f"{here}/{in_path(match.study_instance_uid)}",
                "resource": imaging_study(match, series.get(match.pk, []), base),
                "search": {"mode": "match"},
            }
            for match in page
        ],
    }
    if not page:
        del bundle["entry"]
    return bundle


def _check_format(request: HttpRequest, pairs: list[tuple[str, str]]) -> None:
    """JSON is all there is; `_format` overrides Accept (FHIR R4 3.1.0.1.11)."""
    formats = [value for name, value in pairs if name == "_format" and value]
    # A `+` that was not percent-encoded arrives as a space.
    asked = [parse_media_type(each.replace(" ", "+"))[0] for each in formats]
    if not set(asked) <= _FORMATS:
        raise NotAcceptable("Resources are to be had in JSON only.")
    if not asked:
        choose(acceptable(request), _OFFERS)


def _links(
    here: str, pairs: list[tuple[str, str]], offset: int, size: int, *, more: bool
) -> list[dict[str, str]]:
    asked = [pair for pair in pairs if pair[0] != "_offset"]

    def link(relation: str, at: int) -> dict[str, str]:
        query = urlencode([*asked, ("_offset", str(at))] if at else asked)
        return {"relation": relation, "url": f"{here}?{query}" if query else here}

    links = [link("self", offset)]
    if offset:
        links.append(link("previous", max(offset - size, 0)))
    if more:
        links.append(link("next", offset + size))
    return links


def capability_statement(request: HttpRequest, _principal: Principal) -> HttpResponseBase:
    """`GET /fhir/metadata`."""
    _check_format(request, split_parameters(request.META.get("QUERY_STRING", "")))
    parameters: list[dict[str, Any]] = [
        {"name": name, "type": kind} for name, kind in SEARCH_PARAMETERS.items()
    ]
    return _answer(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-01-01",
            "kind": "instance",
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "implementation": {"description": "pacsweb"},
            "rest": [
                {
                    "mode": "server",
                    "resource": [
                        {
                            "type": "ImagingStudy",
                            "interaction": [{"code": "read"}, {"code": "search-type"}],
                            "searchParam": parameters,
                        }
                    ],
                }
            ],
        }
    )
