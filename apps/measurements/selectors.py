"""Drafts, each for its own reader alone."""

from __future__ import annotations

from apps.access.principals import Principal
from apps.archive.selectors import study_of
from apps.errors import NotPermitted
from apps.measurements.models import MeasurementDraft


def reader_of(principal: Principal) -> int:
    """Key of the user whose drafts these are; raises NotPermitted for what is no person."""
    if principal.user_id is None:
        raise NotPermitted("Only a person has drafts of measurements.")
    return principal.user_id


def draft_of(study_instance_uid: str, principal: Principal) -> MeasurementDraft | None:
    """The reader's draft on a study they may see, None before the first; raises NotFound."""
    study_of(study_instance_uid, principal)
    return MeasurementDraft.objects.filter(
        user_id=reader_of(principal), study_instance_uid=study_instance_uid
    ).first()
