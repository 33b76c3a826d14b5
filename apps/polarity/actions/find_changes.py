"""Compare what a source is expected to send with what it sends, and tell people of a change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import Count, Max, Q

from apps.access.audit import actor_of
from apps.access.principals import system_principal
from apps.events.log import NewEvent, record
from apps.polarity.actions.alert_polarity import alert_polarity
from apps.polarity.models import PolarityFinding, PolarityObservation
from apps.polarity.selectors import of_source

Verdict = PolarityObservation.Verdict
State = PolarityFinding.State

_LOOKED_BACK: Final = 40
_IN_A_ROW: Final = 3
"""So many from a source that was right with the same statement just before."""
_CERTAIN: Final = 0.9
ACTOR: Final = actor_of(system_principal("photometric guard"))


@dataclass(frozen=True, slots=True)
class _Run:
    """The latest images of a source that could be judged, all inverted; the newest first.

    `before` says whether an image that stated the same appeared right before them.
    """

    rows: list[PolarityObservation]
    before: bool

    @property
    def enough(self) -> bool:
        """Whether it is no accident: one image may be odd, a source that was right even two."""
        if self.before:
            return len(self.rows) >= _IN_A_ROW
        certain = any(each.confidence >= _CERTAIN for each in self.rows)
        return len(self.rows) > 1 or certain


def find_changes() -> list[PolarityFinding]:
    """For each source of images not compared yet; the findings that were opened or have grown.

    Whoever dies before leaves them for the next one.
    """
    rows = list(PolarityObservation.objects.filter(compared=False).order_by("received_at", "pk"))
    sources = {(each.source_ae_title, each.station_name, each.modality): each for each in rows}
    found = [_of_source(each) for each in sources.values()]
    PolarityObservation.objects.filter(pk__in=[each.pk for each in rows]).update(compared=True)
    return [each for each in found if each is not None]


def _of_source(latest: PolarityObservation) -> PolarityFinding | None:
    finding = _open(latest)
    if finding is not None:
        return _counted(finding, opened=False)
    run = _run(latest)
    if not run.rows or not run.enough or _dismissed(run.rows[0]):
        return None
    newest, first = run.rows[0], run.rows[-1]
    finding = PolarityFinding(
        source_ae_title=newest.source_ae_title,
        station_name=newest.station_name,
        modality=newest.modality,
        white=newest.white,
        ruled=newest.ruled,
        statement=newest.statement,
        first_at=first.received_at,
        last_at=newest.received_at,
    )
    try:
        return _counted(finding, opened=True)
    except IntegrityError:
        # Another worker has just opened it; the source's next image is counted there.
        return None


def _open(latest: PolarityObservation) -> PolarityFinding | None:
    return PolarityFinding.objects.filter(
        state=State.OPEN,
        source_ae_title=latest.source_ae_title,
        station_name=latest.station_name,
        modality=latest.modality,
    ).first()


def _run(latest: PolarityObservation) -> _Run:
    """Images that belong to a finding already were decided about: the run ends at them."""
    judged = of_source(latest).exclude(verdict=Verdict.UNSURE)
    rows: list[PolarityObservation] = []
    for row in judged.order_by("-received_at", "-pk")[:_LOOKED_BACK]:
        if row.verdict != Verdict.INVERTED or row.finding_id is not None:
            break
        rows.append(row)
    before = bool(rows) and (
        judged.filter(
            verdict=Verdict.EXPECTED,
            received_at__lte=rows[-1].received_at,
            statement=rows[-1].statement,
            ruled=rows[-1].ruled,
        ).exists()
    )
    return _Run(rows, before)


def _dismissed(row: PolarityObservation) -> bool:
    """Whether a person has said of such images of this source that they are shown rightly."""
    return PolarityFinding.objects.filter(
        state=State.DISMISSED,
        source_ae_title=row.source_ae_title,
        station_name=row.station_name,
        modality=row.modality,
        white=row.white,
        ruled=row.ruled,
    ).exists()


def _counted(finding: PolarityFinding, *, opened: bool) -> PolarityFinding:
    """Saves the finding with its images and counts; the event when it is new."""
    with transaction.atomic():
        if opened:
            finding.save()
        mine = Q(finding=None) | Q(finding=finding)
        rows = of_source(finding).filter(mine, received_at__gte=finding.first_at)
        flagged = rows.filter(verdict=Verdict.INVERTED, white=finding.white, ruled=finding.ruled)
        flagged.filter(finding=None).update(finding=finding)
        counts = rows.aggregate(
            inverted=Count("pk", filter=Q(verdict=Verdict.INVERTED)),
            expected=Count("pk", filter=Q(verdict=Verdict.EXPECTED)),
            unsure=Count("pk", filter=Q(verdict=Verdict.UNSURE)),
            last=Max("received_at", filter=Q(verdict=Verdict.INVERTED)),
        )
        finding.inverted, finding.expected = counts["inverted"], counts["expected"]
        finding.unsure = counts["unsure"]
        finding.last_at = counts["last"] or finding.last_at
        finding.save()
        events = alert_polarity(studies_of([finding]), ACTOR)
        if opened:
            events.append(opened_event(finding))
        record(events)
    return finding


def opened_event(finding: PolarityFinding) -> NewEvent:
    """That a source was found to send images that appear inverted."""
    return NewEvent("PolarityFindingOpened", ACTOR, payload=payload_of(finding))


def payload_of(finding: PolarityFinding) -> dict[str, object]:
    """The finding in the plain values of an event."""
    return {
        "finding": finding.pk,
        "source": finding.source_ae_title,
        "station": finding.station_name,
        "modality": finding.modality,
        "since": finding.first_at.isoformat(),
        "inverted": finding.inverted,
        "expected": finding.expected,
        "unsure": finding.unsure,
    }


def studies_of(findings: Sequence[PolarityFinding]) -> set[str]:
    """Study Instance UIDs of the images of these findings."""
    rows = PolarityObservation.objects.filter(finding__in=findings)
    return set(rows.values_list("instance__study__study_instance_uid", flat=True))
