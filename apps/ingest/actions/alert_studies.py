"""alert_studies: a study shows what of it waits in quarantine; in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Count

from apps.archive.actions.raise_alerts import raise_alerts
from apps.archive.models import StudyAlert
from apps.events.log import Actor, NewEvent
from apps.ingest.models import QuarantinedInstance


def alert_studies(study_uids: Collection[str], actor: Actor) -> list[NewEvent]:
    """Raises or settles the alert of each study, by what waits for a decision now.

    Returns the events to record.
    """
    uids = {uid for uid in study_uids if uid}
    if not uids:
        return []
    waiting = dict(
        QuarantinedInstance.objects.filter(
            study_instance_uid__in=uids, state=QuarantinedInstance.State.WAITING
        )
        .values_list("study_instance_uid")
        .annotate(Count("pk"))
        .order_by()
    )
    texts = {uid: _sentence(waiting.get(uid, 0)) for uid in sorted(uids)}
    return raise_alerts(StudyAlert.Cause.QUARANTINE, texts, actor)


def alert_new_studies(study_uids: Collection[str], actor: Actor) -> list[NewEvent]:
    """The same for studies that were not stored when their first objects went to quarantine."""
    early = QuarantinedInstance.objects.filter(
        study_instance_uid__in=study_uids, state=QuarantinedInstance.State.WAITING
    )
    found = set(early.values_list("study_instance_uid", flat=True))
    return alert_studies(found, actor)


def _sentence(count: int) -> str:
    if not count:
        return ""
    if count == 1:
        return "1 object of this study waits in quarantine for a decision."
    return f"{count} objects of this study wait in quarantine for a decision."
