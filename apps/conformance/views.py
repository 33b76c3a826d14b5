"""The conformance statement as a page to read and print, and as JSON."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.access.authentication import challenge_for, principal_of
from apps.access.principals import Permission, Principal, permit
from apps.conformance.actions.record_statement import record_statement
from apps.conformance.changes import changes
from apps.conformance.document import Statement
from apps.conformance.edition import edition, results
from apps.conformance.models import ClaimResult, StatementVersion
from apps.conformance.printed import printed
from apps.conformance.statement import conformance_statement
from apps.dicom.whole_numbers import read_whole_number
from apps.errors import NotAuthenticated, NotPermitted

_FEW: Final = 12  # changes that are shown without a click
View = Callable[[HttpRequest, Principal], HttpResponseBase]


def for_administrators(view: View) -> Callable[[HttpRequest], HttpResponseBase]:
    """Strangers sign in, by the page or by a header; others need the permission."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponseBase:
        try:
            principal = principal_of(request, "conformance")
            permit(principal, Permission.ADMINISTER)
        except NotAuthenticated as error:
            if request.headers.get("Authorization"):
                answer = HttpResponse(error.message, status=HTTPStatus.UNAUTHORIZED)
                answer["WWW-Authenticate"] = challenge_for(request)
                return answer
            return redirect_to_login(request.get_full_path())
        except NotPermitted as error:
            raise PermissionDenied(error.message) from error
        return view(request, principal)

    return guarded


@require_GET
@for_administrators
def statement(request: HttpRequest, principal: Principal) -> HttpResponse:
    """`/conformance/`: HTML, `?format=pdf` and `?format=json`; `?since=VERSION` compares."""
    document = conformance_statement()
    version = record_statement(principal, document)
    if request.GET.get("format") == "pdf":
        return _pdf(document, version)
    found = results()
    if request.GET.get("format") == "json":
        return JsonResponse(_as_json(document, version, found))
    versions = list(StatementVersion.objects.order_by("-pk")[:20])
    since = _since(request, versions)
    differs = changes(since.claims, document.said()) if since else None
    texts = {claim.id: claim.text for claim in document.claims().values()}
    return render(
        request,
        "conformance/statement.html",
        {
            "statement": document,
            "version": version,
            "versions": versions,
            "since": since,
            "changes": differs,
            "few_changes": differs is not None and len(differs) <= _FEW,
            "marks": {key: _mark(each, texts.get(key)) for key, each in found.items()},
            "tested": sum(each.text == texts.get(key) for key, each in found.items()),
            "failed": [each for key, each in found.items() if key in texts and not each.passed],
            "total": len(texts),
            "ae_title": settings.PACSWEB.ae_title,
        },
    )


def _pdf(document: Statement, version: StatementVersion) -> HttpResponse:
    answer = HttpResponse(
        printed(document, edition(document, version)), content_type="application/pdf"
    )
    name = f"conformance-statement-{version.pk}.pdf"
    answer["Content-Disposition"] = f'inline; filename="{name}"'
    return answer


def _since(request: HttpRequest, versions: list[StatementVersion]) -> StatementVersion | None:
    wanted = request.GET.get("since", "")
    if not wanted:
        return versions[1] if len(versions) > 1 else None
    found = StatementVersion.objects.filter(pk=read_whole_number(wanted) or 0).first()
    if found is None:
        raise Http404
    return found


def _mark(result: ClaimResult, text: str | None) -> tuple[str, str]:
    """Tone and words of the mark beside a claim; a result of another wording does not count."""
    day = f"{result.tested_at:%Y-%m-%d}"
    if result.text != text:
        return "stale", f"changed since its test on {day}"
    if result.passed:
        return "good", f"tested {day}: {result.detail}"
    return "danger", f"failed {day}: {result.detail}"


def _as_json(
    document: Statement, version: StatementVersion, results: dict[str, ClaimResult]
) -> dict[str, Any]:
    claims = {}
    for key, claim in document.claims().items():
        result = results.get(key)
        known = result is not None and result.text == claim.text
        claims[key] = {
            "text": claim.text,
            "test": {
                "passed": result.passed,
                "detail": result.detail,
                "tested_at": result.tested_at.isoformat(),
            }
            if known and result is not None
            else None,
        }
    return document.as_json() | {
        "version": version.pk,
        "since": version.created_at.isoformat(),
        "claims": claims,
    }
