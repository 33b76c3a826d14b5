"""System check: every row of the worklist's attribute table has its column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model

from apps.archive.checks import column_type
from apps.dicom.attributes import Entity, snake
from apps.dicom.worklist import TABLE
from apps.worklist.models import RequestedProcedure, ScheduledProcedureStep, ServiceRequest

MODELS: Final[dict[Entity, type[Model]]] = {
    Entity.PATIENT: ServiceRequest,
    Entity.SERVICE_REQUEST: ServiceRequest,
    Entity.PROCEDURE: RequestedProcedure,
    Entity.STEP: ScheduledProcedureStep,
}
_GROUPS: Final = ("alphabetic", "ideographic", "phonetic")


def check_worklist_columns(
    app_configs: Sequence[AppConfig] | None = None,  # noqa: ARG001 - Django passes it
    **_: Any,
) -> list[CheckMessage]:
    """Errors E001 and E002, each naming the model and the keyword."""
    found: list[CheckMessage] = []
    for attribute in TABLE:
        model, name = MODELS[attribute.entity], snake(attribute.keyword)
        names = [name, *(f"{name}_{group}" for group in _GROUPS if attribute.vr == "PN")]
        missing = [each for each in names if not _has(model, each)]
        if missing:
            text = f"{attribute.keyword} lacks its columns: {', '.join(missing)}."
            found.append(Error(text, obj=model, id="worklist.E001"))
        elif not isinstance(model._meta.get_field(name), column_type(attribute)):
            text = f"{name} has to be a {column_type(attribute).__name__}."
            found.append(Error(text, obj=model, id="worklist.E002"))
    return found


def _has(model: type[Model], name: str) -> bool:
    try:
        model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True
