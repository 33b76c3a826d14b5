"""alert_polarity: a study shows that images of it appear inverted; in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Count

from apps.archive.actions.raise_alerts import raise_alerts
from apps.archive.models import StudyAlert
from apps.events.log import Actor, NewEvent
from apps.polarity.models import PolarityFinding, PolarityObservation


def alert_polarity(study_uids: Collection[str], actor: Actor) -> list[NewEvent]:
    """Raises or settles the alert of each study by its open findings; returns events to record."""
    if not study_uids:
        return []
    flagged = dict(
        PolarityObservation.objects.filter(
            finding__state=PolarityFinding.State.OPEN,
            instance__study__study_instance_uid__in=study_uids,
        )
        .values_list("instance__study__study_instance_uid")
        .annotate(Count("pk"))
        .order_by()
    )
    texts = {uid: _sentence(flagged.get(uid, 0)) for uid in sorted(study_uids)}
    return raise_alerts(StudyAlert.Cause.POLARITY, texts, actor)


def _sentence(count: int) -> str:
    if not count:
        return ""
    subject = "1 image of this study appears" if count == 1 else f"{count} images appear"
    return (
        f"{subject} with black and white exchanged. Compare both polarities before you read; an "
        "administrator decides how the source is shown."
    )
