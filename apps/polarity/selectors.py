"""Questions to the photometric guard."""

from __future__ import annotations

from typing import Final

from django.db.models import Q, QuerySet

from apps.access.principals import Permission, Principal, permit
from apps.archive.models import Instance
from apps.archive.selectors import instances_of
from apps.errors import NotFound
from apps.polarity.judging import Sibling
from apps.polarity.models import PolarityFinding, PolarityObservation

_SIBLINGS: Final = 12

Verdict = PolarityObservation.Verdict


def siblings_of(row: PolarityObservation) -> list[Sibling]:
    """The latest earlier images of the same source, class and body part that appeared right."""
    rows = (
        PolarityObservation.objects.filter(
            source_ae_title=row.source_ae_title,
            station_name=row.station_name,
            modality=row.modality,
            sop_class_uid=row.sop_class_uid,
            body_part=row.body_part,
        )
        .exclude(Q(verdict=Verdict.INVERTED) | Q(signature=[]) | Q(pk=row.pk))
        .filter(received_at__lte=row.received_at)
        .order_by("-received_at", "-pk")
        .values_list("signature", "statement", "verdict")
    )
    return [
        Sibling(signature, statement, verdict == Verdict.EXPECTED)
        for signature, statement, verdict in rows[:_SIBLINGS]
    ]


def of_source(row: PolarityObservation | PolarityFinding) -> QuerySet[PolarityObservation]:
    """All that was seen of the same source and modality."""
    return PolarityObservation.objects.filter(
        source_ae_title=row.source_ae_title,
        station_name=row.station_name,
        modality=row.modality,
    )


def finding_of(principal: Principal, pk: int) -> PolarityFinding:
    """One finding. Raises NotPermitted, NotFound."""
    permit(principal, Permission.VIEW_IMAGES)
    found = PolarityFinding.objects.select_related("rule").filter(pk=pk).first()
    if found is None:
        raise NotFound("There is no such finding.")
    return found


def flagged_images(principal: Principal, finding: PolarityFinding) -> QuerySet[PolarityObservation]:
    """The images of a finding, the newest first."""
    permit(principal, Permission.VIEW_IMAGES)
    rows = finding.observations.select_related("instance__series", "instance__study")
    return rows.order_by("-received_at", "-pk")


def observed_images(principal: Principal, study: str) -> QuerySet[PolarityObservation]:
    """What was seen of a study's images. Raises NotPermitted, NotFound for an unknown study."""
    instances: QuerySet[Instance] = instances_of(principal, study)
    if not instances.exists():
        raise NotFound("There is no such study.")
    return (
        PolarityObservation.objects.filter(instance__in=instances.order_by().values("pk"))
        .select_related("instance__series", "instance__study", "finding")
        .order_by("received_at", "pk")
    )


def said_of(finding: PolarityFinding) -> str:
    """One sentence: since when, what, how many of how many."""
    source = finding.source_ae_title or "an unknown sender"
    if finding.station_name:
        source += f" ({finding.station_name})"
    judged = finding.inverted + finding.expected
    kind = f"{finding.modality} images" if finding.modality else "Images"
    rule = " by a polarity rule that seems out of date" if finding.ruled else ""
    unsure = f"; {finding.unsure} more cannot be told" if finding.unsure else ""
    return (
        f"{kind} of {source} received since {finding.first_at:%-d %B %Y, %H:%M} UTC appear with "
        f"black and white exchanged{rule}: {finding.inverted} of {judged}{unsure}."
    )
