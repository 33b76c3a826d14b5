"""start_step: a modality begins a procedure step (MPPS N-CREATE, PS3.4 F.7.2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.dicom import mpps, uids
from apps.dicom.data_sets import Document
from apps.dicom.mpps import ScheduledReference
from apps.errors import AlreadyExists, InvalidValue
from apps.events.log import NewEvent, record
from apps.worklist.actions.link_study import link_studies
from apps.worklist.deliveries import queue
from apps.worklist.models import (
    Delivery,
    PerformedProcedureStep,
    PerformedStudy,
    ScheduledProcedureStep,
)
from apps.worklist.performed import performed_columns, write_instances


@dataclass(frozen=True, slots=True)
class StepReport:
    """An N-CREATE: the SOP Instance UID, `""` to have one minted, and its data set."""

    sop_instance_uid: str
    document: Document


def start_step(principal: Principal, report: StepReport) -> PerformedProcedureStep:
    """The performed step, IN PROGRESS, with the worklist entries it works off.

    Raises NotPermitted, AlreadyExists, MissingAttribute, MissingValue, InvalidValue.
    """
    permit(principal, Permission.PERFORM_STEPS)
    uid = report.sop_instance_uid or uids.mint()
    if not uids.is_valid(uid):
        raise InvalidValue("That is no UID.", offending=("00001000",))
    if PerformedProcedureStep.objects.filter(sop_instance_uid=uid).exists():
        raise AlreadyExists("There is a performed step with this UID already.")
    document = mpps.created(report.document)
    studies = sorted({each.study_instance_uid for each in mpps.scheduled_references(document)})
    with transaction.atomic():
        performed = _add(principal, uid, document, studies)
        steps = list(performed.steps.values_list("pk", flat=True))
        queue(Delivery.Kind.CREATE, uid, report.document)
        payload = {"performed_step": uid, "steps": steps}
        record([NewEvent("StepStarted", actor_of(principal), each, payload=payload)
                for each in studies])  # fmt: skip
    link_studies(studies)
    return performed


def _add(
    principal: Principal, uid: str, document: Document, studies: list[str]
) -> PerformedProcedureStep:
    """The row with what hangs on it; the entries it works off have begun."""
    performed, new = PerformedProcedureStep.objects.get_or_create(
        sop_instance_uid=uid,
        defaults={
            "document": document,
            "source_ae_title": principal.name,
            "source_address": principal.address,
            **performed_columns(document),
        },
    )
    if not new:
        raise AlreadyExists("There is a performed step with this UID already.")
    PerformedStudy.objects.bulk_create(
        [PerformedStudy(performed_step=performed, study_instance_uid=each) for each in studies]
    )
    write_instances(performed, document)
    steps = _scheduled(mpps.scheduled_references(document), performed.patient_id)
    performed.steps.set(steps)
    status = ScheduledProcedureStep.Status
    ScheduledProcedureStep.objects.filter(pk__in=[each.pk for each in steps]).exclude(
        scheduled_procedure_step_status=status.CANCELED
    ).update(scheduled_procedure_step_status=status.STARTED)
    return performed


def _scheduled(
    asked: tuple[ScheduledReference, ...], patient_id: str
) -> list[ScheduledProcedureStep]:
    """The entries referred to, each once; an item that names none is an unscheduled step."""
    found: dict[int, ScheduledProcedureStep] = {}
    for each in asked:
        step = _step(each, patient_id)
        if step is not None:
            found[step.pk] = step
    return list(found.values())


def _step(reference: ScheduledReference, patient_id: str) -> ScheduledProcedureStep | None:
    """By Study Instance UID, else by accession number within the patient.

    The latter also in the group case, where one study was made for the procedures of several.
    """
    rows = ScheduledProcedureStep.objects.select_for_update()
    if reference.requested_procedure_id:
        rows = rows.filter(procedure__requested_procedure_id=reference.requested_procedure_id)
    if reference.scheduled_procedure_step_id:
        rows = rows.filter(scheduled_procedure_step_id=reference.scheduled_procedure_step_id)
    by_study = list(rows.filter(procedure__study_instance_uid=reference.study_instance_uid)[:2])
    if by_study:
        return by_study[0] if len(by_study) == 1 else None
    if not reference.accession_number or not reference.scheduled_procedure_step_id:
        return None
    by_accession = list(
        rows.filter(
            procedure__service_request__accession_number=reference.accession_number,
            procedure__service_request__patient_id=patient_id,
        )[:2]
    )
    return by_accession[0] if len(by_accession) == 1 else None
