"""A worklist entry as a data set in the DICOM JSON Model (PS3.18 F.2, PS3.4 K.6-1)."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Model
from pydicom.datadict import tag_for_keyword

from apps.dicom.attributes import Attribute, Entity, snake
from apps.dicom.data_sets import Document, element
from apps.dicom.worklist import STEP_SEQUENCE, TABLE, of_entity
from apps.worklist.models import ScheduledProcedureStep

_STEP_SEQUENCE: Final = f"{STEP_SEQUENCE:08X}"


def entry_document(step: ScheduledProcedureStep) -> Document:
    """The whole entry without what it does not say; load `procedure__service_request` with it."""
    procedure = step.procedure
    request = procedure.service_request
    document: Document = {}
    _add(document, request, of_entity(Entity.PATIENT))
    _add(document, request, of_entity(Entity.SERVICE_REQUEST))
    _add(document, procedure, of_entity(Entity.PROCEDURE))
    own: Document = {}
    _add(own, step, of_entity(Entity.STEP))
    for owner, target in ((request, document), (procedure, document), (step, own)):
        _add_sequences(target, owner.sequences)
    document[_STEP_SEQUENCE] = {"vr": "SQ", "Value": [own]}
    return document


def entry_attributes(step: ScheduledProcedureStep) -> dict[str, str]:
    """What the entry says, by keyword: text in DICOM form, without what it does not say."""
    request = step.procedure.service_request
    owners: dict[Entity, Model] = {
        Entity.PATIENT: request,
        Entity.SERVICE_REQUEST: request,
        Entity.PROCEDURE: step.procedure,
        Entity.STEP: step,
    }
    values = {each.keyword: getattr(owners[each.entity], snake(each.keyword)) for each in TABLE}
    return {name: str(value) for name, value in values.items() if value not in ("", None)}


def _add(document: Document, row: Model, attributes: tuple[Attribute, ...]) -> None:
    for attribute in attributes:
        value = getattr(row, snake(attribute.keyword))
        if value not in ("", None):
            document[attribute.tag_hex] = element(attribute.vr, str(value))


def _add_sequences(document: Document, sequences: dict[str, list[Any]]) -> None:
    for keyword, items in sequences.items():
        tag = tag_for_keyword(keyword)
        if tag is not None and items:
            document[f"{tag:08X}"] = {"vr": "SQ", "Value": items}
