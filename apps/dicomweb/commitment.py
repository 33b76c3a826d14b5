"""Storage Commitment Service (PS3.18 13): instances asked for, and what became of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apps.access.principals import Principal
from apps.commitment.actions.fetch_result import fetch_result, request_by_web
from apps.commitment.models import CommitmentRequest
from apps.commitment.selectors import outcomes_of
from apps.commitment.tasks import request_verification
from apps.dicom.data_sets import Document, text_at
from apps.dicom.storage_commitment import Reference
from apps.dicomweb.links import base_url
from apps.dicomweb.negotiation import DICOM_JSON, DICOM_XML, Offer, acceptable, choose
from apps.dicomweb.ups_rs.payload import empty, read_document
from apps.dicomweb.wado_rs.parts import Part, body, boundary_of, content_type, keep_private
from apps.dicomweb.xml_model import native_dicom_model
from apps.errors import InvalidRequest

_JSON: Final = Offer(DICOM_JSON)
_XML: Final = Offer(DICOM_XML)
_XML_PARTS: Final = Offer(DICOM_XML, multipart=True)
_OFFERS: Final = (_JSON, _XML, _XML_PARTS, Offer("application/json"))
_FAILED, _REFERENCED = "00081198", "00081199"
_CLASS, _INSTANCE, _REASON = "00081150", "00081155", "00081197"
# Few instances are read back within this; for more the client comes again.
_WAIT_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.05
_COME_AGAIN_SECONDS: Final = "2"


def request_commitment(
    request: HttpRequest, principal: Principal, transaction: str
) -> HttpResponseBase:
    """`POST /commitment-requests/{transactionUID}` (13.4): 200 with the result, else 202."""
    offer = choose(acceptable(request), _OFFERS)[0]
    request_by_web(principal, transaction, list(_wanted(read_document(request))))
    request_verification()
    until = time.monotonic() + _WAIT_SECONDS
    while (done := fetch_result(principal, transaction)) is None and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    return _answer(request, offer, done)


def check_result(request: HttpRequest, principal: Principal, transaction: str) -> HttpResponseBase:
    """`GET /commitment-requests/{transactionUID}` (13.5)."""
    offer = choose(acceptable(request), _OFFERS)[0]
    return _answer(request, offer, fetch_result(principal, transaction))


def _wanted(document: Document) -> Iterator[Reference]:
    """The items of Referenced SOP Sequence (PS3.18 J.1)."""
    for item in document.get(_REFERENCED, {}).get("Value") or []:
        found = Reference(text_at(item, _CLASS), text_at(item, _INSTANCE))
        if not found.sop_class_uid or not found.sop_instance_uid:
            raise InvalidRequest(
                "An item of the Referenced SOP Sequence lacks a UID.", offending=(_REFERENCED,)
            )
        yield found


def _answer(request: HttpRequest, offer: Offer, done: CommitmentRequest | None) -> HttpResponseBase:
    if done is None:
        waiting = empty(202)
        waiting["Retry-After"] = _COME_AGAIN_SECONDS
        return waiting
    document = _result(done)
    if offer is _XML_PARTS:
        boundary = boundary_of(done.transaction_uid, "commitment")
        model = native_dicom_model(document)
        parts = (Part(DICOM_XML, base_url(request), len(model), (model,)) for _ in range(1))
        response = HttpResponse(
            b"".join(body(boundary, parts)), content_type=content_type(boundary, DICOM_XML)
        )
    elif offer is _XML:
        response = HttpResponse(native_dicom_model(document), content_type=DICOM_XML)
    else:
        response = HttpResponse(orjson.dumps(document), content_type=offer.media_type)
    keep_private(response, "")
    return response


def _result(done: CommitmentRequest) -> dict[str, Any]:
    """Each instance once, in one of the two sequences; one without items is left out."""
    good: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for each in outcomes_of(done):
        item: dict[str, Any] = {
            _CLASS: {"vr": "UI", "Value": [each.sop_class_uid]},
            _INSTANCE: {"vr": "UI", "Value": [each.sop_instance_uid]},
        }
        if each.failure:
            item[_REASON] = {"vr": "US", "Value": [each.failure]}
        (failed if each.failure else good).append(item)
    sequences = ((_FAILED, failed), (_REFERENCED, good))
    return {tag: {"vr": "SQ", "Value": items} for tag, items in sequences if items}
