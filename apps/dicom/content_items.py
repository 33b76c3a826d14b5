"""SR content items (PS3.3 C.17.3): one node of the tree and all below it, from DICOM JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from apps.dicom.json_values import (
    DicomJson,
    items,
    numbers,
    readable_date,
    readable_date_time,
    readable_name,
    readable_time,
    text_of,
    texts,
    whole_numbers,
)

_CONTENT: Final = "0040A730"
_CONCEPT_NAME: Final = "0040A043"
_CONCEPT_CODE: Final = "0040A168"
_MEASURED_VALUE: Final = "0040A300"
_UNITS: Final = "004008EA"
_REFERENCED_SOP: Final = "00081199"
_EVIDENCE: Final = ("0040A375", "0040A385")


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept (PS3.3 8): `meaning` is for people, `value` and `scheme` identify it."""

    value: str = ""
    scheme: str = ""
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A composite object a content item points at; the series is known if evidence lists it.

    `frames`, `segments` and `channels` are empty where the whole object is meant.
    """

    sop_class_uid: str
    sop_instance_uid: str
    kind: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    frames: tuple[int, ...] = ()
    segments: tuple[int, ...] = ()
    channels: tuple[int, ...] = ()
    presentation_state_uid: str = ""


@dataclass(frozen=True, slots=True)
class Coordinates:
    """A region (PS3.3 C.18.6, C.18.7, C.18.9): `points` column, row in pixels or x, y, z in mm.

    For temporal coordinates `points` are sample positions or seconds.
    """

    graphic_type: str
    dimensions: int
    points: tuple[float, ...] = ()
    frame_of_reference_uid: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number with its unit (UCUM mostly); `qualifier` says why there is none."""

    value: str
    unit: Code = Code()
    qualifier: str = ""


@dataclass(slots=True)
class ContentItem:
    """One node of the tree. `identifier` is its position, `1.3.2` (PS3.3 C.17.3.2.4).

    `role` is how to show it: heading, text, finding, measurement, reference, region, context.
    `text` is the value as a person reads it. `same_as` is the identifier of another item that
    stands here by reference.
    """

    identifier: str
    relationship: str
    value_type: str
    role: str
    concept: Code
    text: str = ""
    code: Code | None = None
    measurement: Measurement | None = None
    references: list[Reference] = field(default_factory=list)
    coordinates: Coordinates | None = None
    same_as: str = ""
    template: str = ""
    children: list[ContentItem] = field(default_factory=list)


CONTEXT_RELATIONSHIPS: Final = frozenset({"HAS OBS CONTEXT", "HAS CONCEPT MOD", "HAS ACQ CONTEXT"})
_ROLES: Final = {
    "CONTAINER": "heading",
    "TEXT": "text",
    "NUM": "measurement",
    "CODE": "finding",
    "IMAGE": "reference",
    "WAVEFORM": "reference",
    "COMPOSITE": "reference",
    "SCOORD": "region",
    "SCOORD3D": "region",
    "TCOORD": "region",
}


def walked(item: ContentItem) -> Iterator[ContentItem]:
    yield item
    for child in item.children:
        yield from walked(child)


def distinct_references(content: Iterable[ContentItem]) -> list[Reference]:
    """The objects referenced, each once, in order."""
    found = (ref for item in content for ref in item.references if ref.sop_instance_uid)
    return list(dict.fromkeys(found))


def content_item(node: DicomJson, identifier: str, evidence: Evidence) -> ContentItem:
    """The node and all below it; children are numbered from 1 as they stand."""
    value_type = text_of(node, "0040A040")
    relationship = text_of(node, "0040A010")
    in_context = relationship in CONTEXT_RELATIONSHIPS and value_type != "CONTAINER"
    item = ContentItem(
        identifier=identifier,
        relationship=relationship,
        value_type=value_type,
        role="context" if in_context else _ROLES.get(value_type, "text"),
        concept=code_of(node, _CONCEPT_NAME),
        same_as=".".join(texts(node, "0040DB73")),
        template=text_of(next(iter(items(node, "0040A504")), {}), "0040DB00"),
    )
    _fill(item, node, evidence)
    item.children = [
        content_item(child, f"{identifier}.{number}", evidence)
        for number, child in enumerate(items(node, _CONTENT), 1)
    ]
    return item


def _fill(item: ContentItem, node: DicomJson, evidence: Evidence) -> None:
    """The value of the item, by its value type (PS3.3 table C.17.3-7)."""
    kind = item.value_type
    if kind == "NUM":
        item.measurement = _measurement(node)
        unit = item.measurement.unit
        shown = "" if unit.value == "1" else unit.value or unit.meaning
        number = item.measurement.value or item.measurement.qualifier
        item.text = f"{number} {shown}".strip() if item.measurement.value else number
    elif kind == "CODE":
        item.code = code_of(node, _CONCEPT_CODE)
        item.text = item.code.meaning or item.code.value
    elif kind in ("SCOORD", "SCOORD3D", "TCOORD"):
        item.coordinates = _coordinates(node, kind)
        item.text = item.coordinates.graphic_type
    elif kind in _PLAIN_VALUES:
        tag, shown_as = _PLAIN_VALUES[kind]
        item.text = shown_as(text_of(node, tag))
    item.references = [_reference(each, kind, evidence) for each in items(node, _REFERENCED_SOP)]


def _measurement(node: DicomJson) -> Measurement:
    qualifier = code_of(node, "0040A301").meaning
    for measured in items(node, _MEASURED_VALUE):
        return Measurement(text_of(measured, "0040A30A"), code_of(measured, _UNITS), qualifier)
    return Measurement("", Code(), qualifier)


def _coordinates(node: DicomJson, kind: str) -> Coordinates:
    if kind == "TCOORD":
        positions = numbers(node, "0040A132") or numbers(node, "0040A138")
        return Coordinates(text_of(node, "0040A130"), 1, positions)
    return Coordinates(
        graphic_type=text_of(node, "00700023"),
        dimensions=3 if kind == "SCOORD3D" else 2,
        points=numbers(node, "00700022"),
        frame_of_reference_uid=text_of(node, "30060024"),
    )


Evidence = dict[str, tuple[str, str]]
"""SOP Instance UID to Study and Series Instance UID."""


def evidence_of(instance: DicomJson) -> Evidence:
    """Where referenced instances belong, by the evidence sequences (PS3.3 C.17.2.3)."""
    found: Evidence = {}
    for tag in _EVIDENCE:
        for study in items(instance, tag):
            for series in items(study, "00081115"):
                place = (text_of(study, "0020000D"), text_of(series, "0020000E"))
                for each in items(series, _REFERENCED_SOP):
                    found[text_of(each, "00081155")] = place
    return found


def _reference(node: DicomJson, kind: str, evidence: Evidence) -> Reference:
    uid = text_of(node, "00081155")
    study, series = evidence.get(uid, ("", ""))
    states = [text_of(each, "00081155") for each in items(node, _REFERENCED_SOP)]
    return Reference(
        sop_class_uid=text_of(node, "00081150"),
        sop_instance_uid=uid,
        kind=kind,
        study_instance_uid=study,
        series_instance_uid=series,
        frames=whole_numbers(node, "00081160"),
        segments=whole_numbers(node, "0062000B"),
        channels=whole_numbers(node, "0040A0B0"),
        presentation_state_uid=states[0] if states else "",
    )


def code_of(node: DicomJson, tag: str) -> Code:
    for each in items(node, tag):
        value = text_of(each, "00080100") or text_of(each, "00080119") or text_of(each, "00080120")
        return Code(value, text_of(each, "00080102"), text_of(each, "00080104"))
    return Code()


def _same(text: str) -> str:
    return text


_PLAIN_VALUES: Final = {
    "TEXT": ("0040A160", _same),
    "PNAME": ("0040A123", readable_name),
    "DATE": ("0040A121", readable_date),
    "TIME": ("0040A122", readable_time),
    "DATETIME": ("0040A120", readable_date_time),
    "UIDREF": ("0040A124", _same),
}
