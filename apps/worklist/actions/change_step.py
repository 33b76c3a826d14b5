"""change_step: a modality reports on a step it began (MPPS N-SET, PS3.4 F.7.2.2)."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.dicom import mpps
from apps.dicom.data_sets import Document
from apps.errors import InvalidValue, NotFound, WrongState
from apps.events.log import NewEvent, record
from apps.worklist.actions.link_study import link_studies
from apps.worklist.deliveries import queue
from apps.worklist.models import Delivery, PerformedProcedureStep, ScheduledProcedureStep
from apps.worklist.performed import performed_columns, write_instances
from apps.worklist.states import EFFECTS

NO_LONGER: str = "Performed Procedure Step Object may no longer be updated"


def change_step(principal: Principal, sop_instance_uid: str, changes: Document) -> tuple[str, ...]:
    """Applies the changes; returns the tags that were left as they are (warning 0107).

    Raises NotPermitted, NotFound, WrongState once the step has ended, InvalidValue, MissingValue.
    """
    permit(principal, Permission.PERFORM_STEPS)
    with transaction.atomic():
        performed = (
            PerformedProcedureStep.objects.select_for_update()
            .filter(sop_instance_uid=sop_instance_uid)
            .first()
        )
        if performed is None:
            raise NotFound("There is no such performed step.")
        if performed.status != PerformedProcedureStep.Status.IN_PROGRESS:
            raise WrongState(NO_LONGER)
        document, ignored = mpps.modified(performed.document, changes)
        _write(performed, document)
        studies = list(performed.studies.values_list("study_instance_uid", flat=True))
        kept = {tag: value for tag, value in changes.items() if tag not in ignored}
        queue(Delivery.Kind.SET, sop_instance_uid, kept)
        event = EFFECTS[performed.status][1]
        payload = {"performed_step": sop_instance_uid, "wrong_entry": performed.wrong_entry}
        record([NewEvent(event, actor_of(principal), each, payload=payload) for each in studies])
    if performed.ended_at is not None:
        link_studies(studies)
    return ignored


def complete_step(principal: Principal, sop_instance_uid: str, changes: Document) -> None:
    """Ends a step COMPLETED; `changes` brings what it made. Raises as `change_step` does."""
    _end(principal, sop_instance_uid, changes, mpps.COMPLETED)


def discontinue_step(principal: Principal, sop_instance_uid: str, changes: Document) -> None:
    """Ends a step DISCONTINUED, with its reason. Raises as `change_step` does."""
    _end(principal, sop_instance_uid, changes, mpps.DISCONTINUED)


def _end(principal: Principal, uid: str, changes: Document, status: str) -> None:
    if mpps.status_of(changes) not in ("", status):
        raise InvalidValue(f"The step is to end {status}.")
    tag = mpps.tag_of("PerformedProcedureStepStatus")
    change_step(principal, uid, {**changes, tag: {"vr": "CS", "Value": [status]}})


def _write(performed: PerformedProcedureStep, document: Document) -> None:
    performed.document = document
    for name, value in performed_columns(document).items():
        setattr(performed, name, value)
    if performed.status != PerformedProcedureStep.Status.IN_PROGRESS:
        performed.ended_at = timezone.now()
    performed.save()
    write_instances(performed, document)
    status = EFFECTS[performed.status][0]
    if performed.wrong_entry:
        # That entry was not done: it goes back to the worklist for the one it is meant for.
        status = ScheduledProcedureStep.Status.SCHEDULED
    performed.steps.exclude(
        scheduled_procedure_step_status=ScheduledProcedureStep.Status.CANCELED
    ).update(scheduled_procedure_step_status=status)
