"""Where the compiler finds the attributes of a worklist entry, seen from its scheduled step."""

from __future__ import annotations

from typing import Final

from apps.dicom.attributes import Entity
from apps.indexing.compiler import EntityMap
from apps.worklist.models import ScheduledProcedureStep

ENTRIES: Final = EntityMap(
    model=ScheduledProcedureStep,
    paths={
        Entity.STEP: "",
        Entity.PROCEDURE: "procedure__",
        Entity.SERVICE_REQUEST: "procedure__service_request__",
        Entity.PATIENT: "procedure__service_request__",
    },
    ordering=("scheduled_procedure_step_start_date", "scheduled_procedure_step_start_time", "pk"),
    offset="",
)
