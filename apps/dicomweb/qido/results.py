"""Answers of QIDO-RS: matches of the archive to DICOM JSON (PS3.18 10.6.3.3, Annex F)."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from apps.archive.selected import Match
from apps.dicom.attributes import BY_KEYWORD, BY_TAG, Entity
from apps.dicom.query import Level
from apps.dicom.uids import in_path

Element = dict[str, Any]

_UNSPLIT: Final = frozenset({"LT", "ST", "UT", "UR"})
_WHOLE: Final = frozenset({"IS", "US", "UL", "SS", "SL", "SV", "UV"})
_DECIMAL: Final = frozenset({"DS", "FL", "FD"})
_NAME_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")

# What an answer holds unless more is asked for, beyond the required keys (tables 10.6.3-3 to -5).
_ALWAYS: Final = {
    Level.STUDY: (
        "PatientBirthDate",
        "PatientSex",
        "StudyDescription",
        "ModalitiesInStudy",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    ),
    Level.SERIES: ("SeriesDescription", "NumberOfSeriesRelatedInstances"),
    Level.INSTANCE: ("NumberOfFrames", "Rows", "Columns", "BitsAllocated"),
}
# Without a value these are left out unless asked for: OHIF's study list dies of an empty one.
ONLY_WITH_VALUE: Final = frozenset({BY_KEYWORD["ModalitiesInStudy"].tag})
_UNIQUE: Final = frozenset(
    BY_KEYWORD[keyword].tag
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
)


def always_included(level: Level) -> frozenset[int]:
    """The tags that every answer of the level holds."""
    return frozenset(BY_KEYWORD[keyword].tag for keyword in _ALWAYS[level])


def unwanted_tags(
    level: Level, asked: frozenset[int], *, study: bool, series: bool
) -> frozenset[int]:
    """Attributes of levels that the path already names: left out unless asked for."""
    entities = set()
    if study and level is not Level.STUDY:
        entities |= {Entity.PATIENT, Entity.STUDY}
    if series and level is Level.INSTANCE:
        entities.add(Entity.SERIES)
    return frozenset(
        tag
        for tag, attribute in BY_TAG.items()
        if attribute.entity in entities and tag not in asked and tag not in _UNIQUE
    )


def result(
    match: Match, level: Level, base: str, unwanted: frozenset[int], asked: frozenset[int]
) -> dict[str, Element]:
    """One match as a DICOM JSON object, keys ascending."""
    found: dict[str, Element] = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
        "00080056": {"vr": "CS", "Value": ["ONLINE"]},
        "00081190": {"vr": "UR", "Value": [base + path_of(match, level)]},
    }
    for tag, text in match.values.items():
        if tag in unwanted or (not text and tag in ONLY_WITH_VALUE - asked):
            continue
        found[f"{tag:08X}"] = element(tag, text)
    for tag, item in match.items.items():
        found[f"{tag:08X}"] = item
    return dict(sorted(found.items()))


def path_of(match: Match, level: Level) -> str:
    """Where the match can be retrieved, below the base URL."""
    path = f"/studies/{in_path(match.study_instance_uid)}"
    if level is not Level.STUDY:
        path += f"/series/{in_path(match.series_instance_uid)}"
    if level is Level.INSTANCE:
        path += f"/instances/{in_path(match.sop_instance_uid)}"
    return path


@cache
def _vr(tag: int) -> str:
    return dictionary_VR(tag).split(" ")[0] if dictionary_has_tag(tag) else "UN"


def element(tag: int, text: str) -> Element:
    """Stored text as a JSON element; no `Value` where it is empty (PS3.18 F.2.5)."""
    vr = _vr(tag)
    if not text:
        return {"vr": vr}
    pieces = [text] if vr in _UNSPLIT else text.split("\\")
    return {"vr": vr, "Value": [_value(vr, piece) for piece in pieces]}


def _value(vr: str, text: str) -> Any:
    if vr == "PN":
        groups = zip(_NAME_GROUPS, text.split("="), strict=False)
        return {group: part for group, part in groups if part} or None
    if not text:
        return None
    try:
        if vr in _WHOLE:
            return int(text)
        if vr in _DECIMAL:
            return float(text)
    except ValueError:
        pass  # a value that is no number is passed on as the text it is (F.2.2 allows strings)
    return text
