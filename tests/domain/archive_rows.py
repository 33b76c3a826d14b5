"""Rows of the archive made directly, as ingest would leave them; and the oracle's view of them."""

from __future__ import annotations

from itertools import count
from typing import Any

from django.utils import timezone

from apps.archive.actions.index_names import index_names
from apps.archive.columns import values_for
from apps.archive.models import Instance, Patient, Series, Study, StudySearchToken
from apps.dicom.attributes import BY_KEYWORD, Entity
from apps.dicom.matching import Record
from apps.dicom.values import normalise, search_tokens

_numbers = count(1)


def _normal(attributes: dict[str, str]) -> dict[str, str]:
    """Times stay as they were written, as they do when an instance arrives."""
    return {
        name: text if BY_KEYWORD[name].vr == "TM" else normalise(BY_KEYWORD[name].vr, text)
        for name, text in attributes.items()
    }


def _uid() -> str:
    return f"1.2.826.0.1.3680043.10.1.{next(_numbers)}"


def _provenance() -> dict[str, Any]:
    return {"received_at": timezone.now()}


def make_patient(**attributes: str) -> Patient:
    values = values_for(Patient, _normal(attributes))
    return Patient.objects.create(identity_key=_uid(), **_provenance(), **values)


def make_study(patient: Patient | None = None, *, offset: str = "", **attributes: str) -> Study:
    """A study; without a patient it gets one with the same patient attributes."""
    normal = _normal({"StudyInstanceUID": _uid(), **attributes})
    if patient is None:
        own = {name: text for name, text in normal.items() if _is_patient(name)}
        patient = make_patient(**own)
    study = Study.objects.create(
        patient_entity=patient,
        timezone_offset_from_utc=offset,
        last_received_at=timezone.now(),
        **_provenance(),
        **values_for(Study, normal),
    )
    patient.number_of_patient_related_studies += 1
    patient.save()
    tokens = search_tokens(
        names=[study.patient_name],
        identifiers=[study.patient_id, study.accession_number],
        descriptions=[study.study_description],
    )
    StudySearchToken.objects.bulk_create(
        [StudySearchToken(study=study, token=token) for token in tokens]
    )
    index_names([study])
    return study


def _is_patient(keyword: str) -> bool:
    return BY_KEYWORD[keyword].entity is Entity.PATIENT


def make_series(study: Study, **attributes: str) -> Series:
    normal = _normal({"SeriesInstanceUID": _uid(), **attributes})
    series = Series.objects.create(
        study=study, last_received_at=timezone.now(), **_provenance(), **values_for(Series, normal)
    )
    study.number_of_study_related_series += 1
    study.modalities_in_study = _joined(study.modalities_in_study, series.modality)
    study.body_parts_examined = _joined(study.body_parts_examined, series.body_part_examined)
    study.station_names = _joined(study.station_names, series.station_name)
    study.save()
    return series


def make_instance(series: Series, **attributes: str) -> Instance:
    normal = _normal({"SOPInstanceUID": _uid(), "SOPClassUID": "1.2.3", **attributes})
    instance = Instance.objects.create(
        study=series.study,
        series=series,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        blob_key=_uid(),
        size_bytes=1,
        dataset_offset=132,
        dataset_sha256=bytes(32),
        **_provenance(),
        **values_for(Instance, normal),
    )
    study = series.study
    study.number_of_study_related_instances += 1
    study.sop_classes_in_study = _joined(study.sop_classes_in_study, instance.sop_class_uid)
    study.save()
    series.number_of_series_related_instances += 1
    series.save()
    return instance


def _joined(texts: str, text: str) -> str:
    return "\\".join(sorted({*filter(None, texts.split("\\")), *filter(None, [text])}))


# --- what the oracle sees ------------------------------------------------------------------------


def _text(row: Any, entity: Entity) -> dict[str, str]:
    from apps.dicom.attributes import of_entity, snake

    found = {}
    for attribute in of_entity(entity):
        value = getattr(row, snake(attribute.keyword), None)
        found[attribute.keyword] = "" if value is None else normalise(attribute.vr, str(value))
    return found


def record_of_patient(patient: Patient) -> Record:
    own = _text(patient, Entity.PATIENT)
    children = tuple(record_of_study(study) for study in patient.studies.all())
    return Record(Entity.PATIENT, own, "", children)


def record_of_study(study: Study) -> Record:
    """Patient attributes are the study's own; the patient's counts are the patient's."""
    counts = _text(study.patient_entity, Entity.PATIENT)
    own = counts | {k: v for k, v in _text(study, Entity.PATIENT).items() if "Number" not in k}
    own |= _text(study, Entity.STUDY)
    offset = study.timezone_offset_from_utc
    children = tuple(record_of_series(series, own, offset) for series in study.series.all())
    return Record(Entity.STUDY, own, offset, children)


def record_of_series(series: Series, above: dict[str, str], offset: str) -> Record:
    own = above | _text(series, Entity.SERIES)
    children = tuple(
        Record(Entity.INSTANCE, own | _text(each, Entity.INSTANCE), offset)
        for each in series.instances.all()
    )
    return Record(Entity.SERIES, own, offset, children)
