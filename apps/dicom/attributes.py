"""TABLE: the attributes we index. The root of columns, query keys, filters and documents.

Tag, VR and VM come from pydicom's dictionary, so no row can contradict PS3.6. PS3.4 says how the
attribute matches as a key: U unique, R required, O optional; PS3.18 marks R what every answer of
that entity holds (PS3.18 10.6.3.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from typing import Final

from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_dict, keyword_for_tag


class Entity(Enum):
    """The entities of the Query/Retrieve models (PS3.4 C.6), top down; the worklist's (K.6)."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    INSTANCE = "IMAGE"

    SERVICE_REQUEST = "IMAGING SERVICE REQUEST"
    PROCEDURE = "REQUESTED PROCEDURE"
    STEP = "SCHEDULED PROCEDURE STEP"


class Matching(Enum):
    """How the attribute matches when it is a key (PS3.4 C.2.2.2)."""

    SINGLE = "single value"
    UID_LIST = "list of UID"
    WILDCARD = "wild card"
    NAME = "wild card, person name"
    RANGE = "range"
    ANY_OF = "any value of children"
    COUNT = "count of children"


@dataclass(frozen=True)
class Attribute:
    """One row: where an attribute lives, and what it means as a key."""

    keyword: str
    entity: Entity
    matching: Matching
    ps3_4: str
    ps3_18: str
    listed: bool = False
    from_children: str = ""

    def __hash__(self) -> int:
        """By the keyword, of which there is one: every search asks hundreds of times."""
        return hash(self.keyword)

    @cached_property
    def tag(self) -> int:
        """The tag as a number, group in the high 16 bits."""
        return int(keyword_dict[self.keyword])

    @cached_property
    def vr(self) -> str:
        """Value representation by PS3.6; the first where PS3.6 leaves a choice."""
        return str(dictionary_VR(self.tag)).split(" ")[0]

    @cached_property
    def vm(self) -> str:
        """Value multiplicity by PS3.6, such as `1` or `1-n`."""
        return str(dictionary_VM(self.tag))

    @property
    def multiple(self) -> bool:
        """True where an object may hold several values, any of which may match (C.2.2.3)."""
        return self.vm != "1"

    @property
    def tag_hex(self) -> str:
        """Eight upper-case hexadecimal digits (PS3.18 F.2.2)."""
        return f"{self.tag:08X}"


def row(
    keyword: str,
    entity: Entity,
    matching: Matching,
    ps3_4: str,
    ps3_18: str,
    *,
    listed: bool = False,
    from_children: str = "",
) -> Attribute:
    """One line of the table; a keyword PS3.6 does not have fails at import."""
    if keyword not in keyword_dict:
        raise ValueError(f"{keyword} is no keyword of PS3.6")
    return Attribute(keyword, entity, matching, ps3_4, ps3_18, listed, from_children)


_P, _S, _E, _I = Entity.PATIENT, Entity.STUDY, Entity.SERIES, Entity.INSTANCE
_M = Matching

# fmt: off
TABLE: Final[tuple[Attribute, ...]] = (
    #   keyword                                entity  matching     PS3.4 PS3.18
    row("PatientName",                         _P, _M.NAME,      "R", "R", listed=True),
    row("PatientID",                           _P, _M.WILDCARD,  "U", "R", listed=True),
    row("IssuerOfPatientID",                   _P, _M.WILDCARD,  "O", "O"),
    row("PatientBirthDate",                    _P, _M.RANGE,     "O", "R", listed=True),
    row("PatientSex",                          _P, _M.WILDCARD,  "O", "R", listed=True),
    row("OtherPatientIDs",                     _P, _M.WILDCARD,  "O", "O"),
    row("EthnicGroup",                         _P, _M.WILDCARD,  "O", "O"),
    row("PatientComments",                     _P, _M.WILDCARD,  "O", "O"),

    row("StudyInstanceUID",                    _S, _M.UID_LIST,  "U", "R"),
    row("StudyDate",                           _S, _M.RANGE,     "R", "R", listed=True),
    row("StudyTime",                           _S, _M.RANGE,     "R", "R", listed=True),
    row("AccessionNumber",                     _S, _M.WILDCARD,  "R", "R", listed=True),
    row("StudyID",                             _S, _M.WILDCARD,  "R", "R"),
    row("StudyDescription",                    _S, _M.WILDCARD,  "O", "O", listed=True),
    row("ReferringPhysicianName",              _S, _M.NAME,      "O", "R", listed=True),
    row("NameOfPhysiciansReadingStudy",        _S, _M.NAME,      "O", "O"),
    row("AdmittingDiagnosesDescription",       _S, _M.WILDCARD,  "O", "O"),
    row("PatientAge",                          _S, _M.WILDCARD,  "O", "O"),
    row("PatientSize",                         _S, _M.SINGLE,    "O", "O"),
    row("PatientWeight",                       _S, _M.SINGLE,    "O", "O"),
    row("ModalitiesInStudy",                   _S, _M.ANY_OF,    "O", "R", listed=True,
        from_children="Modality"),
    row("SOPClassesInStudy",                   _S, _M.ANY_OF,    "O", "O",
        from_children="SOPClassUID"),
    row("NumberOfStudyRelatedSeries",          _S, _M.COUNT,     "O", "R", listed=True),
    row("NumberOfStudyRelatedInstances",       _S, _M.COUNT,     "O", "R", listed=True),
    row("NumberOfPatientRelatedStudies",       _P, _M.COUNT,     "O", "O"),
    row("NumberOfPatientRelatedSeries",        _P, _M.COUNT,     "O", "O"),
    row("NumberOfPatientRelatedInstances",     _P, _M.COUNT,     "O", "O"),

    row("SeriesInstanceUID",                   _E, _M.UID_LIST,  "U", "R"),
    row("Modality",                            _E, _M.WILDCARD,  "R", "R", listed=True),
    row("SeriesNumber",                        _E, _M.SINGLE,    "R", "R"),
    row("SeriesDescription",                   _E, _M.WILDCARD,  "O", "R"),
    row("SeriesDate",                          _E, _M.RANGE,     "O", "O"),
    row("SeriesTime",                          _E, _M.RANGE,     "O", "O"),
    row("BodyPartExamined",                    _E, _M.WILDCARD,  "O", "O", listed=True),
    row("Laterality",                          _E, _M.WILDCARD,  "O", "O"),
    row("ProtocolName",                        _E, _M.WILDCARD,  "O", "O"),
    row("Manufacturer",                        _E, _M.WILDCARD,  "O", "O"),
    row("ManufacturerModelName",               _E, _M.WILDCARD,  "O", "O"),
    row("StationName",                         _E, _M.WILDCARD,  "O", "O", listed=True),
    row("InstitutionName",                     _E, _M.WILDCARD,  "O", "O"),
    row("InstitutionalDepartmentName",         _E, _M.WILDCARD,  "O", "O"),
    row("OperatorsName",                       _E, _M.NAME,      "O", "O"),
    row("PerformingPhysicianName",             _E, _M.NAME,      "O", "O"),
    row("FrameOfReferenceUID",                 _E, _M.UID_LIST,  "O", "O"),
    row("PerformedProcedureStepStartDate",     _E, _M.RANGE,     "O", "R"),
    row("PerformedProcedureStepStartTime",     _E, _M.RANGE,     "O", "R"),
    row("NumberOfSeriesRelatedInstances",      _E, _M.COUNT,     "O", "R"),

    row("SOPInstanceUID",                      _I, _M.UID_LIST,  "U", "R"),
    row("SOPClassUID",                         _I, _M.UID_LIST,  "O", "R"),
    row("InstanceNumber",                      _I, _M.SINGLE,    "R", "R"),
    row("AcquisitionNumber",                   _I, _M.SINGLE,    "O", "O"),
    row("AcquisitionDate",                     _I, _M.RANGE,     "O", "O"),
    row("AcquisitionTime",                     _I, _M.RANGE,     "O", "O"),
    row("ContentDate",                         _I, _M.RANGE,     "O", "O"),
    row("ContentTime",                         _I, _M.RANGE,     "O", "O"),
    row("ImageType",                           _I, _M.WILDCARD,  "O", "O"),
    row("Rows",                                _I, _M.SINGLE,    "O", "R"),
    row("Columns",                             _I, _M.SINGLE,    "O", "R"),
    row("BitsAllocated",                       _I, _M.SINGLE,    "O", "R"),
    row("NumberOfFrames",                      _I, _M.SINGLE,    "O", "R"),
    row("PhotometricInterpretation",           _I, _M.WILDCARD,  "O", "O"),
    row("CompletionFlag",                      _I, _M.WILDCARD,  "O", "O"),
    row("VerificationFlag",                    _I, _M.WILDCARD,  "O", "O"),
    row("ContentLabel",                        _I, _M.WILDCARD,  "O", "O"),
    row("LossyImageCompression",               _I, _M.WILDCARD,  "O", "O"),
)
# fmt: on

# Attributes answered and matched from the stored DICOM JSON, at their own level and below. They
# have no column: a query by one reads the metadata of every candidate its other keys leave.
STORED: Final[dict[str, Entity]] = {
    "ProcedureCodeSequence": _S,
    "IssuerOfAccessionNumberSequence": _S,
    "ReferencedStudySequence": _S,
    "ReasonForPerformedProcedureCodeSequence": _S,
    "PhysiciansOfRecord": _S,
    "RequestAttributesSequence": _E,
    "PerformedProtocolCodeSequence": _E,
    "ReferencedPerformedProcedureStepSequence": _E,
    "SeriesDescriptionCodeSequence": _E,
    "PatientPosition": _E,
}

# Date and time that name one moment, where zones or combined matching bring them together.
TIME_OF: Final[dict[str, str]] = {
    "StudyDate": "StudyTime",
    "SeriesDate": "SeriesTime",
    "PerformedProcedureStepStartDate": "PerformedProcedureStepStartTime",
    "AcquisitionDate": "AcquisitionTime",
    "ContentDate": "ContentTime",
}

BY_KEYWORD: Final[dict[str, Attribute]] = {each.keyword: each for each in TABLE}
BY_TAG: Final[dict[int, Attribute]] = {each.tag: each for each in TABLE}

UNIQUE_KEYS: Final[dict[Entity, str]] = {
    _P: "PatientID",
    _S: "StudyInstanceUID",
    _E: "SeriesInstanceUID",
    _I: "SOPInstanceUID",
}


def of_entity(entity: Entity) -> tuple[Attribute, ...]:
    """The rows of one entity, in table order."""
    return tuple(each for each in TABLE if each.entity is entity)


def any_attribute(tag: int) -> Attribute | None:
    """The table's row, or one made for a standard attribute we have no column for, else None."""
    known = BY_TAG.get(tag)
    if known is not None:
        return known
    keyword = keyword_for_tag(tag)
    # A plane of overlays or curves, such as 60xx3000, has a keyword and no place in the dictionary.
    if not keyword or keyword not in keyword_dict:
        return None
    matching = Matching.NAME if dictionary_VR(tag) == "PN" else Matching.SINGLE
    return Attribute(keyword, STORED.get(keyword, Entity.INSTANCE), matching, "", "")


@lru_cache(maxsize=4096)
def snake(keyword: str) -> str:
    """`StudyInstanceUID` -> `study_instance_uid`: the one mapping from keyword to column."""
    out: list[str] = []
    for position, letter in enumerate(keyword):
        before = keyword[position - 1] if position else ""
        after = keyword[position + 1] if position + 1 < len(keyword) else ""
        starts_word = (
            letter.isupper()
            and position > 0
            and (before.islower() or before.isdigit() or (after.islower() and after != "s"))
        )
        if starts_word:
            out.append("_")
        out.append(letter.lower())
    return "".join(out)
