"""schedule_order: an order becomes worklist entries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.dicom import uids
from apps.dicom.attributes import Entity
from apps.errors import AlreadyExists, InvalidRequest
from apps.events.log import NewEvent, record
from apps.worklist.actions.link_study import link_studies
from apps.worklist.models import RequestedProcedure, ScheduledProcedureStep, ServiceRequest
from apps.worklist.orders import Order, ProcedureOrder, StepOrder, checked, column_values


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What came of an order: the request it is or joined, and the new steps in their order."""

    request: ServiceRequest
    steps: tuple[ScheduledProcedureStep, ...]


def schedule_order(principal: Principal, order: Order) -> Scheduled:
    """Adds the order's procedures and steps.

    The Study Instance UID is minted unless given. A further procedure under a known accession
    number joins the order that has it, if that is the same patient's. Raises NotPermitted,
    InvalidRequest, and AlreadyExists for a number that is taken.
    """
    permit(principal, Permission.MANAGE_WORKLIST)
    if not order.procedures or not all(each.steps for each in order.procedures):
        raise InvalidRequest("An order needs a procedure with at least one step.")
    attributes = checked(Entity.SERVICE_REQUEST, order.attributes, new=True)
    with number_is_free(), transaction.atomic():
        request = _service_request(attributes, order)
        procedures = [add_procedure(request, each) for each in order.procedures]
        record(
            [
                NewEvent(
                    "OrderScheduled",
                    actor_of(principal),
                    procedure.study_instance_uid,
                    payload={"order": request.pk, "procedure": procedure.pk},
                )
                for procedure in procedures
            ]
        )
    # The images may have come before the order.
    link_studies([each.study_instance_uid for each in procedures], request.accession_number)
    steps = ScheduledProcedureStep.objects.filter(procedure__in=procedures).order_by("pk")
    return Scheduled(request, tuple(steps.select_related("procedure__service_request")))


@contextmanager
def number_is_free() -> Iterator[None]:
    """Around a transaction: who comes second with an accession number is told so."""
    try:
        yield
    except IntegrityError as error:
        raise AlreadyExists("That accession number belongs to another order.") from error


def _service_request(attributes: dict[str, str], order: Order) -> ServiceRequest:
    accession = attributes.get("AccessionNumber", "")
    known = list(ServiceRequest.objects.select_for_update().filter(accession_number=accession)[:2])
    if not accession or not known:
        values = column_values(ServiceRequest, attributes)
        return ServiceRequest.objects.create(**values, sequences=dict(order.sequences))
    for each in known:
        issuer = attributes.get("IssuerOfPatientID", "")
        if (each.patient_id, each.issuer_of_patient_id) == (attributes["PatientID"], issuer):
            return each
    raise AlreadyExists("That accession number belongs to an order of another patient.")


def add_procedure(request: ServiceRequest, order: ProcedureOrder) -> RequestedProcedure:
    """One more procedure with its steps, in the caller's transaction. Raises AlreadyExists."""
    attributes = checked(Entity.PROCEDURE, order.attributes, new=True)
    attributes["StudyInstanceUID"] = attributes.get("StudyInstanceUID") or uids.mint()
    given = attributes.get("RequestedProcedureID", "")
    if given and request.procedures.filter(requested_procedure_id=given).exists():
        raise AlreadyExists("That Requested Procedure ID is in this order already.")
    procedure = RequestedProcedure.objects.create(
        service_request=request,
        **column_values(RequestedProcedure, attributes),
        sequences=dict(order.sequences),
    )
    if not given:
        procedure.requested_procedure_id = f"P{procedure.pk}"
        procedure.save(update_fields=["requested_procedure_id"])
    for step in order.steps:
        add_step(procedure, step)
    return procedure


def add_step(procedure: RequestedProcedure, order: StepOrder) -> ScheduledProcedureStep:
    """One more step, in the caller's transaction. Raises AlreadyExists."""
    attributes = checked(Entity.STEP, order.attributes, new=True)
    given = attributes.get("ScheduledProcedureStepID", "")
    if given and procedure.steps.filter(scheduled_procedure_step_id=given).exists():
        raise AlreadyExists("That Scheduled Procedure Step ID is in this procedure already.")
    step = ScheduledProcedureStep.objects.create(
        procedure=procedure,
        **column_values(ScheduledProcedureStep, attributes),
        sequences=dict(order.sequences),
    )
    if not given:
        step.scheduled_procedure_step_id = f"S{step.pk}"
        step.save(update_fields=["scheduled_procedure_step_id"])
    return step
