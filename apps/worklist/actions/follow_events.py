"""follow_events: studies that are complete look for their orders."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from apps.archive.models import Study
from apps.events.log import feed
from apps.worklist.actions.link_study import link_study
from apps.worklist.models import FeedPosition, PerformedProcedureStep, ServiceRequest

_NAME: Final = "link-studies"
_AT_ONCE: Final = 200


def follow_events() -> int:
    """Reads on in the event log; how many events it read. A second reader does no harm."""
    position, _ = FeedPosition.objects.get_or_create(name=_NAME)
    events = feed(position.sequence, kinds=("StudyCompleted",), limit=_AT_ONCE)
    if not events:
        return 0
    completed = {each.study_instance_uid for each in events}
    if not (ServiceRequest.objects.exists() or PerformedProcedureStep.objects.exists()):
        completed = set()  # nothing to be linked with: an old archive is read through quickly
    for study in Study.objects.filter(study_instance_uid__in=completed):
        link_study(study)
    with transaction.atomic():
        FeedPosition.objects.filter(name=_NAME, sequence__lt=events[-1].sequence).update(
            sequence=events[-1].sequence
        )
    return len(events)
