"""TABLE: the attributes of a worklist entry, and what a Modality Worklist query means (PS3.4 K).

An entry is one Scheduled Procedure Step with the Requested Procedure, the Imaging Service Request
and the Patient it belongs to. Its own attributes travel inside the Scheduled Procedure Step
Sequence, the others beside it. PS3.4 K.6-1 says what a key is: R required, O optional.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pydicom.datadict import keyword_dict

from apps.dicom.attributes import Attribute, Entity, Matching, any_attribute, row
from apps.dicom.criteria import Criterion, Universal, criterion_of
from apps.dicom.query import NEVER_MATCHED, Key, check_times, merged_moments
from apps.dicom.stored_keys import Node, key_tree
from apps.errors import InvalidRequest

STEP_SEQUENCE: Final = 0x00400100

_P, _R, _Q, _S = Entity.PATIENT, Entity.SERVICE_REQUEST, Entity.PROCEDURE, Entity.STEP
_M = Matching

# fmt: off
TABLE: Final[tuple[Attribute, ...]] = (
    #   keyword                                          entity  matching     PS3.4 PS3.18
    row("PatientName",                                   _P, _M.NAME,      "R", "", listed=True),
    row("PatientID",                                     _P, _M.WILDCARD,  "R", "", listed=True),
    row("IssuerOfPatientID",                             _P, _M.WILDCARD,  "O", ""),
    row("OtherPatientIDs",                               _P, _M.WILDCARD,  "O", ""),
    row("PatientBirthDate",                              _P, _M.RANGE,     "O", ""),
    row("PatientSex",                                    _P, _M.WILDCARD,  "O", ""),
    row("PatientSize",                                   _P, _M.SINGLE,    "O", ""),
    row("PatientWeight",                                 _P, _M.SINGLE,    "O", ""),
    row("EthnicGroup",                                   _P, _M.WILDCARD,  "O", ""),
    row("PatientComments",                               _P, _M.WILDCARD,  "O", ""),
    row("PatientState",                                  _P, _M.WILDCARD,  "O", ""),
    row("PregnancyStatus",                               _P, _M.SINGLE,    "O", ""),
    row("MedicalAlerts",                                 _P, _M.WILDCARD,  "O", ""),
    row("Allergies",                                     _P, _M.WILDCARD,  "O", ""),
    row("SpecialNeeds",                                  _P, _M.WILDCARD,  "O", ""),
    row("ConfidentialityConstraintOnPatientDataDescription", _P, _M.WILDCARD, "O", ""),

    row("AccessionNumber",                               _R, _M.WILDCARD,  "O", "", listed=True),
    row("ReferringPhysicianName",                        _R, _M.NAME,      "O", ""),
    row("RequestingPhysician",                           _R, _M.NAME,      "O", ""),
    row("RequestingService",                             _R, _M.WILDCARD,  "O", ""),
    row("PlacerOrderNumberImagingServiceRequest",        _R, _M.WILDCARD,  "O", ""),
    row("FillerOrderNumberImagingServiceRequest",        _R, _M.WILDCARD,  "O", ""),
    row("ImagingServiceRequestComments",                 _R, _M.WILDCARD,  "O", ""),
    row("AdmissionID",                                   _R, _M.WILDCARD,  "O", ""),
    row("CurrentPatientLocation",                        _R, _M.WILDCARD,  "O", ""),
    row("InstitutionName",                               _R, _M.WILDCARD,  "O", ""),

    row("StudyInstanceUID",                              _Q, _M.UID_LIST,  "O", ""),
    row("RequestedProcedureID",                          _Q, _M.WILDCARD,  "O", "", listed=True),
    row("RequestedProcedureDescription",                 _Q, _M.WILDCARD,  "O", ""),
    row("RequestedProcedurePriority",                    _Q, _M.WILDCARD,  "O", ""),
    row("ReasonForTheRequestedProcedure",                _Q, _M.WILDCARD,  "O", ""),
    row("RequestedProcedureComments",                    _Q, _M.WILDCARD,  "O", ""),
    row("PatientTransportArrangements",                  _Q, _M.WILDCARD,  "O", ""),
    row("RequestedProcedureLocation",                    _Q, _M.WILDCARD,  "O", ""),
    row("ConfidentialityCode",                           _Q, _M.WILDCARD,  "O", ""),
    row("ReportingPriority",                             _Q, _M.WILDCARD,  "O", ""),
    row("NamesOfIntendedRecipientsOfResults",            _Q, _M.NAME,      "O", ""),

    row("ScheduledStationAETitle",                       _S, _M.WILDCARD,  "R", "", listed=True),
    row("ScheduledProcedureStepStartDate",               _S, _M.RANGE,     "R", "", listed=True),
    row("ScheduledProcedureStepStartTime",               _S, _M.RANGE,     "R", "", listed=True),
    row("Modality",                                      _S, _M.WILDCARD,  "R", "", listed=True),
    row("ScheduledPerformingPhysicianName",              _S, _M.NAME,      "R", ""),
    row("ScheduledProcedureStepID",                      _S, _M.WILDCARD,  "O", "", listed=True),
    row("ScheduledProcedureStepDescription",             _S, _M.WILDCARD,  "O", ""),
    row("ScheduledStationName",                          _S, _M.WILDCARD,  "O", ""),
    row("ScheduledProcedureStepLocation",                _S, _M.WILDCARD,  "O", ""),
    row("ScheduledProcedureStepStatus",                  _S, _M.WILDCARD,  "O", ""),
    row("PreMedication",                                 _S, _M.WILDCARD,  "O", ""),
    row("RequestedContrastAgent",                        _S, _M.WILDCARD,  "O", ""),
    row("CommentsOnTheScheduledProcedureStep",           _S, _M.WILDCARD,  "O", ""),
)
# fmt: on

# Sequences an entry has beside its columns, answered and matched from its document.
SEQUENCES: Final[dict[str, Entity]] = {
    "IssuerOfAccessionNumberSequence": _R,
    "ReferencedPatientSequence": _P,
    "ReferencedStudySequence": _Q,
    "RequestedProcedureCodeSequence": _Q,
    "ReasonForRequestedProcedureCodeSequence": _Q,
    "ScheduledProtocolCodeSequence": _S,
}

BY_KEYWORD: Final[dict[str, Attribute]] = {each.keyword: each for each in TABLE}
_BY_PATH: Final[dict[tuple[int, ...], Attribute]] = {
    (STEP_SEQUENCE, each.tag) if each.entity is _S else (each.tag,): each for each in TABLE
}
_SEQUENCE_PATHS: Final[frozenset[tuple[int, ...]]] = frozenset(
    (STEP_SEQUENCE, keyword_dict[keyword]) if entity is _S else (keyword_dict[keyword],)
    for keyword, entity in SEQUENCES.items()
)
_START: Final = (
    BY_KEYWORD["ScheduledProcedureStepStartDate"],
    BY_KEYWORD["ScheduledProcedureStepStartTime"],
)


def of_entity(entity: Entity) -> tuple[Attribute, ...]:
    """The rows of one entity, in table order."""
    return tuple(each for each in TABLE if each.entity is entity)


@dataclass(frozen=True, slots=True)
class WorklistPlan:
    """A worklist query, read and checked.

    `criteria` are for columns; `tree` is what an answer holds, with what is matched in the entry's
    document. `unsupported` keys are ignored in matching, which a door has to admit (FF01).
    """

    criteria: tuple[tuple[Attribute, Criterion], ...]
    tree: dict[int, Node]
    unsupported: tuple[Key, ...]

    @property
    def narrows_in_document(self) -> bool:
        """True when columns alone do not decide."""
        return any(node.narrows for node in self.tree.values())

    def asks(self, keyword: str) -> bool:
        """True when the query narrows by that attribute."""
        return any(attribute.keyword == keyword for attribute, _ in self.criteria)


def plan_worklist(keys: Iterable[Key], zone: str = "") -> WorklistPlan:
    """Reads and checks all keys; raises InvalidRequest, `offending` naming the tags.

    The Scheduled Procedure Step's start date and time are one moment where both are ranges
    (PS3.4 K.6.1.2.2). `zone` is the offset a DT key is read in. The answer always has the Scheduled
    Procedure Step Sequence, with exactly one item.
    """
    found: dict[Attribute, Criterion] = {}
    answered: list[Key] = [Key((STEP_SEQUENCE,), ())]
    unsupported: list[Key] = []
    for key in _checked(keys):
        attribute = _BY_PATH.get(key.path) if not key.private_creator else None
        if attribute is not None:
            found[attribute] = criterion_of(attribute, key.values)
            answered.append(Key(key.path, ()))
        elif _in_document(key):
            answered.append(key)
        elif key.path != (STEP_SEQUENCE,):
            unsupported.append(key)
    criteria: dict[Attribute, Criterion] = {
        each: want for each, want in found.items() if not isinstance(want, Universal)
    }
    criteria = merged_moments(criteria, (_START,), combined=True, offset="")
    check_times(criteria)
    return WorklistPlan(
        tuple((each, criteria[each]) for each in TABLE if each in criteria),
        key_tree(answered, zone),
        tuple(unsupported),
    )


def _checked(keys: Iterable[Key]) -> Iterable[Key]:
    seen: set[tuple[tuple[int, ...], str]] = set()
    for key in keys:
        if (key.path, key.private_creator) in seen:
            raise InvalidRequest("A key may be given only once.", offending=(f"{key.path[0]:08X}",))
        seen.add((key.path, key.private_creator))
        if key.tag not in NEVER_MATCHED:
            yield key


def _in_document(key: Key) -> bool:
    """True for one of the sequences, and for standard attributes inside them."""
    if key.private_creator or any(any_attribute(tag) is None for tag in key.path):
        return False
    return any(key.path[: len(path)] == path for path in _SEQUENCE_PATHS)
