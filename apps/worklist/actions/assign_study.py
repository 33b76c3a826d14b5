"""assign_study: a person says to which procedure a study belongs, or that it has no order."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.archive.models import Study
from apps.errors import NotFound
from apps.events.log import NewEvent, record
from apps.worklist.models import (
    PerformedProcedureStep,
    RequestedProcedure,
    StudyLink,
    UnlinkedStudy,
)


def assign_study(principal: Principal, study_id: int, procedure_id: int | None) -> None:
    """Links the study to that procedure alone; `None`: it belongs to no order.

    Images made under a wrong entry are settled by it. Raises NotPermitted, NotFound.
    """
    permit(principal, Permission.MANAGE_WORKLIST)
    with transaction.atomic():
        study = Study.objects.select_for_update().filter(pk=study_id).first()
        if study is None:
            raise NotFound("There is no such study here.")
        study.procedure_links.all().delete()
        if procedure_id is not None:
            _link(study, procedure_id)
        state = UnlinkedStudy.State
        UnlinkedStudy.objects.update_or_create(
            study=study,
            defaults={
                "state": state.WITHOUT if procedure_id is None else state.LINKED,
                "decided_at": timezone.now(),
                "decided_by": principal.name,
            },
        )
        PerformedProcedureStep.objects.filter(
            studies__study_instance_uid=study.study_instance_uid, wrong_entry=True
        ).update(wrong_entry=False)
        record(
            [
                NewEvent(
                    "StudyAssigned",
                    actor_of(principal),
                    study.study_instance_uid,
                    patient_key=study.patient_entity_id,
                    payload={"procedure": procedure_id},
                )
            ]
        )


def _link(study: Study, procedure_id: int) -> None:
    procedure = RequestedProcedure.objects.filter(pk=procedure_id).first()
    if procedure is None:
        raise NotFound("There is no such procedure.")
    StudyLink.objects.create(procedure=procedure, study=study, basis=StudyLink.Basis.PERSON)
