"""The device readiness check as a page to print, and as JSON."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from apps.access.principals import Principal
from apps.conformance.capabilities import (
    LONGEST_TABLE,
    Description,
    from_association,
    from_probe,
    from_table,
    joined,
)
from apps.conformance.readiness import as_json, assess, device_of
from apps.conformance.views import for_administrators
from apps.dicom.whole_numbers import read_whole_number
from apps.errors import InvalidRequest, NotFound, PacsError
from apps.network.addresses import bound_to_loopback
from apps.network.associate_items import Remote
from apps.network.association_report import contexts_of, peer_of
from apps.network.models import ApplicationEntity, AssociationRecord
from apps.network.selectors import associations, read_peers

_MOST_RECORDS = 50
_MOST_JOINED = 20


# `principal_of` makes the check for those who are signed in by a session.
@csrf_exempt
@require_http_methods(["GET", "POST"])
@for_administrators
def readiness(request: HttpRequest, principal: Principal) -> HttpResponse:
    """`/conformance/readiness/`: a form, and the matrix for what was put into it."""
    given = request.POST if request.method == "POST" else request.GET
    wants_json = given.get("format") == "json"
    context: dict[str, Any] = {
        "entities": ApplicationEntity.objects.all(),
        "records": _records(principal),
        "given": given,
    }
    if "source" not in given:
        return render(request, "conformance/readiness.html", context)
    try:
        title, description = _described(request, principal, given)
    except PacsError as error:
        if wants_json:
            return JsonResponse({"detail": error.message}, status=HTTPStatus.BAD_REQUEST)
        context["problem"] = error.message
        return render(request, "conformance/readiness.html", context, status=HTTPStatus.BAD_REQUEST)
    entity = ApplicationEntity.objects.filter(title=title).first()
    device = device_of(
        title,
        read_peers(),
        has_host=bool(entity and entity.host and entity.port),
        bound_to_loopback=bound_to_loopback(settings.PACSWEB.bind),
    )
    reports = assess(description, device)
    if wants_json:
        return JsonResponse(as_json(description, device, reports))
    context |= {"description": description, "device": device, "reports": reports}
    return render(request, "conformance/readiness.html", context)


def _records(principal: Principal) -> list[AssociationRecord]:
    """The newest association of each peer, to choose from."""
    newest: dict[str, AssociationRecord] = {}
    for row in associations(principal).exclude(negotiation=None)[:1000]:
        newest.setdefault(f"{peer_of(row)} {row.direction}", row)
    return list(newest.values())[:_MOST_RECORDS]


def _described(request: HttpRequest, principal: Principal, given: Any) -> tuple[str, Description]:
    """The device's AE title and what it can, from the source that was chosen."""
    source = given["source"]
    title = given.get("ae_title", "").strip()
    if source == "association":
        return _recorded(principal, given.get("association", ""))
    if source == "probe":
        asked = from_probe(_remote(title))
        # Asking shows what it takes, its own associations show what it asks for.
        called = _contexts(principal, title, AssociationRecord.Direction.IN)
        if not called:
            return title, asked
        return title, joined(asked, from_association(called, they_called=True))
    if source == "table":
        return title or "DEVICE", from_table(_table(request, given))
    raise InvalidRequest("Choose where the description of the device comes from.")


def _contexts(principal: Principal, title: str, direction: str) -> list[dict[str, Any]]:
    """Presentation contexts of the newest associations with a peer, in one direction.

    A device opens one for images and others for worklist and commitment: one alone shows a part.
    """
    side = "calling" if direction == AssociationRecord.Direction.IN else "called"
    rows = associations(principal).exclude(negotiation=None).filter(direction=direction)
    rows = rows.filter(**{f"{side}_ae_title": title})[:_MOST_JOINED]
    return [context for row in rows for context in contexts_of(row)]


def _recorded(principal: Principal, number: str) -> tuple[str, Description]:
    row = associations(principal).filter(pk=read_whole_number(number) or 0).first()
    if row is None:
        raise NotFound("There is no such association record.")
    they_called = row.direction == AssociationRecord.Direction.IN
    contexts = _contexts(principal, peer_of(row), row.direction) or contexts_of(row)
    return peer_of(row), from_association(contexts, they_called=they_called)


def _remote(title: str) -> Remote:
    """Only devices that are registered are called: this page is no port scanner."""
    entity = ApplicationEntity.objects.filter(title=title).first()
    if entity is None or not entity.host or not entity.port:
        raise InvalidRequest("Give the device's host and port under Application entities first.")
    own_title = settings.PACSWEB.ae_title
    return Remote(entity.title, entity.host, entity.port, own_title, entity.use_tls)


def _table(request: HttpRequest, given: Any) -> str:
    upload = request.FILES.get("file")
    if upload is None:
        text = str(given.get("table", ""))
    elif (upload.size or 0) > LONGEST_TABLE:
        raise InvalidRequest("The table is longer than 1 MB.")
    else:
        text = upload.read().decode("utf-8-sig", "replace")
    if not text.strip():
        raise InvalidRequest("The table is empty.")
    return text[:LONGEST_TABLE]
