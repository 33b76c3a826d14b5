"""mark_read, mark_unread: somebody has read a study, or wants it read again."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.archive.models import Study
from apps.archive.selectors import scope_of
from apps.errors import InvalidRequest, NotFound
from apps.events.log import NewEvent, record

State = Study.State


def mark_read(principal: Principal, study_uid: str) -> Study:
    """The study is read. Harmless to repeat: the first reader stays.

    Raises NotPermitted, NotFound, and InvalidRequest while images are arriving: what has not
    come cannot have been read.
    """
    with transaction.atomic():
        study = _locked(principal, study_uid)
        if study.state == State.RECEIVING:
            raise InvalidRequest("This study is still being received; mark it when it is complete.")
        if study.state != State.READ:
            _save(principal, study, State.READ, "StudyMarkedRead")
    return study


def mark_unread(principal: Principal, study_uid: str) -> Study:
    """The study waits to be read again. Harmless to repeat. Raises NotPermitted and NotFound."""
    with transaction.atomic():
        study = _locked(principal, study_uid)
        if study.state == State.READ:
            _save(principal, study, State.COMPLETE, "StudyMarkedUnread")
    return study


def _locked(principal: Principal, study_uid: str) -> Study:
    permit(principal, Permission.MARK_READ)
    rows = Study.objects.select_for_update().filter(scope_of(principal))
    study = rows.filter(study_instance_uid=study_uid).first()
    if study is None:
        raise NotFound("There is no such study here.")
    return study


def _save(principal: Principal, study: Study, state: Study.State, kind: str) -> None:
    read = state == State.READ
    study.state = state
    study.read_at = timezone.now() if read else None
    study.read_by = principal.name[:256] if read else ""
    study.save(update_fields=["state", "read_at", "read_by"])
    record(
        [
            NewEvent(
                kind,
                actor_of(principal),
                study.study_instance_uid,
                patient_key=study.patient_entity_id,
            )
        ]
    )
