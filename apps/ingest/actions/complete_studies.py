"""complete_studies: studies that were quiet long enough are complete."""

from __future__ import annotations

from typing import Final

from django.db import connection, transaction
from django.utils import timezone

from apps.archive.models import Study
from apps.events.log import Actor, NewEvent, record
from apps.ingest.completion import quiet_since

_AT_ONCE: Final = 500


def complete_studies() -> int:
    """Completes up to 500 studies, each with its StudyCompleted event; how many."""
    limit = quiet_since()
    receiving = Study.objects.filter(state=Study.State.RECEIVING, last_received_at__lt=limit)
    if not receiving.exists():
        return 0  # most of the time, and then nobody's lock is asked for
    with transaction.atomic():
        # A study being added to right now is locked, and not quiet.
        skip = connection.features.has_select_for_update_skip_locked
        due = list(
            receiving.select_for_update(skip_locked=skip).order_by("study_instance_uid")[:_AT_ONCE]
        )
        now = timezone.now()
        Study.objects.filter(pk__in=[study.pk for study in due]).update(
            state=Study.State.COMPLETE, completed_at=now
        )
        actor = Actor("system", "completion")
        record(
            [
                NewEvent(
                    "StudyCompleted",
                    actor,
                    study.study_instance_uid,
                    patient_key=study.patient_entity_id,
                    payload={
                        "series": study.number_of_study_related_series,
                        "instances": study.number_of_study_related_instances,
                        "bytes": study.size_bytes,
                    },
                )
                for study in due
            ]
        )
    return len(due)
