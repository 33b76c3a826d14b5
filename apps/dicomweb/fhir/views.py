"""FHIR R4: ImagingStudy by read and search, and what this server can (CapabilityStatement)."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import orjson
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apps.access.audit import view_event
from apps.access.principals import Permission, Principal, permit
from apps.archive.models import Series
from apps.archive.selectors import count, instances_of, search
from apps.dicom.query import Key, Level, Query
from apps.dicomweb.fhir.imaging_study import ASKED, Resource, imaging_study
from apps.dicomweb.fhir.parameters import SEARCH_PARAMETERS, query_from
from apps.dicomweb.links import MOUNT, base_url
from apps.dicomweb.qido.parameters import split_parameters
from apps.dicomweb.status import FHIR_JSON
from apps.dicomweb.wado_rs.parts import keep_private
from apps.errors import NotFound

_STUDY_UID: Final = 0x0020000D


def _answer(resource: Resource) -> HttpResponse:
    response = HttpResponse(orjson.dumps(resource), content_type=f"{FHIR_JSON}; charset=utf-8")
    keep_private(response, "")
    return response


def read_imaging_study(request: HttpRequest, principal: Principal, study: str) -> HttpResponseBase:
    """`GET /fhir/ImagingStudy/{Study Instance UID}`: with series and instances."""
    permit(principal, Permission.VIEW_IMAGES)
    query = Query(Level.STUDY, (Key((_STUDY_UID,), (study,)),), include=ASKED)
    match = next(iter(search(query, principal)), None)
    if match is None:
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
    pairs = split_parameters(request.META.get("QUERY_STRING", ""))
    query = query_from(pairs)
    matches = list(search(query, principal))
    size = (query.limit or 1) - 1
    page, more = matches[:size], len(matches) > size
    series: dict[int, list[Series]] = {}
    for each in _series_of([match.pk for match in page]):
        series.setdefault(each.study_id, []).append(each)
    base = base_url(request)
    here = f"{base.removesuffix(MOUNT)}/fhir/ImagingStudy"
    bundle: Resource = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": count(query, principal),
        "link": _links(here, pairs, query.offset, size, more=more),
        "entry": [
            {
                "fullUrl": f"{here}/{match.study_instance_uid}",
                "resource": imaging_study(match, series.get(match.pk, []), base),
                "search": {"mode": "match"},
            }
            for match in page
        ],
    }
    if not page:
        del bundle["entry"]
    return _answer(bundle)


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


def capability_statement(_request: HttpRequest, _principal: Principal) -> HttpResponseBase:
    """`GET /fhir/metadata`."""
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
