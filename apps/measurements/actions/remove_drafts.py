"""Forget what was measured on a study of which nothing is left."""

from __future__ import annotations

from apps.measurements.models import MeasurementDraft


def remove_drafts(study_instance_uid: str) -> int:
    """How many readers' drafts went, in the transaction and under the event of the purge."""
    drafts = MeasurementDraft.objects.filter(study_instance_uid=study_instance_uid)
    return drafts.delete()[0]
