"""change_order: what is known of an order, its procedures and steps is corrected or completed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.dicom.attributes import Entity
from apps.errors import AlreadyExists, NotFound, WrongState
from apps.events.log import NewEvent, record
from apps.worklist.actions.schedule_order import add_procedure, add_step, number_is_free
from apps.worklist.models import RequestedProcedure, ScheduledProcedureStep, ServiceRequest
from apps.worklist.orders import Order, ProcedureOrder, StepOrder, checked, column_values
from apps.worklist.states import OPEN

_Row = ServiceRequest | RequestedProcedure | ScheduledProcedureStep


def change_order(principal: Principal, request_id: int, order: Order) -> ServiceRequest:
    """What `order` names replaces what was; what it does not name stays.

    Procedures and steps are found by their IDs, or are the only one there is; others are added.
    Raises NotPermitted, NotFound, InvalidRequest, AlreadyExists, and WrongState for steps that
    have begun.
    """
    permit(principal, Permission.MANAGE_WORKLIST)
    with number_is_free(), transaction.atomic():
        request = ServiceRequest.objects.select_for_update().filter(pk=request_id).first()
        if request is None:
            raise NotFound("There is no such order here.")
        _check_accession(request, order)
        _apply(request, Entity.SERVICE_REQUEST, order.attributes, order.sequences)
        for procedure in order.procedures:
            _change_procedure(request, procedure)
        record([NewEvent("OrderChanged", actor_of(principal), payload={"order": request.pk})])
    return request


def _check_accession(request: ServiceRequest, order: Order) -> None:
    wanted = order.attributes.get("AccessionNumber", "").strip()
    if not wanted or wanted == request.accession_number:
        return
    if ServiceRequest.objects.filter(accession_number=wanted).exclude(pk=request.pk).exists():
        raise AlreadyExists("That accession number belongs to another order.")


def _apply(
    row: _Row, entity: Entity, attributes: Mapping[str, str], sequences: Mapping[str, Any]
) -> None:
    for name, value in column_values(type(row), checked(entity, attributes, new=False)).items():
        setattr(row, name, value)
    row.sequences = {**row.sequences, **sequences}
    row.save()


def _change_procedure(request: ServiceRequest, order: ProcedureOrder) -> None:
    wanted = order.attributes.get("RequestedProcedureID", "")
    rows = list(request.procedures.select_for_update())
    procedure = _named(rows, "requested_procedure_id", wanted)
    if procedure is None:
        add_procedure(request, order)
        return
    _apply(procedure, Entity.PROCEDURE, order.attributes, order.sequences)
    for step in order.steps:
        _change_step(procedure, step)


def _change_step(procedure: RequestedProcedure, order: StepOrder) -> None:
    wanted = order.attributes.get("ScheduledProcedureStepID", "")
    rows = list(procedure.steps.select_for_update())
    step = _named(rows, "scheduled_procedure_step_id", wanted)
    if step is None:
        add_step(procedure, order)
        return
    if not order.attributes and not order.sequences:
        return
    if step.scheduled_procedure_step_status not in OPEN:
        raise WrongState("The step has begun or ended; it cannot be changed any more.")
    _apply(step, Entity.STEP, order.attributes, order.sequences)


def _named(rows: list[Any], name: str, wanted: str) -> Any | None:
    found = [row for row in rows if not wanted or getattr(row, name) == wanted]
    return found[0] if len(found) == 1 else None
