"""raise_alerts: what somebody has to look at in a study; in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils import timezone

from apps.archive.models import Study, StudyAlert
from apps.events.log import Actor, NewEvent


def raise_alerts(cause: StudyAlert.Cause, texts: Mapping[str, str], actor: Actor) -> list[NewEvent]:
    """Sets the alert of this cause for each study, by Study Instance UID; `""` settles it.

    Studies that are not stored are passed over. Returns the events to record, one for each study
    whose alert changed.
    """
    studies = dict(
        Study.objects.filter(study_instance_uid__in=list(texts)).values_list(
            "pk", "study_instance_uid"
        )
    )
    present = dict(
        StudyAlert.objects.filter(study__in=list(studies), cause=cause).values_list(
            "study_id", "text"
        )
    )
    changed = {key: uid for key, uid in studies.items() if present.get(key, "") != texts[uid]}
    settled = [key for key, uid in changed.items() if not texts[uid]]
    StudyAlert.objects.filter(study__in=settled, cause=cause).delete()
    now = timezone.now()
    StudyAlert.objects.bulk_create(
        [
            StudyAlert(study_id=key, cause=cause, text=texts[uid], raised_at=now)
            for key, uid in sorted(changed.items())
            if texts[uid]
        ],
        update_conflicts=True,
        unique_fields=["study", "cause"],
        update_fields=["text", "raised_at"],
    )
    return [
        NewEvent(
            "StudyAlertRaised" if texts[uid] else "StudyAlertSettled",
            actor,
            uid,
            payload={"cause": cause.value},
        )
        for uid in changed.values()
    ]
