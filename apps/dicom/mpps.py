"""TABLE: the rules of the Modality Performed Procedure Step (PS3.4 F.7.2, table F.7.2-1).

Data sets are in the DICOM JSON Model. Nothing here knows what is stored: the functions check what
a modality sends against what it sent before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydicom.datadict import dictionary_VR, tag_for_keyword

from apps.dicom.data_sets import Document, items_at, text_at
from apps.errors import InvalidValue, MissingAttribute, MissingValue

IN_PROGRESS: Final = "IN PROGRESS"
COMPLETED: Final = "COMPLETED"
DISCONTINUED: Final = "DISCONTINUED"
STATUSES: Final = (IN_PROGRESS, COMPLETED, DISCONTINUED)

# CID 9300: the step was done under an entry that was not the patient's, or not the procedure's.
WRONG_ENTRY: Final = ("110514", "DCM")


def tag_of(keyword: str) -> str:
    """Eight hexadecimal digits."""
    return f"{tag_for_keyword(keyword) or 0:08X}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One attribute: its type in N-CREATE, whether N-SET may change it, its type when final."""

    keyword: str
    create: str
    settable: bool = False
    final: str = ""

    @property
    def tag(self) -> str:
        """Eight hexadecimal digits."""
        return tag_of(self.keyword)


# fmt: off
TABLE: Final[tuple[Rule, ...]] = (
    Rule("ScheduledStepAttributesSequence",              "1"),
    Rule("PatientName",                                  "2"),
    Rule("PatientID",                                    "2"),
    Rule("PatientBirthDate",                             "2"),
    Rule("PatientSex",                                   "2"),
    Rule("ReferencedPatientSequence",                    "2"),
    Rule("PerformedProcedureStepID",                     "1"),
    Rule("PerformedStationAETitle",                      "1"),
    Rule("PerformedStationName",                         "2"),
    Rule("PerformedLocation",                            "2"),
    Rule("PerformedProcedureStepStartDate",              "1"),
    Rule("PerformedProcedureStepStartTime",              "1"),
    Rule("PerformedProcedureStepStatus",                 "1", settable=True),
    Rule("PerformedProcedureStepDescription",            "2", settable=True),
    Rule("PerformedProcedureTypeDescription",            "2", settable=True),
    Rule("ProcedureCodeSequence",                        "2", settable=True),
    Rule("PerformedProcedureStepEndDate",                "2", settable=True, final="1"),
    Rule("PerformedProcedureStepEndTime",                "2", settable=True, final="1"),
    Rule("PerformedProcedureStepDiscontinuationReasonCodeSequence", "2", settable=True),
    Rule("Modality",                                     "1"),
    Rule("StudyID",                                      "2"),
    Rule("PerformedProtocolCodeSequence",                "2", settable=True),
    Rule("PerformedSeriesSequence",                      "2", settable=True, final="1"),
)
# fmt: on

_BY_TAG: Final = {rule.tag: rule for rule in TABLE}
_STATUS: Final = tag_of("PerformedProcedureStepStatus")
_SCHEDULED: Final = tag_of("ScheduledStepAttributesSequence")
_STUDY: Final = tag_of("StudyInstanceUID")
_SERIES_SEQUENCE: Final = tag_of("PerformedSeriesSequence")
_SERIES: Final = tag_of("SeriesInstanceUID")
_REASON: Final = tag_of("PerformedProcedureStepDiscontinuationReasonCodeSequence")
_REFERENCES: Final = (
    tag_of("ReferencedImageSequence"),
    tag_of("ReferencedNonImageCompositeSOPInstanceSequence"),
)


@dataclass(frozen=True, slots=True)
class ScheduledReference:
    """One item of the Scheduled Step Attributes Sequence: which entry was worked off.

    Empty text where it says nothing; an unscheduled step names a study and no more.
    """

    study_instance_uid: str
    accession_number: str
    requested_procedure_id: str
    scheduled_procedure_step_id: str


@dataclass(frozen=True, slots=True)
class Reference:
    """One instance the step says it made."""

    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


def status_of(document: Document) -> str:
    """Performed Procedure Step Status."""
    return text_at(document, _STATUS)


def created(document: Document) -> Document:
    """What N-CREATE makes: as sent, and empty what the table creates without a word (type 2).

    Raises MissingAttribute, MissingValue, InvalidValue (F.7.2.1).
    """
    required = [rule.tag for rule in TABLE if rule.create == "1"]
    missing = tuple(tag for tag in required if tag not in document)
    if missing:
        raise MissingAttribute("Attributes of type 1 are missing.", offending=missing)
    empty = tuple(tag for tag in required if not document[tag].get("Value"))
    if empty:
        raise MissingValue("Attributes of type 1 have no value.", offending=empty)
    if any(not text_at(item, _STUDY) for item in items_at(document, _SCHEDULED)):
        raise MissingValue(
            "A scheduled step has no Study Instance UID.", offending=(_SCHEDULED, _STUDY)
        )
    if status_of(document) != IN_PROGRESS:
        raise InvalidValue("A step begins IN PROGRESS.", offending=(_STATUS,))
    empties = {tag: {"vr": dictionary_VR(rule.keyword)} for tag, rule in _BY_TAG.items()}
    return {**empties, **document}


def modified(current: Document, changes: Document) -> tuple[Document, tuple[str, ...]]:
    """The data set after N-SET, and the tags that were left as they are.

    A sequence replaces the whole sequence (F.7.2.2.2). What N-CREATE did not make, or may not be
    changed, stays. Raises InvalidValue; for a final status also MissingValue.
    """
    status = status_of(changes) if _STATUS in changes else status_of(current)
    if status not in STATUSES:
        raise InvalidValue("That is no status of a performed step.", offending=(_STATUS,))
    ignored = tuple(tag for tag in changes if not _may_set(tag, current, changes))
    after = {**current, **{tag: changes[tag] for tag in changes if tag not in ignored}}
    if status != IN_PROGRESS:
        _check_final(after, status)
    return after, ignored


def _may_set(tag: str, current: Document, changes: Document) -> bool:
    if changes[tag] == current.get(tag):
        return True
    rule = _BY_TAG.get(tag)
    return rule.settable if rule is not None else tag in current


def _check_final(document: Document, status: str) -> None:
    needed = {rule.tag for rule in TABLE if rule.final == "1"}
    if status == DISCONTINUED:
        needed.discard(_SERIES_SEQUENCE)  # it may have ended before there was a series
    empty = tuple(sorted(tag for tag in needed if not document.get(tag, {}).get("Value")))
    if not empty and any(not text_at(s, _SERIES) for s in items_at(document, _SERIES_SEQUENCE)):
        empty = (_SERIES_SEQUENCE, _SERIES)
    if empty:
        raise MissingValue("A final step lacks values.", offending=empty)


def scheduled_references(document: Document) -> tuple[ScheduledReference, ...]:
    """Which entries the step worked off."""
    return tuple(
        ScheduledReference(
            study_instance_uid=text_at(item, _STUDY),
            accession_number=text_at(item, tag_of("AccessionNumber")),
            requested_procedure_id=text_at(item, tag_of("RequestedProcedureID")),
            scheduled_procedure_step_id=text_at(item, tag_of("ScheduledProcedureStepID")),
        )
        for item in items_at(document, _SCHEDULED)
    )


def references(document: Document) -> Iterator[Reference]:
    """Every instance the step refers to, images and others."""
    for series in items_at(document, _SERIES_SEQUENCE):
        for sequence in _REFERENCES:
            for item in items_at(series, sequence):
                uid = text_at(item, "00081155")
                if uid:
                    yield Reference(text_at(series, _SERIES), text_at(item, "00081150"), uid)


def is_wrong_entry(document: Document) -> bool:
    """True for a step discontinued because it was done under the wrong worklist entry."""
    codes = items_at(document, _REASON)
    return status_of(document) == DISCONTINUED and any(
        (text_at(code, "00080100"), text_at(code, "00080102")) == WRONG_ENTRY for code in codes
    )
