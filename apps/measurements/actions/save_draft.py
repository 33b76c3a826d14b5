"""Save what a reader has measured on a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import Principal
from apps.archive.selectors import study_of
from apps.events.log import NewEvent, record
from apps.measurements.measurement import checked
from apps.measurements.models import MeasurementDraft
from apps.measurements.selectors import reader_of


@dataclass(frozen=True, slots=True)
class Saved:
    """What is stored now; `conflict` when that is not what was given."""

    draft: MeasurementDraft
    conflict: bool


def save_draft(
    principal: Principal, study_instance_uid: str, measurements: Sequence[Any], *, based_on: int
) -> Saved:
    """Replaces the reader's measurements on the study, if `based_on` is the version stored.

    Another window of the same reader may have saved meanwhile: then nothing is written and the
    answer is what that window wrote, for the caller to merge. Raises NotFound, NotPermitted and
    InvalidRequest.
    """
    study_of(study_instance_uid, principal)
    given = checked(measurements)
    with transaction.atomic():
        draft = _locked(reader_of(principal), study_instance_uid)
        if draft.version != based_on:
            return Saved(draft, conflict=True)
        draft.measurements, draft.version = given, draft.version + 1
        draft.saved_at = timezone.now()
        draft.save()
        payload = {"measurements": len(given), "version": draft.version}
        actor = actor_of(principal)
        record([NewEvent("MeasurementDraftSaved", actor, study_instance_uid, payload=payload)])
    return Saved(draft, conflict=False)


def _locked(user_id: int, study_instance_uid: str) -> MeasurementDraft:
    """The row, made where there is none; two windows that save first meet here."""
    named = {"user_id": user_id, "study_instance_uid": study_instance_uid}
    new = MeasurementDraft(saved_at=timezone.now(), **named)
    MeasurementDraft.objects.bulk_create([new], ignore_conflicts=True)
    return MeasurementDraft.objects.select_for_update().get(**named)
