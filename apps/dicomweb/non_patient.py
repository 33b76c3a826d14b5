"""Non-Patient Instance Service (PS3.18 12): palettes, protocols and templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from pydicom.datadict import keyword_dict

from apps.access.audit import view_event
from apps.access.principals import Principal
from apps.access.searches import note_search
from apps.archive.models import NonPatientInstance
from apps.archive.non_patient import document_of, non_patient_instance, search_non_patient
from apps.dicom.attributes import any_attribute
from apps.dicom.query import Key
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    OCTET_STREAM,
    Offer,
    acceptable,
    choose,
)
from apps.dicomweb.qido.parameters import LARGEST_PAGE, loose_search
from apps.dicomweb.wado_rs.bulkdata import alone
from apps.dicomweb.wado_rs.instances import instance_response, outgoing_instance
from apps.dicomweb.wado_rs.parts import (
    Part,
    body,
    boundary_of,
    content_type,
    keep_private,
    length_of,
    streamed_response,
)
from apps.dicomweb.xml_model import native_dicom_model
from apps.errors import InvalidRequest
from apps.retrieve.bulkdata import bulk_value, path_from
from apps.retrieve.locations import non_patient_location

_SEVERAL: Final = Offer(DICOM, multipart=True)
_ALONE: Final = Offer(DICOM)
_JSON: Final = Offer(DICOM_JSON)
_XML: Final = Offer(DICOM_XML, multipart=True)
_PLAIN_JSON: Final = Offer("application/json")
# TABLE: what an answer to a search holds besides what was asked for.
_ALWAYS: Final = tuple(
    Key((keyword_dict[each],), ())
    for each in (
        "SOPClassUID",
        "SOPInstanceUID",
        "ContentLabel",
        "ContentDescription",
        "ContentCreatorName",
        "HangingProtocolName",
        "HangingProtocolDescription",
        "HangingProtocolLevel",
        "HangingProtocolCreator",
        "ImplantName",
        "ImplantPartNumber",
        "ProtocolName",
        "Manufacturer",
    )
)


def search_instances(request: HttpRequest, principal: Principal, npi: str) -> HttpResponseBase:
    """`/{npi-name}`: what matches, as DICOM JSON or XML; 204 for nothing."""
    offer, _ = choose(acceptable(request), (_JSON, _XML, _PLAIN_JSON))
    asked = loose_search(request.META.get("QUERY_STRING", ""))
    note_search(principal, npi, asked.said)
    _refuse_unknown(asked.keys)
    limit = min(LARGEST_PAGE if asked.limit is None else asked.limit, LARGEST_PAGE)
    base = base_url(request)
    included = {key.path for key in asked.keys}
    wanted = [*asked.keys, *(key for key in (*asked.include, *_ALWAYS) if key.path not in included)]
    matches = search_non_patient(principal, npi, wanted)
    found = list(islice(matches, asked.offset, asked.offset + limit))
    answers = [_result(row, values, base, everything=asked.everything) for row, values in found]
    remaining = sum(1 for _ in matches)
    response = _answer(offer, answers, base) if answers else HttpResponse(status=204)
    if not answers:
        del response["Content-Type"]
    if remaining:
        response["Warning"] = (
            f'299 {base}: "There are {remaining} additional results that can be requested"'
        )
    keep_private(response, "")
    return response


def retrieve_instance(
    request: HttpRequest, principal: Principal, npi: str, uid: str
) -> HttpResponseBase:
    """`/{npi-name}/{uid}`: the instance, or its metadata where JSON or XML is asked for."""
    offer, entry = choose(acceptable(request), (_SEVERAL, _ALONE, _JSON, _XML, _PLAIN_JSON))
    row = non_patient_instance(principal, npi, uid)
    base = base_url(request)
    if offer not in {_SEVERAL, _ALONE}:
        response = _answer(offer, [dict(document_of(row, base))], base)
        keep_private(response, "")
        return response
    view_event(principal, "NonPatientInstanceRetrieved", "", sop_instance_uid=uid)
    location = non_patient_location(principal, npi, uid)
    if offer is _ALONE:
        return instance_response(location, entry)
    outgoing = outgoing_instance(location, entry).made()
    boundary = boundary_of(uid, location.digest)
    media_type = f"{DICOM}; transfer-syntax={outgoing.transfer_syntax_uid}"
    part = Part(media_type, base + location.path, outgoing.length, outgoing.chunks)
    whole = streamed_response(body(boundary, [part]), content_type(boundary, DICOM))
    whole["Content-Length"] = str(length_of(boundary, part))
    return whole


def retrieve_bulkdata(
    request: HttpRequest, principal: Principal, npi: str, uid: str, element: str
) -> HttpResponseBase:
    """`/{npi-name}/{uid}/bulkdata/...`: a value too long for the metadata."""
    choose(acceptable(request), (Offer(OCTET_STREAM),))
    location = non_patient_location(principal, npi, uid)
    value = bulk_value(location, path_from(element))
    return alone(request, value, OCTET_STREAM, f'"{location.digest[:32]}-{element[:80]}"')


def _refuse_unknown(keys: Sequence[Key]) -> None:
    names = [f"{key.path[-1]:08X}" for key in keys if any(map(_is_unknown, key.path))]
    if names:
        raise InvalidRequest(f"{names[0]} cannot be a key here.", offending=tuple(names))


def _is_unknown(tag: int) -> bool:
    return any_attribute(tag) is None


def _result(
    row: NonPatientInstance, values: Mapping[str, Any], base: str, *, everything: bool
) -> dict[str, Any]:
    found = dict(document_of(row, base)) if everything else dict(values)
    # Attributes of other categories are not part of this instance.
    found = {tag: each for tag, each in found.items() if "Value" in each or everything}
    url = f"{base}/{row.resource}/{row.sop_instance_uid}"
    found["00081190"] = {"vr": "UR", "Value": [url]}
    return dict(sorted(found.items()))


def _answer(offer: Offer, found: Sequence[dict[str, Any]], base: str) -> HttpResponse:
    if offer is not _XML:
        return HttpResponse(orjson.dumps(list(found)), content_type=offer.media_type)
    boundary = boundary_of(base, "non-patient")
    models = [native_dicom_model(each) for each in found]
    parts = (Part(DICOM_XML, base, len(model), (model,)) for model in models)
    content = b"".join(body(boundary, parts))
    return HttpResponse(content, content_type=content_type(boundary, DICOM_XML))
