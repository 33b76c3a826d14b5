"""cancel_order: what has not begun leaves the worklist."""

from __future__ import annotations

from django.db import transaction

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.errors import NotFound, WrongState
from apps.events.log import NewEvent, record
from apps.worklist.models import ScheduledProcedureStep
from apps.worklist.states import CANCELLABLE


def cancel_order(
    principal: Principal,
    request_id: int,
    *,
    procedure_id: int | None = None,
    step_id: int | None = None,
) -> int:
    """Cancels the steps of an order, of one procedure or one step; how many.

    What is cancelled already stays so. Raises NotPermitted, NotFound, and WrongState where all has
    begun.
    """
    permit(principal, Permission.MANAGE_WORKLIST)
    with transaction.atomic():
        steps = ScheduledProcedureStep.objects.select_for_update().filter(
            procedure__service_request_id=request_id
        )
        if procedure_id is not None:
            steps = steps.filter(procedure_id=procedure_id)
        if step_id is not None:
            steps = steps.filter(pk=step_id)
        states = dict(steps.values_list("pk", "scheduled_procedure_step_status"))
        if not states:
            raise NotFound("There is no such order here.")
        due = [pk for pk, state in states.items() if state in CANCELLABLE]
        canceled = ScheduledProcedureStep.Status.CANCELED
        if not due and canceled not in states.values():
            raise WrongState("The examination has begun or ended; it cannot be cancelled.")
        if due:
            ScheduledProcedureStep.objects.filter(pk__in=due).update(
                scheduled_procedure_step_status=canceled
            )
            payload = {"order": request_id, "steps": due}
            record([NewEvent("OrderCancelled", actor_of(principal), payload=payload)])
    return len(due)
