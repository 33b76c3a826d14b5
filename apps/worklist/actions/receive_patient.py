"""receive_patient: the patient of a worklist entry is here, or ready, or not yet."""

from __future__ import annotations

from django.db import transaction

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.errors import InvalidValue, NotFound, WrongState
from apps.events.log import NewEvent, record
from apps.worklist.models import ScheduledProcedureStep
from apps.worklist.states import OPEN


def receive_patient(principal: Principal, step_id: int, status: str) -> None:
    """Sets SCHEDULED, ARRIVED or READY. Raises NotPermitted, NotFound, InvalidValue, WrongState."""
    permit(principal, Permission.MANAGE_WORKLIST)
    if status not in OPEN:
        raise InvalidValue("An entry can be set to SCHEDULED, ARRIVED or READY.")
    with transaction.atomic():
        step = ScheduledProcedureStep.objects.select_for_update().filter(pk=step_id).first()
        if step is None:
            raise NotFound("There is no such worklist entry.")
        if step.scheduled_procedure_step_status not in OPEN:
            raise WrongState("The step has begun or ended.")
        step.scheduled_procedure_step_status = status
        step.save(update_fields=["scheduled_procedure_step_status"])
        payload = {"step": step_id, "status": status}
        record([NewEvent("PatientReceived", actor_of(principal), payload=payload)])
