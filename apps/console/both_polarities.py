"""The page that shows radiographs in both polarities, why the guard flags them, and asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.access.audit import view_event
from apps.access.authentication import principal_of
from apps.access.principals import Permission, Principal
from apps.console.receipts import day
from apps.console.wording import person_name
from apps.dicom.whole_numbers import read_whole_number
from apps.errors import InvalidRequest, NotFound, NotPermitted, PacsError
from apps.polarity.actions.decide_finding import (
    correct_images,
    correct_source,
    dismiss_finding,
    end_rules,
    reopen_finding,
)
from apps.polarity.models import PolarityFinding, PolarityObservation
from apps.polarity.selectors import finding_of, flagged_images, observed_images, said_of

_STATUS: Final[dict[type[PacsError], int]] = {InvalidRequest: 400, NotPermitted: 403, NotFound: 404}
_AT_ONCE: Final = 6


@dataclass(frozen=True, slots=True)
class Shown:
    """One image with whose it is, where its two pictures are, and what was observed."""

    observation: PolarityObservation
    patient: str
    about: str
    picture: str

    @classmethod
    def of(cls, row: PolarityObservation) -> Shown:
        """The middle frame, as the guard looked at it."""
        instance, study = row.instance, row.instance.study
        number = (int(instance.number_of_frames or 1) + 1) // 2
        picture = (
            f"/dicom-web/studies/{study.study_instance_uid}"
            f"/series/{instance.series.series_instance_uid}"
            f"/instances/{instance.sop_instance_uid}/frames/{number}/rendered"
        )
        who = (
            person_name(study.patient_name),
            study.patient_id or "no ID",
            f"born {day(study.patient_birth_date)}" if study.patient_birth_date else "",
            study.patient_sex,
        )
        what = (
            row.modality,
            row.body_part,
            day(study.study_date),
            f"accession {study.accession_number}" if study.accession_number else "",
        )
        return cls(row, _joined(who), _joined(what), picture)


def _joined(parts: Iterable[str]) -> str:
    return " · ".join(part for part in parts if part)


@require_safe
@login_required
@never_cache
def finding_page(request: HttpRequest, finding: int) -> HttpResponse:
    """One finding with its images, the newest first, and what can be decided."""
    return _finding(request, finding)


def _finding(request: HttpRequest, pk: int, problem: str = "", status: int = 200) -> HttpResponse:
    principal = principal_of(request, "web")
    try:
        finding = finding_of(principal, pk)
        rows = flagged_images(principal, finding)
    except PacsError as error:
        return _problem(request, error)
    start = _start(request)
    images = [Shown.of(row) for row in rows[start : start + _AT_ONCE]]
    _note_views(principal, images)
    total = rows.count()
    context = {
        "finding": finding,
        "sentence": said_of(finding),
        "images": images,
        "total": total,
        "next": start + _AT_ONCE if start + _AT_ONCE < total else 0,
        "may_decide": principal.may(Permission.ADMINISTER),
        "problem": problem,
        # Seconds are what the form can say: the first image is inside, the last right one outside.
        "first": finding.first_at.replace(microsecond=0),
        "before": finding.first_at.replace(microsecond=0) - timedelta(seconds=1),
    }
    return render(request, "console/polarity_finding.html", context, status=status)


def _start(request: HttpRequest) -> int:
    return read_whole_number(request.GET.get("from", ""), most=10**8) or 0


def _note_views(principal: Principal, images: Iterable[Shown]) -> None:
    for study in {each.observation.instance.study.study_instance_uid for each in images}:
        view_event(principal, "StudyViewed", study)


@require_safe
@login_required
@never_cache
def study_page(request: HttpRequest, study: str) -> HttpResponse:
    """What the guard saw of one study."""
    principal = principal_of(request, "web")
    try:
        rows = observed_images(principal, study)
    except PacsError as error:
        return _problem(request, error)
    images = [Shown.of(row) for row in rows[:_AT_ONCE]]
    view_event(principal, "StudyViewed", study)
    findings = {row.finding.pk: row.finding for row in rows if row.finding is not None}
    context = {
        "study": study,
        "images": images,
        "total": rows.count(),
        "findings": [(each, said_of(each)) for each in findings.values()],
    }
    return render(request, "console/polarity_study.html", context)


@require_POST
@login_required
def decide(request: HttpRequest, finding: int) -> HttpResponse:
    """Carries out the decision the form names."""
    principal = principal_of(request, "web")
    try:
        _decide(principal, finding, request.POST)
    except PacsError as error:
        status = _status_of(error)
        return _finding(request, finding, problem=error.message, status=status)
    return HttpResponseRedirect(reverse("polarity-finding", args=[finding]))


def _decide(principal: Principal, finding: int, given: QueryDict) -> None:
    decision = given.get("decision", "")
    if decision == "dismiss":
        dismiss_finding(principal, finding)
    elif decision == "source":
        last = _moment(given, "last") if given.get("last") else None
        correct_source(principal, finding, first=_moment(given, "first"), last=last)
    elif decision == "images":
        correct_images(principal, finding, given.getlist("image"))
    elif decision == "end":
        end_rules(principal, finding, last=_moment(given, "last"))
    elif decision == "reopen":
        reopen_finding(principal, finding)
    else:
        raise InvalidRequest("Choose a decision.", offending=("decision",))


def _moment(given: QueryDict, name: str) -> datetime:
    try:
        return datetime.fromisoformat(given.get(name, "")).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidRequest("Give day and time as YYYY-MM-DDTHH:MM.", offending=(name,)) from None


def source_of(finding: PolarityFinding) -> str:
    """AE title and station of a finding, for lists."""
    return _joined((finding.source_ae_title or "unknown", finding.station_name))


def _status_of(error: PacsError) -> int:
    return next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)


def _problem(request: HttpRequest, error: PacsError) -> HttpResponse:
    context = {"text": error.message}
    return render(request, "console/polarity_problem.html", context, status=_status_of(error))
