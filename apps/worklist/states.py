"""TABLE: states of scheduled steps, and what a performed step's state makes of them."""

from __future__ import annotations

from typing import Final

from apps.worklist.models import PerformedProcedureStep, ScheduledProcedureStep

_S = ScheduledProcedureStep.Status
_P = PerformedProcedureStep.Status

# What the worklist shows unless a query names a status: nobody has begun it, nobody cancelled it.
OPEN: Final = (_S.SCHEDULED, _S.ARRIVED, _S.READY)
CANCELLABLE: Final = OPEN

# Performed status -> scheduled status and event.
EFFECTS: Final[dict[str, tuple[str, str]]] = {
    _P.IN_PROGRESS: (_S.STARTED, "StepChanged"),
    _P.COMPLETED: (_S.COMPLETED, "StepCompleted"),
    _P.DISCONTINUED: (_S.DISCONTINUED, "StepDiscontinued"),
}
