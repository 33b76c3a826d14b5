"""DELETE as most archives have it: rejected with a reason, restored or purged later (IHE IOCM)."""

from __future__ import annotations

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apps.access.principals import Principal
from apps.ingest.actions.purge_rejected import purge_rejected
from apps.ingest.actions.reject_instances import reject_instances
from apps.ingest.actions.restore_rejected import rejected_of, restore_rejected
from apps.ingest.rejection_reasons import parse_reason


def reject(
    request: HttpRequest,
    principal: Principal,
    study: str,
    series: str | None = None,
    instance: str | None = None,
) -> HttpResponseBase:
    """`DELETE` of a study, series or instance; `reason` is a code of CID 7011."""
    reason = parse_reason(request.GET.get("reason", ""))
    count = reject_instances(principal, study, series, instance, reason=reason)
    return _answer({"rejected": count, "reason": reason})


def restore(_request: HttpRequest, principal: Principal, study: str) -> HttpResponseBase:
    """`POST /studies/{study}/restore`: what of it was rejected, and not stored again, comes back.

    `remaining` counts what stays rejected.
    """
    restored = restore_rejected(principal, study)
    return _answer({"restored": restored, "remaining": rejected_of(study).count()})


def purge(_request: HttpRequest, principal: Principal, study: str) -> HttpResponseBase:
    """`POST /studies/{study}/purge`: everything of it that was rejected is gone for good."""
    count = purge_rejected(principal, study)
    return _answer({"purged": count})


def _answer(body: dict[str, object]) -> HttpResponse:
    response = HttpResponse(orjson.dumps(body), content_type="application/json")
    response["Cache-Control"] = "no-store"
    return response
