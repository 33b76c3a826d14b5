"""FHIR R4 ImagingStudy, made from the archive's rows (http://hl7.org/fhir/R4/imagingstudy.html)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from apps.archive.models import Instance, Series
from apps.archive.selected import Match
from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.json_values import readable_date, readable_name, readable_time
from apps.dicom.values import offset_minutes

Resource = dict[str, Any]

DICOM_UID: Final = "urn:dicom:uid"
URN_OID: Final = "urn:oid:"
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_IDENTIFIER_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_CONNECTIONS: Final = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
_URIS: Final = ("urn:", "http://", "https://")
_TIMEZONE: Final = 0x00080201
ASKED: Final = frozenset(
    BY_KEYWORD[keyword].tag
    for keyword in (
        "AccessionNumber",
        "IssuerOfPatientID",
        "ModalitiesInStudy",
        "NumberOfStudyRelatedInstances",
        "NumberOfStudyRelatedSeries",
        "PatientID",
        "PatientName",
        "ReferringPhysicianName",
        "StudyDate",
        "StudyDescription",
        "StudyTime",
    )
)


def imaging_study(
    match: Match, series: Iterable[Series], base: str, instances: Iterable[Instance] = ()
) -> Resource:
    """The resource; `base` is the DICOMweb service. Empty members are left out, as FHIR demands."""
    said = _Said(match)
    by_series: dict[int, list[Resource]] = {}
    for each in instances:
        by_series.setdefault(each.series_id, []).append(_instance(each))
    resource: Resource = {
        "resourceType": "ImagingStudy",
        "id": match.study_instance_uid,
        "contained": [_endpoint(base)],
        "identifier": _identifiers(match.study_instance_uid, said("AccessionNumber")),
        "status": "available",
        "modality": [_modality(code) for code in said.several("ModalitiesInStudy")],
        "subject": _subject(said),
        "started": _started(said("StudyDate"), said("StudyTime"), said.offset),
        "referrer": _person(said("ReferringPhysicianName")),
        "endpoint": [{"reference": "#wado"}],
        "numberOfSeries": int(said("NumberOfStudyRelatedSeries") or 0),
        "numberOfInstances": int(said("NumberOfStudyRelatedInstances") or 0),
        "description": said("StudyDescription"),
        "series": [_series(each, by_series.get(each.pk, []), said.offset) for each in series],
    }
    return _without_empty(resource)


class _Said:
    """What the row says of an attribute, as text."""

    def __init__(self, match: Match) -> None:
        self._match = match

    def __call__(self, keyword: str) -> str:
        return self._match.values.get(BY_KEYWORD[keyword].tag, "")

    def several(self, keyword: str) -> list[str]:
        return [each for each in self(keyword).split("\\") if each]

    @property
    def offset(self) -> str:
        return self._match.values.get(_TIMEZONE, "")


def _without_empty(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if value not in ("", None, [], {})}


def _identifiers(uid: str, accession_number: str) -> list[Resource]:
    found: list[Resource] = [{"system": DICOM_UID, "value": f"{URN_OID}{uid}"}]
    if accession_number:
        coding = {"system": _IDENTIFIER_TYPES, "code": "ACSN"}
        found.append({"type": {"coding": [coding]}, "value": accession_number})
    return found


def _endpoint(base: str) -> Resource:
    return {
        "resourceType": "Endpoint",
        "id": "wado",
        "status": "active",
        "connectionType": {"system": _CONNECTIONS, "code": "dicom-wado-rs"},
        "payloadType": [{"text": "DICOM"}],
        "payloadMimeType": ["application/dicom"],
        "address": base,
    }


def _modality(code: str) -> Resource:
    return {"system": DCM, "code": code}


def _subject(said: _Said) -> Resource:
    issuer = said("IssuerOfPatientID")
    system = issuer if issuer.startswith(_URIS) else ""
    identifier = _without_empty(
        {"system": system, "value": said("PatientID"), "assigner": _display(issuer)}
    )
    name = readable_name(said("PatientName").split("=")[0])
    subject = _without_empty({"identifier": identifier, "display": name})
    return subject or {"display": "unknown"}


def _display(text: str) -> Resource:
    return {"display": text} if text else {}


def _person(text: str) -> Resource:
    return _display(readable_name(text.split("\\", maxsplit=1)[0].split("=", maxsplit=1)[0]))


def _started(date: str, time: str, offset: str) -> str:
    """A date; with its time only where its zone is known, for FHIR has no time without one."""
    day, clock = readable_date(date), readable_time(time)
    if len(day) != len("2024-01-31"):
        return ""
    if offset_minutes(offset) is None or len(clock) != len("09:30:15"):
        return day
    return f"{day}T{clock}{offset[:3]}:{offset[3:]}"


def _series(row: Series, instances: list[Resource], offset: str) -> Resource:
    return _without_empty(
        {
            "uid": row.series_instance_uid,
            "number": _unsigned(row.series_number),
            "modality": _modality(row.modality or "OT"),
            "description": row.series_description,
            "numberOfInstances": row.number_of_series_related_instances,
            "bodySite": _display(row.body_part_examined),
            "started": _started(row.series_date, row.series_time, offset),
            "instance": instances,
        }
    )


def _instance(row: Instance) -> Resource:
    return _without_empty(
        {
            "uid": row.sop_instance_uid,
            "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"{URN_OID}{row.sop_class_uid}"},
            "number": _unsigned(row.instance_number),
            "title": str(row.image_type).replace("\\", " "),
        }
    )


def _unsigned(number: int | None) -> int | None:
    """FHIR's unsignedInt; other numbers are left out."""
    return number if number is not None and 0 <= number < 1 << 31 else None
