"""TABLE: the rules of the Unified Procedure Step (PS3.4 CC): states, faults, what a state needs.

Data sets are in the DICOM JSON Model. Nothing here knows what is stored.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from pydicom.datadict import dictionary_VR

from apps.dicom.data_sets import Document, items_at, text_at
from apps.dicom.mpps import tag_of
from apps.dicom.values import is_lawful
from apps.errors import InvalidValue, MissingAttribute, MissingValue, WrongState

PUSH: Final = "1.2.840.10008.5.1.4.34.6.1"
WATCH: Final = "1.2.840.10008.5.1.4.34.6.2"
PULL: Final = "1.2.840.10008.5.1.4.34.6.3"
EVENT: Final = "1.2.840.10008.5.1.4.34.6.4"
QUERY: Final = "1.2.840.10008.5.1.4.34.6.5"
GLOBAL_SUBSCRIPTION: Final = "1.2.840.10008.5.1.4.34.5"
FILTERED_SUBSCRIPTION: Final = "1.2.840.10008.5.1.4.34.5.1"

SCHEDULED: Final = "SCHEDULED"
IN_PROGRESS: Final = "IN PROGRESS"
COMPLETED: Final = "COMPLETED"
CANCELED: Final = "CANCELED"
STATES: Final = (SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED)
FINAL: Final = (COMPLETED, CANCELED)

STATE: Final = tag_of("ProcedureStepState")
TRANSACTION_UID: Final = tag_of("TransactionUID")
READINESS: Final = tag_of("InputReadinessState")
PRIORITY: Final = tag_of("ScheduledProcedureStepPriority")
PROGRESS: Final = tag_of("ProcedureStepProgressInformationSequence")
PERFORMED: Final = tag_of("UnifiedProcedureStepPerformedProcedureSequence")
MODIFIED: Final = tag_of("ScheduledProcedureStepModificationDateTime")
CANCELLED_AT: Final = tag_of("ProcedureStepCancellationDateTime")
REASON: Final = tag_of("ReasonForCancellation")
REASON_CODES: Final = tag_of("ProcedureStepDiscontinuationReasonCodeSequence")
STATIONS: Final = tag_of("ScheduledStationNameCodeSequence")
PERFORMERS: Final = tag_of("ScheduledHumanPerformersSequence")
_CLASS: Final = tag_of("SOPClassUID")
_INSTANCE: Final = tag_of("SOPInstanceUID")

# Table CC.2.5-3: type 1 in N-CREATE, and what is created empty where the SCU leaves it out.
_REQUIRED: Final = tuple(
    tag_of(each)
    for each in (
        "ScheduledProcedureStepPriority",
        "ProcedureStepLabel",
        "ScheduledProcedureStepStartDateTime",
        "InputReadinessState",
        "ProcedureStepState",
    )
)
_CREATED: Final = (
    "ProcedureStepProgressInformationSequence",
    "UnifiedProcedureStepPerformedProcedureSequence",
    "ScheduledWorkitemCodeSequence",
    "ScheduledProcessingParametersSequence",
    "ScheduledStationNameCodeSequence",
    "ScheduledHumanPerformersSequence",
    "InputInformationSequence",
    "CommentsOnTheScheduledProcedureStep",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "AdmissionID",
    "ReferencedRequestSequence",
)
_VALUES: Final = {PRIORITY: ("HIGH", "MEDIUM", "LOW"),
                  READINESS: ("INCOMPLETE", "UNAVAILABLE", "READY")}  # fmt: skip
# Final state P: each performed procedure needs these before COMPLETED; output may have no items.
_PERFORMED_VALUES: Final = tuple(
    tag_of(each)
    for each in (
        "PerformedStationNameCodeSequence",
        "PerformedProcedureStepStartDateTime",
        "PerformedWorkitemCodeSequence",
        "PerformedProcedureStepEndDateTime",
    )
)
_PATIENT_ID: Final = tag_of("PatientID")
# Four times what LO allows; longer ones could not be indexed.
_LONGEST_PATIENT_ID: Final = 256
_OUTPUT: Final = tag_of("OutputInformationSequence")
# What an N-SET can never touch.
_FIXED: Final = frozenset({_CLASS, _INSTANCE, TRANSACTION_UID, MODIFIED})
# Whose procedure it is: "Not Allowed" in an N-SET. The same again, as some send all they know, is.
_RELATIONSHIP: Final = tuple(
    tag_of(each)
    for each in (
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "IssuerOfPatientIDQualifiersSequence",
        "OtherPatientIDsSequence",
        "PatientBirthDate",
        "PatientSex",
        "AdmissionID",
        "IssuerOfAdmissionIDSequence",
        "AdmittingDiagnosesDescription",
        "AdmittingDiagnosesCodeSequence",
        "ReferencedRequestSequence",
    )
)
_MOMENTS: Final = tuple(
    tag_of(each)
    for each in (
        "ScheduledProcedureStepStartDateTime",
        "ExpectedCompletionDateTime",
        "ScheduledProcedureStepExpirationDateTime",
    )
)


class Fault(IntEnum):
    """Why a request about a UPS fails or is only noted: the standard's own codes (CC.2)."""

    NO_LONGER = 0xC300
    WRONG_TRANSACTION_UID = 0xC301
    ALREADY_IN_PROGRESS = 0xC302
    ONLY_BY_CREATION = 0xC303
    NOT_FINAL_YET = 0xC304
    UNKNOWN = 0xC307
    UNKNOWN_RECEIVER = 0xC308
    NOT_SCHEDULED = 0xC309
    NOT_IN_PROGRESS = 0xC310
    ALREADY_COMPLETED = 0xC311
    PERFORMER_OUT_OF_REACH = 0xC312
    NOT_APPROPRIATE = 0xC314
    ALREADY_CANCELED_WARNING = 0xB304
    ALREADY_COMPLETED_WARNING = 0xB306


WORDS: Final[dict[Fault, str]] = {
    Fault.NO_LONGER: "The UPS may no longer be updated",
    Fault.WRONG_TRANSACTION_UID: "The correct Transaction UID was not provided",
    Fault.ALREADY_IN_PROGRESS: "The UPS is already IN PROGRESS",
    Fault.ONLY_BY_CREATION: "The UPS may only become SCHEDULED via N-CREATE",
    Fault.NOT_FINAL_YET: "The UPS has not met final state requirements",
    Fault.UNKNOWN: "There is no such UPS here",
    Fault.UNKNOWN_RECEIVER: "Receiving AE-TITLE is unknown here or cannot be called",
    Fault.NOT_SCHEDULED: "The provided value of UPS State was not SCHEDULED",
    Fault.NOT_IN_PROGRESS: "The UPS is not yet in the IN PROGRESS state",
    Fault.ALREADY_COMPLETED: "The UPS is already COMPLETED",
    Fault.PERFORMER_OUT_OF_REACH: "The performer cannot be contacted",
    Fault.NOT_APPROPRIATE: "Action not appropriate for the specified instance",
    Fault.ALREADY_CANCELED_WARNING: "The UPS is already CANCELED",
    Fault.ALREADY_COMPLETED_WARNING: "The UPS is already COMPLETED",
}


MISSING_KEY: Final = "The Transaction UID is missing."


class UpsFault(WrongState):
    """A request that the state of the UPS, or the request itself, does not allow.

    `detail` says more exactly what the fault's own words leave open.
    """

    def __init__(self, fault: Fault, *, detail: str = "") -> None:
        super().__init__(f"{WORDS[fault]}.", detail=detail)
        self.fault = fault


def created(sop_instance_uid: str, document: Document, now: str) -> Document:
    """The data set of a new UPS (CC.2.5); `now` is a DT.

    Raises UpsFault, MissingAttribute, MissingValue, InvalidValue.
    """
    missing = tuple(tag for tag in _REQUIRED if tag not in document)
    if missing:
        raise MissingAttribute("Attributes of type 1 are missing.", offending=missing)
    empty = tuple(tag for tag in _REQUIRED if not text_at(document, tag))
    if empty:
        raise MissingValue("Attributes of type 1 have no value.", offending=empty)
    if text_at(document, STATE) != SCHEDULED:
        raise UpsFault(Fault.NOT_SCHEDULED)
    if text_at(document, TRANSACTION_UID):
        raise InvalidValue("A new UPS has no Transaction UID.", offending=(TRANSACTION_UID,))
    _check_values(document)
    empties = {tag_of(each): {"vr": str(dictionary_VR(each))} for each in _CREATED}
    label = {tag_of("WorklistLabel"): {"vr": "LO", "Value": ["default"]}}
    own = {
        _CLASS: {"vr": "UI", "Value": [PUSH]},
        _INSTANCE: {"vr": "UI", "Value": [sop_instance_uid]},
        MODIFIED: {"vr": "DT", "Value": [now]},
    }
    given = {tag: each for tag, each in document.items() if tag != TRANSACTION_UID}
    if not text_at(given, tag_of("WorklistLabel")):
        given.pop(tag_of("WorklistLabel"), None)
    return {**empties, **label, **given, **own}


def modified(current: Document, changes: Document, now: str) -> Document:
    """The data set after N-SET (CC.2.6); a sequence replaces the whole sequence.

    Raises UpsFault for the state, InvalidValue.
    """
    if STATE in changes and text_at(changes, STATE) != text_at(current, STATE):
        raise UpsFault(Fault.ONLY_BY_CREATION)
    emptied = tuple(tag for tag in _REQUIRED if tag in changes and not text_at(changes, tag))
    if emptied:
        raise MissingValue("Attributes of type 1 have no value.", offending=emptied)
    others = tuple(t for t in _RELATIONSHIP if t in changes and changes[t] != current.get(t))
    if others:
        raise InvalidValue("A UPS stays the patient's it was made for.", offending=others)
    _check_values(changes)
    kept = {tag: each for tag, each in changes.items() if tag not in _FIXED}
    return {**current, **kept, MODIFIED: {"vr": "DT", "Value": [now]}}


def _check_values(document: Document) -> None:
    wrong = tuple(
        tag
        for tag, allowed in _VALUES.items()
        if tag in document and text_at(document, tag) not in allowed
    )
    if wrong:
        raise InvalidValue("An enumerated value is none of those allowed.", offending=wrong)
    unlawful = tuple(tag for tag in _MOMENTS if not _is_moment(text_at(document, tag)))
    if unlawful:
        raise InvalidValue("A date and time is none.", offending=unlawful)
    if len(text_at(document, _PATIENT_ID)) > _LONGEST_PATIENT_ID:
        raise InvalidValue("The Patient ID is too long.", offending=(_PATIENT_ID,))
    with_nul = tuple(tag for tag, each in document.items() if _has_nul(each))
    if with_nul:
        raise InvalidValue("No text may hold a NUL.", offending=with_nul)


def _is_moment(text: str) -> bool:
    return not text or is_lawful("DT", text.strip())


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(map(_has_nul, value.values()))
    return isinstance(value, list) and any(map(_has_nul, value))


def finished(document: Document, state: str, now: str) -> Document:
    """The data set in a final state (CC.2.5.1.1). Raises UpsFault where something is missing.

    The moment of cancellation, which we know, is filled in.
    """
    if state == COMPLETED and not _is_complete(document):
        raise UpsFault(Fault.NOT_FINAL_YET)
    after = with_state(document, state, now)
    if state == CANCELED:
        progress = (items_at(document, PROGRESS) or [{}])[0]
        if not text_at(progress, CANCELLED_AT):
            progress = {**progress, CANCELLED_AT: {"vr": "DT", "Value": [now]}}
        after[PROGRESS] = {"vr": "SQ", "Value": [progress]}
    return after


def _is_complete(document: Document) -> bool:
    performed = items_at(document, PERFORMED)
    return bool(performed) and all(
        all(item.get(tag, {}).get("Value") for tag in _PERFORMED_VALUES) and _OUTPUT in item
        for item in performed
    )


def with_state(document: Document, state: str, now: str) -> Document:
    """The data set with another Procedure Step State."""
    moment = {"vr": "DT", "Value": [now]}
    return {**document, STATE: {"vr": "CS", "Value": [state]}, MODIFIED: moment}


def next_state(current: str, wanted: str, *, uid_is_right: bool) -> Fault | None:
    """None when the state may become `wanted`, else why not (table CC.1.1-2).

    `uid_is_right`: the request has a Transaction UID, and it is the one recorded if there is one.
    """
    if wanted == SCHEDULED:
        return Fault.ONLY_BY_CREATION
    if not uid_is_right:
        return Fault.WRONG_TRANSACTION_UID
    return _TRANSITIONS[wanted].get(current)


_TRANSITIONS: Final[dict[str, dict[str, Fault]]] = {
    IN_PROGRESS: {
        IN_PROGRESS: Fault.ALREADY_IN_PROGRESS,
        COMPLETED: Fault.NO_LONGER,
        CANCELED: Fault.NO_LONGER,
    },
    COMPLETED: {
        SCHEDULED: Fault.NOT_IN_PROGRESS,
        COMPLETED: Fault.ALREADY_COMPLETED_WARNING,
        CANCELED: Fault.NO_LONGER,
    },
    CANCELED: {
        SCHEDULED: Fault.NOT_IN_PROGRESS,
        COMPLETED: Fault.NO_LONGER,
        CANCELED: Fault.ALREADY_CANCELED_WARNING,
    },
}
