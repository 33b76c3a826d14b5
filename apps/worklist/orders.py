"""An order as every door hands it in: attributes by keyword, checked against the worklist table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Model

from apps.archive.columns import values_for
from apps.dicom import uids
from apps.dicom.attributes import Attribute, Entity, snake
from apps.dicom.values import is_lawful, normalise, split_values
from apps.dicom.worklist import BY_KEYWORD, SEQUENCES
from apps.errors import InvalidRequest, InvalidValue, MissingValue
from apps.worklist.models import ScheduledProcedureStep

_Sequences = Mapping[str, list[dict[str, Any]]]
# What no entry may lack: a modality cannot work without it (PS3.4 K.6-1, return key type 1).
_NEEDED: Final[dict[Entity, tuple[str, ...]]] = {
    Entity.SERVICE_REQUEST: ("PatientName", "PatientID"),
    Entity.PROCEDURE: (),
    Entity.STEP: (
        "Modality",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
    ),
}
# What identifies an entry; devices may have it already.
_IDS: Final = ("RequestedProcedureID", "ScheduledProcedureStepID", "StudyInstanceUID")
_STATUS: Final = "ScheduledProcedureStepStatus"


@dataclass(frozen=True, slots=True)
class StepOrder:
    """One Scheduled Procedure Step. `sequences`: keyword to items in the DICOM JSON Model."""

    attributes: Mapping[str, str]
    sequences: _Sequences = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProcedureOrder:
    """One Requested Procedure with its steps."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[StepOrder, ...] = ()
    sequences: _Sequences = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """One Imaging Service Request: patient and request attributes, and what is to be done."""

    attributes: Mapping[str, str]
    procedures: tuple[ProcedureOrder, ...] = ()
    sequences: _Sequences = field(default_factory=dict)


def order_of(attributes: Mapping[str, str], sequences: _Sequences | None = None) -> Order:
    """An order with one procedure and one step from one flat mapping of keywords.

    Raises InvalidRequest for a keyword the worklist does not know.
    """
    unknown = [each for each in attributes if each not in BY_KEYWORD]
    unknown += [each for each in sequences or {} if each not in SEQUENCES]
    if unknown:
        raise InvalidRequest(
            f"The worklist has no attribute {unknown[0]}.", offending=tuple(unknown)
        )
    parts: dict[Entity, dict[str, str]] = {entity: {} for entity in _NEEDED}
    items: dict[Entity, dict[str, list[dict[str, Any]]]] = {entity: {} for entity in _NEEDED}
    for keyword, text in attributes.items():
        parts[_owner(BY_KEYWORD[keyword].entity)][keyword] = text
    for keyword, value in (sequences or {}).items():
        items[_owner(SEQUENCES[keyword])][keyword] = value
    step = StepOrder(parts[Entity.STEP], items[Entity.STEP])
    procedure = ProcedureOrder(parts[Entity.PROCEDURE], (step,), items[Entity.PROCEDURE])
    return Order(parts[Entity.SERVICE_REQUEST], (procedure,), items[Entity.SERVICE_REQUEST])


def _owner(entity: Entity) -> Entity:
    return Entity.SERVICE_REQUEST if entity is Entity.PATIENT else entity


def checked(entity: Entity, attributes: Mapping[str, str], *, new: bool) -> dict[str, str]:
    """The attributes, normalised, of the entity that keeps them.

    Raises InvalidRequest, InvalidValue and, for a `new` one, MissingValue.
    """
    found: dict[str, str] = {}
    for keyword, text in attributes.items():
        attribute = BY_KEYWORD.get(keyword)
        if attribute is None or _owner(attribute.entity) is not entity or keyword == _STATUS:
            raise InvalidRequest(f"{keyword} cannot be given here.", offending=(keyword,))
        found[keyword] = _value(attribute, text)
    # A change leaves out what stays; what it names it must not empty.
    needed = [each for each in _NEEDED[entity] if not found.get(each) and (new or each in found)]
    if needed:
        raise MissingValue(f"An entry needs {', '.join(needed)}.", offending=tuple(needed))
    return found


def _value(attribute: Attribute, text: str) -> str:
    normal = normalise(attribute.vr, text)
    values = split_values(attribute.vr, normal) if normal else ()
    fits = len(values) <= 1 or attribute.multiple
    if not fits or not all(_is_legal(attribute.vr, value) for value in values):
        raise InvalidValue(
            f"That is no value of {attribute.keyword} ({attribute.vr}).",
            offending=(attribute.keyword,),
        )
    return normal


def _is_legal(vr: str, value: str) -> bool:
    if vr == "US":
        return value.isdecimal() and int(value) <= 0xFFFF  # noqa: PLR2004 - 16 bits
    return uids.is_valid(value) if vr == "UI" else is_lawful(vr, value)


def column_values(model: type[Model], attributes: Mapping[str, str]) -> dict[str, Any]:
    """The columns that these attributes fill, folded names included, and no others."""
    named = {snake(keyword) for keyword in attributes}
    values = values_for(model, dict(attributes))
    return {
        name: value
        for name, value in values.items()
        if name in named or name.rpartition("_")[0] in named
    }


def changes_of(
    found: ScheduledProcedureStep, attributes: Mapping[str, str], sequences: _Sequences
) -> Order:
    """Changes of one entry as an order that names its procedure and step by their IDs.

    Raises InvalidRequest for what identifies it: devices may have that already.
    """
    fixed = [name for name in _IDS if name in attributes]
    if fixed:
        raise InvalidRequest(f"{fixed[0]} cannot be changed.", offending=tuple(fixed))
    order = order_of(attributes, sequences)
    (procedure,) = order.procedures
    (step,) = procedure.steps
    changes: tuple[StepOrder, ...] = ()
    if step.attributes or step.sequences:
        own = {"ScheduledProcedureStepID": found.scheduled_procedure_step_id}
        changes = (StepOrder({**step.attributes, **own}, step.sequences),)
    own = {"RequestedProcedureID": found.procedure.requested_procedure_id}
    named = ProcedureOrder({**procedure.attributes, **own}, changes, procedure.sequences)
    return Order(order.attributes, (named,), order.sequences)
