"""Fetch studies from another archive: which, what it says of them, and only then the transfer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from apps.access.authentication import principal_of
from apps.access.principals import Permission, Principal
from apps.archive.study_list import stored_counts
from apps.console.model_admin import AnyModelAdmin
from apps.console.wording import day, person_name
from apps.dicom import uids
from apps.errors import InvalidRequest, PacsError
from apps.network.models import ApplicationEntity, WebArchive
from apps.transfers.actions.request_transfer import METHODS, fetch_from_other
from apps.transfers.remote import Other
from apps.transfers.searched import query_other, studies_in_archive
from apps.transfers.tasks import request_work

_MOST: Final = 50
_STUDY: Final = "StudyInstanceUID"


@dataclass(frozen=True, slots=True)
class Offered:
    """A study as the archive describes it, and how much of it is here."""

    uid: str
    line: str
    there: str
    here: int


def fetch_page(page: AnyModelAdmin, request: HttpRequest, other: Other) -> HttpResponse:
    """A form; then what would be fetched; then the transfers. Each step is a POST."""
    principal = principal_of(request, "web")
    context: dict[str, Any] = {
        **page.admin_site.each_context(request),
        "title": f"Fetch from {other}",
        "other": str(other),
        "chooses_method": isinstance(other, ApplicationEntity),
        "changelist": _changelist(page),
        "asked": request.POST.get("studies", request.GET.get("study", "")),
        "opts": page.opts,
    }
    if not principal.may(Permission.TRANSFER_STUDIES):
        page.message_user(request, "You may not fetch studies.", messages.ERROR)
        return redirect(_changelist(page))
    if request.method == "POST":
        try:
            wanted = _wanted(request.POST.get("studies", ""))
            if "confirmed" in request.POST:
                return _fetched(page, request, principal, other, wanted)
            context["offered"] = _offered(principal, other, wanted)
            context["missing"] = len(wanted) - len(context["offered"])
        except PacsError as error:
            page.message_user(request, error.message, messages.ERROR)
    return TemplateResponse(request, "console/fetch_from.html", context)


def _changelist(page: AnyModelAdmin) -> str:
    return reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_changelist")


def _wanted(text: str) -> list[str]:
    found = list(dict.fromkeys(text.split()))
    if not found or len(found) > _MOST:
        raise InvalidRequest(f"Between 1 and {_MOST} Study Instance UIDs at a time.")
    bad = next((each for each in found if not uids.is_valid(each)), None)
    if bad is not None:
        raise InvalidRequest(f"{bad[:64]} is no UID.")
    return found


def _offered(principal: Principal, other: Other, wanted: Sequence[str]) -> list[Offered]:
    """What the archive has of these, asked now."""
    if isinstance(other, WebArchive):
        answers = studies_in_archive(principal, other, wanted)
    else:
        keys = {_STUDY: "\\".join(wanted)}
        answers = list(query_other(principal, other, "STUDY", keys, _MOST))
    here = stored_counts(principal, wanted)
    return [
        Offered(
            each[_STUDY],
            " · ".join(
                part
                for part in (
                    person_name(each.get("PatientName", "")) or "no name",
                    each.get("PatientID", ""),
                    day(each.get("StudyDate", "")),
                    each.get("StudyDescription", ""),
                )
                if part
            ),
            each.get("NumberOfStudyRelatedInstances", "") or "?",
            here.get(each[_STUDY], 0),
        )
        for each in answers
        if each.get(_STUDY) in wanted
    ]


def _fetched(
    page: AnyModelAdmin,
    request: HttpRequest,
    principal: Principal,
    other: Other,
    wanted: Sequence[str],
) -> HttpResponse:
    method = request.POST.get("method", METHODS[0])
    for uid in wanted:
        keys = {_STUDY: uid}
        fetch_from_other(principal, other=other, level="STUDY", keys=keys, method=method)
    request_work()
    plural = "study is" if len(wanted) == 1 else "studies are"
    page.message_user(request, f"{len(wanted)} {plural} fetched from {other}.")
    return redirect(reverse("admin:transfers_transfer_changelist"))
