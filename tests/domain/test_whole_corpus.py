"""Every file of the corpus goes in; each is stored, or refused or quarantined with a reason."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from apps.archive.models import Instance, NonPatientInstance, Patient, Receipt, Series, Study
from apps.commitment.verification import blobs_of, read_back
from apps.dicom.part10 import HEAD_LENGTH, Provenance, read_file_meta
from apps.errors import UnreadableInstance
from apps.ingest import inbox, spool
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.ingest.models import QuarantinedInstance
from apps.storage.stores import blob_store

FROM = Provenance("import", source_address="127.0.0.1")


def dataset_sha256(raw: bytes) -> str:
    try:
        return hashlib.sha256(raw[read_file_meta(raw[:HEAD_LENGTH]).dataset_offset :]).hexdigest()
    except UnreadableInstance:
        return hashlib.sha256(raw).hexdigest()


@pytest.mark.django_db(transaction=True)
def test_the_whole_corpus_is_stored_or_quarantined_with_a_reason(data_folders, corpus: Path):
    paths = sorted(path for path in (corpus / "dicom").rglob("*") if path.is_file())
    assert len(paths) > 600
    for path in paths:
        raw = path.read_bytes()
        inbox.receive_part10(
            FROM, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]] if raw[HEAD_LENGTH:] else []
        )
    result = drain_inbox(300)

    assert spool.waiting() == []
    assert result.stored + result.already_stored + result.quarantined == len(paths)
    rows = [*Instance.objects.all(), *NonPatientInstance.objects.all()]
    assert result.stored == len(rows) > 500
    assert NonPatientInstance.objects.count() > 3
    stored = {bytes(row.dataset_sha256).hex(): row for row in rows}
    aside = {bytes(row.sha256).hex(): row for row in QuarantinedInstance.objects.all()}
    for path in paths:
        raw = path.read_bytes()
        sha256 = dataset_sha256(raw)
        row = stored.get(sha256) or aside.get(sha256)
        assert row is not None, f"{path} is lost"
        blob = b"".join(blob_store().stream(row.blob_key))
        assert dataset_sha256(blob) == sha256, f"{path} was altered"
        if sha256 not in stored:
            assert aside[sha256].explanation, path
            assert aside[sha256].reason != QuarantinedInstance.Reason.FAILED, path
    counts_are_exact()
    reading_back_finds_no_damage()


def reading_back_finds_no_damage() -> None:
    """Also of files whose File Meta named another instance than their data set."""
    kept = blobs_of([row.sop_instance_uid for row in Instance.objects.all()])
    assert len(kept) > 500
    found = {uid: read_back(blob, lambda _: None) for uid, blob in kept.items()}
    assert {uid: verdict for uid, verdict in found.items() if verdict != Receipt.Verdict.GOOD} == {}


def counts_are_exact() -> None:
    for series in Series.objects.all():
        assert series.number_of_series_related_instances == series.instances.count()
        assert series.size_bytes == sum(row.size_bytes for row in series.instances.all())
    for study in Study.objects.all():
        assert study.number_of_study_related_instances == study.instances.count()
        assert study.number_of_study_related_series == study.series.count()
        modalities = {row.modality for row in study.series.all()} - {""}
        assert set(filter(None, study.modalities_in_study.split("\\"))) == modalities
        classes = {row.sop_class_uid for row in study.instances.all()} - {""}
        assert set(filter(None, study.sop_classes_in_study.split("\\"))) == classes
    for patient in Patient.objects.all():
        assert patient.number_of_patient_related_studies == patient.studies.count() > 0
        assert patient.number_of_patient_related_instances == sum(
            study.number_of_study_related_instances for study in patient.studies.all()
        )
