"""Questions to the worklist. Every one demands a principal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from apps.access.principals import Permission, Principal, PrincipalKind, permit
from apps.archive.models import Instance, Study
from apps.dicom.data_sets import Document
from apps.dicom.query import Key
from apps.dicom.stored_keys import answer
from apps.dicom.worklist import STEP_SEQUENCE, WorklistPlan, plan_worklist
from apps.errors import NotFound
from apps.indexing.compiler import narrowed
from apps.worklist.documents import entry_document
from apps.worklist.entities import ENTRIES
from apps.worklist.models import (
    PerformedInstance,
    PerformedProcedureStep,
    RequestedProcedure,
    ScheduledProcedureStep,
    UnlinkedStudy,
    WorkflowPeer,
)
from apps.worklist.states import OPEN

_CHUNK: Final = 500
_STATION: Final = (STEP_SEQUENCE, 0x00400001)


@dataclass(frozen=True, slots=True)
class WorklistPage:
    """The answers to a worklist query, from a streaming cursor: iterate once.

    Each is a data set in the DICOM JSON Model with exactly one scheduled step. `unsupported` keys
    were ignored in matching; a door has to admit it (C-FIND: FF01).
    """

    entries: Iterator[Document]
    unsupported: tuple[Key, ...]


def search_worklist(keys: Iterable[Key], principal: Principal, *, zone: str = "") -> WorklistPage:
    """Entries that match, by start date and time; those begun or cancelled only if asked for.

    A device that is set to get its own entries, and names no station, gets those of its AE title.
    Raises InvalidRequest with the offending tags, NotPermitted.
    """
    permit(principal, Permission.VIEW_WORKLIST)
    plan = plan_worklist(_for_station(tuple(keys), principal), zone)
    return WorklistPage(_answers(plan, zone), plan.unsupported)


def _for_station(keys: tuple[Key, ...], principal: Principal) -> tuple[Key, ...]:
    if principal.kind is not PrincipalKind.APPLICATION_ENTITY:
        return keys
    if any(key.path == _STATION and not key.universal for key in keys):
        return keys
    narrowed_to_own = WorkflowPeer.objects.filter(
        application_entity__title=principal.name, own_entries_only=True
    )
    if not narrowed_to_own.exists():
        return keys
    others = (key for key in keys if key.path != _STATION)
    return (*others, Key(_STATION, (principal.name,)))


def matching_steps(
    plan: WorklistPlan, *, every_state: bool = False
) -> QuerySet[ScheduledProcedureStep]:
    """The entries whose columns match, in the worklist's order."""
    rows = ScheduledProcedureStep.objects.select_related("procedure__service_request")
    if not every_state and not plan.asks("ScheduledProcedureStepStatus"):
        rows = rows.filter(scheduled_procedure_step_status__in=OPEN)
    found: QuerySet[ScheduledProcedureStep] = narrowed(rows, plan.criteria, ENTRIES)
    return found.order_by(*ENTRIES.ordering)


def list_entries(
    principal: Principal, keys: Iterable[Key], *, every_state: bool = False
) -> QuerySet[ScheduledProcedureStep]:
    """Entries as rows, with what was done under them; those begun or ended if `every_state`.

    Raises InvalidRequest, NotPermitted.
    """
    permit(principal, Permission.VIEW_WORKLIST)
    rows = matching_steps(plan_worklist(keys), every_state=every_state)
    return rows.prefetch_related("performed_steps", "procedure__links__study")


def entry_of(step_id: int, principal: Principal) -> ScheduledProcedureStep:
    """One entry, whatever its state; raises NotFound, NotPermitted."""
    found = list_entries(principal, (), every_state=True).filter(pk=step_id).first()
    if found is None:
        raise NotFound("There is no such worklist entry.")
    return found


def _answers(plan: WorklistPlan, zone: str) -> Iterator[Document]:
    for step in matching_steps(plan).iterator(chunk_size=_CHUNK):
        found = answer(entry_document(step), plan.tree, zone)
        if found is not None:
            yield dict(found)


def performed_step(sop_instance_uid: str, principal: Principal) -> PerformedProcedureStep:
    """The performed step; raises NotFound, NotPermitted."""
    permit(principal, Permission.VIEW_WORKLIST)
    found = PerformedProcedureStep.objects.filter(sop_instance_uid=sop_instance_uid).first()
    if found is None:
        raise NotFound("There is no such performed step.")
    return found


def performed_steps(
    principal: Principal, *, status: str = "", patient_id: str = "", study_instance_uid: str = ""
) -> QuerySet[PerformedProcedureStep]:
    """Performed steps, the newest first, each with `expected` and `missing` instances counted.

    Empty text asks nothing. Raises NotPermitted.
    """
    permit(principal, Permission.VIEW_WORKLIST)
    rows = with_counts(PerformedProcedureStep.objects.all())
    if status:
        rows = rows.filter(status=status)
    if patient_id:
        rows = rows.filter(patient_id=patient_id)
    if study_instance_uid:
        rows = rows.filter(studies__study_instance_uid=study_instance_uid)
    return rows.prefetch_related("studies", "steps").order_by("-pk")


def with_counts(rows: QuerySet[PerformedProcedureStep]) -> QuerySet[PerformedProcedureStep]:
    """Adds `expected`, how many instances a step refers to, and `missing` of them."""
    missing = missing_instances(OuterRef("pk")).order_by().values("performed_step")
    return rows.annotate(
        expected=_counted(
            PerformedInstance.objects.filter(performed_step=OuterRef("pk"))
            .order_by()
            .values("performed_step")
        ),
        missing=_counted(missing),
    )


def _counted(rows: QuerySet[Any, Any]) -> Coalesce:
    return Coalesce(Subquery(rows.annotate(number=Count("pk")).values("number")), 0)


def unlinked_studies(principal: Principal) -> QuerySet[UnlinkedStudy]:
    """Studies that wait for somebody to say which order they belong to, the oldest first."""
    permit(principal, Permission.VIEW_WORKLIST)
    waiting = UnlinkedStudy.objects.filter(state=UnlinkedStudy.State.WAITING)
    return waiting.select_related("study").order_by("found_at", "pk")


def candidates_for(study: Study) -> QuerySet[RequestedProcedure]:
    """Procedures a study may belong to: its patient's, or those under its accession number."""
    wanted = Q(service_request__patient_id=study.patient_id) & ~Q(service_request__patient_id="")
    if study.accession_number:
        wanted |= Q(service_request__accession_number=study.accession_number)
    rows = RequestedProcedure.objects.filter(wanted).select_related("service_request")
    return rows.prefetch_related("steps").order_by("-pk")


def missing_instances(step: OuterRef | PerformedProcedureStep) -> QuerySet[PerformedInstance]:
    """What a performed step refers to and has not arrived."""
    arrived = Instance.objects.filter(sop_instance_uid=OuterRef("sop_instance_uid"))
    return PerformedInstance.objects.filter(~Exists(arrived), performed_step=step)


def unannounced_instances(step: PerformedProcedureStep) -> QuerySet[Instance]:
    """What arrived in the step's series without the step referring to it."""
    announced = PerformedInstance.objects.filter(
        performed_step=step, sop_instance_uid=OuterRef("sop_instance_uid")
    )
    series = step.instances.values("series_instance_uid")
    return Instance.objects.filter(~Exists(announced), series__series_instance_uid__in=series)
