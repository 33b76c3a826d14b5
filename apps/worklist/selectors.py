"""Questions to the worklist. Every one demands a principal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from django.db.models import Exists, OuterRef, QuerySet

from apps.access.principals import Permission, Principal, PrincipalKind, permit
from apps.archive.models import Instance
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
    ScheduledProcedureStep,
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


def matching_steps(plan: WorklistPlan) -> QuerySet[ScheduledProcedureStep]:
    """The entries whose columns match, in the worklist's order."""
    rows = ScheduledProcedureStep.objects.select_related("procedure__service_request")
    if not plan.asks("ScheduledProcedureStepStatus"):
        rows = rows.filter(scheduled_procedure_step_status__in=OPEN)
    found: QuerySet[ScheduledProcedureStep] = narrowed(rows, plan.criteria, ENTRIES)
    return found.order_by(*ENTRIES.ordering)


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
