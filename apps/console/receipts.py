"""Receipts: the page that says which studies a sender may delete. For technologists, printable."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.access.audit import view_event
from apps.access.authentication import principal_of
from apps.api.parameters import moment
from apps.commitment.actions.scrub_blobs import start_scrub
from apps.commitment.ledger import association_account, ledger_page, study_account
from apps.console.wording import person_name
from apps.errors import InvalidRequest, NotFound, NotPermitted, PacsError

_STATUS: dict[type[PacsError], int] = {InvalidRequest: 400, NotPermitted: 403, NotFound: 404}


@require_safe
@login_required
@never_cache
def receipts(request: HttpRequest) -> HttpResponse:
    """The latest studies, all senders' or one's."""
    sender = request.GET.get("sender", "")
    try:
        page = ledger_page(
            principal_of(request, "web"),
            sender=sender,
            since=moment(request.GET.get("since", ""), "since"),
            cursor=request.GET.get("cursor", ""),
        )
    except PacsError as error:
        return _problem(request, error)
    following = {**request.GET.dict(), "cursor": page.next}
    return render(
        request,
        "console/receipts.html",
        {
            "rows": [
                (each, person_name(each.study.patient_name), day(each.study.study_date))
                for each in page.studies
            ],
            "sender": sender,
            "next": urlencode(following) if page.next else "",
            "now": timezone.now(),
        },
    )


@require_safe
@login_required
@never_cache
def study_receipts(request: HttpRequest, study: str) -> HttpResponse:
    """One study: the sentence, what was checked, and when."""
    principal = principal_of(request, "web")
    try:
        found = study_account(principal, study)
    except PacsError as error:
        return _problem(request, error)
    view_event(principal, "StudyViewed", study)
    row = found.study
    return render(
        request,
        "console/receipt.html",
        {
            "subject": f"{person_name(row.patient_name)} · {row.patient_id or 'no ID'}",
            "birth": day(row.patient_birth_date),
            "study_day": day(row.study_date),
            "sex": row.patient_sex,
            "study": row,
            "account": found.account,
            "senders": found.senders,
            "now": timezone.now(),
        },
    )


@require_safe
@login_required
@never_cache
def association_receipts(request: HttpRequest, association: int) -> HttpResponse:
    """One association: what was acknowledged on it, and what of that is safe."""
    try:
        record, account = association_account(principal_of(request, "web"), association)
    except PacsError as error:
        return _problem(request, error)
    return render(
        request,
        "console/receipt.html",
        {
            "subject": f"{record.calling_ae_title} at {record.address}",
            "association": record,
            "account": account,
            "now": timezone.now(),
        },
    )


@require_POST
@login_required
def check_study(request: HttpRequest, study: str) -> HttpResponse:
    """Has the study read back and compared, and returns to its page."""
    try:
        start_scrub(principal_of(request, "web"), study)
    except PacsError as error:
        return _problem(request, error)
    return HttpResponseRedirect(reverse("study-receipts", args=[study]))


def day(text: str) -> str:
    """A DA value as nobody can mistake it; anything else as it is."""
    if len(text) == 8 and text.isdigit():  # noqa: PLR2004 - YYYYMMDD, PS3.5 6.2
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return text


def _problem(request: HttpRequest, error: PacsError) -> HttpResponse:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    return render(request, "console/receipts_problem.html", {"text": error.message}, status=status)
