"""SR content tree to an outline that can be laid out as a page (PS3.3 C.17, PS3.16).

Input is the DICOM JSON of one instance (PS3.18 F): any SR SOP Class or a Key Object Selection. The
outline is plain dataclasses; `Report.as_dict()` gives what the front end renders. Reading is
tolerant: a content item that lacks what its value type demands has an empty text, never an error.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from apps.dicom.content_items import (
    CONTEXT_RELATIONSHIPS,
    Code,
    ContentItem,
    Coordinates,
    Reference,
    content_item,
    distinct_references,
    evidence_of,
    walked,
)
from apps.dicom.json_values import (
    DicomJson,
    items,
    readable_date,
    readable_date_time,
    readable_name,
    readable_time,
    text_of,
)
from apps.dicom.sop_classes import sop_class

# Concepts of context group DCM that the outline knows (PS3.16).
_OBSERVER_TYPE: Final = "121005"
_OBSERVER_PARTS: Final = {
    "121008": "name",
    "121009": "organization",
    "121010": "role",
    "121011": "role",
    "121012": "uid",
    "121013": "name",
    "121014": "manufacturer",
    "121015": "model",
    "121016": "serial_number",
}
_MEASUREMENT_GROUP: Final = "125007"
_TRACKING_IDENTIFIER: Final = "112039"
_TRACKING_UID: Final = "112040"
_FINDING: Final = "121071"
_FINDING_CATEGORIES: Final = frozenset({"276214006", "G-D4AE"})
_FINDING_SITES: Final = frozenset({"363698007", "G-C0E3"})
_LANGUAGE: Final = "121049"
_KEY_OBJECT_DESCRIPTION: Final = "113012"


@dataclass(slots=True)
class Observer:
    """Who or what observed (PS3.16 TID 1002): `kind` is person or device."""

    kind: str
    name: str = ""
    organization: str = ""
    role: str = ""
    uid: str = ""
    manufacturer: str = ""
    model: str = ""
    serial_number: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """Who verified the document, and when (PS3.3 C.17.2)."""

    name: str
    organization: str
    verified_at: str


@dataclass(slots=True)
class MeasurementGroup:
    """One measurement group of PS3.16 TID 1411, 1410 or 1501; `identifier` is its container's."""

    identifier: str
    tracking_identifier: str = ""
    tracking_uid: str = ""
    category: str = ""
    finding: str = ""
    sites: list[str] = field(default_factory=list)
    measurements: list[ContentItem] = field(default_factory=list)
    evaluations: list[ContentItem] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    regions: list[Coordinates] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """The outline of one document; dates and times are as people read them (ISO 8601)."""

    title: Code
    sop_class_name: str
    template: str
    completion: str
    verification: str
    preliminary: str
    content_date: str
    content_time: str
    language: str
    description: str
    observers: list[Observer]
    verifications: list[Verification]
    context: list[ContentItem]
    content: list[ContentItem]
    measurement_groups: list[MeasurementGroup]
    references: list[Reference]

    def as_dict(self) -> dict[str, Any]:
        """The whole outline as JSON values, every key always present."""
        return asdict(self)


def outline(instance: DicomJson) -> Report:
    """The outline of an SR or Key Object instance given as DICOM JSON."""
    evidence = evidence_of(instance)
    root = content_item(instance, "1", evidence)
    context = [each for each in root.children if each.relationship in CONTEXT_RELATIONSHIPS]
    content = [each for each in root.children if each.relationship not in CONTEXT_RELATIONSHIPS]
    everything = list(walked(root))
    return Report(
        title=root.concept,
        sop_class_name=sop_class(text_of(instance, "00080016")).name,
        template=root.template,
        completion=text_of(instance, "0040A491"),
        verification=text_of(instance, "0040A493"),
        preliminary=text_of(instance, "0040A496"),
        content_date=readable_date(text_of(instance, "00080023")),
        content_time=readable_time(text_of(instance, "00080033")),
        language=_first_text(context, _LANGUAGE),
        description=_first_text(content, _KEY_OBJECT_DESCRIPTION),
        observers=_observers(context),
        verifications=[_verification(each) for each in items(instance, "0040A073")],
        context=context,
        content=content,
        measurement_groups=[
            _measurement_group(each)
            for each in everything
            if each.concept.value == _MEASUREMENT_GROUP and each.value_type == "CONTAINER"
        ],
        references=distinct_references(everything),
    )


def _observers(context: list[ContentItem]) -> list[Observer]:
    """Observers of the whole document; each begins with its type, or with a name (TID 1001)."""
    observers: list[Observer] = []
    for item in context:
        if item.relationship != "HAS OBS CONTEXT":
            continue
        part = _OBSERVER_PARTS.get(item.concept.value)
        if item.concept.value == _OBSERVER_TYPE:
            device = item.code is not None and item.code.value == "121007"
            observers.append(Observer("device" if device else "person"))
        elif part is None and item.value_type == "PNAME":
            observers.append(Observer("person", name=item.text))
        elif part is not None:
            if not observers or (part == "name" and observers[-1].name):
                observers.append(Observer("person" if item.value_type == "PNAME" else "device"))
            setattr(observers[-1], part, item.text)
        for child in item.children:
            below = _OBSERVER_PARTS.get(child.concept.value)
            if below is not None and observers:
                setattr(observers[-1], below, child.text)
    return observers


def _verification(node: DicomJson) -> Verification:
    return Verification(
        name=readable_name(text_of(node, "0040A075")),
        organization=text_of(node, "0040A027"),
        verified_at=readable_date_time(text_of(node, "0040A030")),
    )


def _measurement_group(container: ContentItem) -> MeasurementGroup:
    group = MeasurementGroup(container.identifier)
    for item in container.children:
        concept = item.concept.value
        if concept == _TRACKING_IDENTIFIER:
            group.tracking_identifier = item.text
        elif concept == _TRACKING_UID:
            group.tracking_uid = item.text
        elif concept == _FINDING:
            group.finding = item.text
        elif concept in _FINDING_CATEGORIES:
            group.category = item.text
        elif concept in _FINDING_SITES:
            group.sites.append(item.text)
        elif item.value_type == "NUM":
            group.measurements.append(item)
        elif item.value_type in ("CODE", "TEXT") and item.relationship == "CONTAINS":
            group.evaluations.append(item)
    below = [each for item in container.children for each in walked(item)]
    group.references = distinct_references(below)
    group.regions = [each.coordinates for each in below if each.coordinates is not None]
    return group


def _first_text(content: list[ContentItem], concept: str) -> str:
    return next((each.text for each in content if each.concept.value == concept), "")
