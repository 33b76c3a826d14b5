"""link_study: which requested procedures a study answers, or that a person has to say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.db.models import Q

from apps.archive.identity import PatientIdentity
from apps.archive.models import Study
from apps.events.log import Actor, NewEvent, record
from apps.worklist.models import (
    PerformedProcedureStep,
    RequestedProcedure,
    ScheduledProcedureStep,
    ServiceRequest,
    StudyLink,
    UnlinkedStudy,
)
from apps.worklist.states import OPEN

_ACTOR: Final = Actor("system", "worklist")
_Basis = StudyLink.Basis


@dataclass(frozen=True, slots=True)
class _Finding:
    """The procedures a study answers and why, or why none could be told."""

    procedures: tuple[RequestedProcedure, ...] = ()
    basis: str = ""
    doubt: str = ""


def link_study(study: Study) -> bool:
    """Links by Study Instance UID, else by performed step, else by accession number.

    The last within one patient. What should have an order and finds none waits for a person; what
    a person decided stays. True when the study is linked.
    """
    with transaction.atomic():
        study = Study.objects.select_for_update().get(pk=study.pk)
        decided = UnlinkedStudy.objects.filter(study=study).exclude(state="waiting").exists()
        wrong = _made_under_wrong_entry(study)
        if decided or (study.procedure_links.exists() and not wrong):
            return study.procedure_links.exists()
        if wrong:
            # A person alone can tell whose images these are; a link made before was a mistake.
            study.procedure_links.exclude(basis=_Basis.PERSON).delete()
            finding = _Finding(doubt="It was made under the wrong worklist entry.")
        else:
            finding = _find(study)
        if finding.procedures:
            _link(study, finding)
        elif finding.doubt:
            _wait(study, finding.doubt)
    return bool(finding.procedures)


def link_studies(study_uids: Iterable[str], accession_number: str = "") -> None:
    """The stored studies of these UIDs, or of that accession number."""
    wanted = Q(study_instance_uid__in=list(study_uids))
    if accession_number:
        wanted |= Q(accession_number=accession_number)
    for study in Study.objects.filter(wanted):
        link_study(study)


def _made_under_wrong_entry(study: Study) -> bool:
    return PerformedProcedureStep.objects.filter(
        wrong_entry=True, studies__study_instance_uid=study.study_instance_uid
    ).exists()


def _find(study: Study) -> _Finding:
    procedures = RequestedProcedure.objects.select_related("service_request")
    by_uid = list(procedures.filter(study_instance_uid=study.study_instance_uid))
    if by_uid:
        return _checked(study, by_uid, _Basis.STUDY_UID)
    performed = PerformedProcedureStep.objects.filter(
        studies__study_instance_uid=study.study_instance_uid
    )
    by_step = list(procedures.filter(steps__performed_steps__in=performed).distinct())
    if by_step:
        return _checked(study, by_step, _Basis.PERFORMED_STEP)
    if study.accession_number:
        return _by_accession(study)
    if performed.exists() and ServiceRequest.objects.exists():
        return _Finding(doubt="Its performed step names no order.")
    if _has_open_order(study):
        return _Finding(doubt="It names no order, and its patient has open ones.")
    return _Finding()


def _checked(study: Study, found: list[RequestedProcedure], basis: str) -> _Finding:
    own = [each for each in found if not _another_patient(study, each.service_request)]
    if not own:
        return _Finding(doubt="Its order is for another patient.")
    return _Finding(tuple(own), basis)


def _another_patient(study: Study, request: ServiceRequest) -> bool:
    """True when the order contradicts what the images say of their patient."""
    return _identity(study).contradicts(_identity(request))


def _identity(row: Study | ServiceRequest) -> PatientIdentity:
    return PatientIdentity(row.patient_id, row.issuer_of_patient_id, row.patient_name_alphabetic)


def _by_accession(study: Study) -> _Finding:
    requests = ServiceRequest.objects.filter(accession_number=study.accession_number)
    if not requests.exists():
        known = ServiceRequest.objects.exists()
        return _Finding(doubt="Its accession number belongs to no order." if known else "")
    own = [
        each
        for each in requests
        if study.patient_id == each.patient_id and not _another_patient(study, each)
    ]
    if not own:
        return _Finding(doubt="Its accession number belongs to another patient's order.")
    procedures = RequestedProcedure.objects.filter(service_request__in=own)
    modalities = [each for each in study.modalities_in_study.split("\\") if each]
    fitting = list(procedures.filter(steps__modality__in=modalities).distinct())
    if len(fitting) != 1:
        fitting = fitting or list(procedures)
    if len(fitting) != 1:
        return _Finding(doubt="Several procedures have its accession number.")
    return _Finding(tuple(fitting), _Basis.ACCESSION)


def _has_open_order(study: Study) -> bool:
    if not study.patient_id:
        return False
    return ScheduledProcedureStep.objects.filter(
        procedure__service_request__patient_id=study.patient_id,
        procedure__service_request__issuer_of_patient_id=study.issuer_of_patient_id,
        scheduled_procedure_step_status__in=OPEN,
    ).exists()


def _link(study: Study, finding: _Finding) -> None:
    StudyLink.objects.bulk_create(
        [
            StudyLink(procedure=each, study=study, basis=finding.basis)
            for each in finding.procedures
        ],
        ignore_conflicts=True,
    )
    UnlinkedStudy.objects.filter(study=study).delete()
    payload: dict[str, object] = {
        "procedures": [each.pk for each in finding.procedures],
        "basis": finding.basis,
    }
    record([_event("StudyLinked", study, payload)])


def _wait(study: Study, doubt: str) -> None:
    _, new = UnlinkedStudy.objects.update_or_create(
        study=study, defaults={"reason": doubt, "state": UnlinkedStudy.State.WAITING}
    )
    if new:
        record([_event("StudyNotLinked", study, {"reason": doubt})])


def _event(kind: str, study: Study, payload: dict[str, object]) -> NewEvent:
    return NewEvent(
        kind, _ACTOR, study.study_instance_uid, patient_key=study.patient_entity_id, payload=payload
    )
