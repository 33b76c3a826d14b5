"""What is stored under the UIDs of a batch: all that the verdicts on its objects depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from apps.archive.actions.alert_damage import DAMAGED
from apps.archive.bulk import select_rows
from apps.archive.compressed import compressions_in_use
from apps.archive.identity import PatientIdentity
from apps.archive.models import Instance, NonPatientInstance, Receipt, Series, Study
from apps.ingest.verdicts import Known, StoredInstance


def known_of(objects: Sequence[Mapping[str, str]]) -> Known:
    """What is stored under the UIDs of objects, given by their attributes: a handful of queries."""

    def uids(keyword: str) -> set[str]:
        return {uid for each in objects if (uid := each.get(keyword))}

    known = Known()
    instances = uids("SOPInstanceUID")
    for uid, syntax, series_uid, study_uid, sha256 in select_rows(
        Instance,
        "sop_instance_uid",
        instances,
        "sop_instance_uid",
        "transfer_syntax_uid",
        "series__series_instance_uid",
        "study__study_instance_uid",
        "dataset_sha256",
    ):
        known.instances[uid] = StoredInstance(bytes(sha256), syntax, series_uid, study_uid)
    if known.instances:
        _note_compressed(known)
        _note_damaged(known)
    for uid, syntax, sha256 in select_rows(
        NonPatientInstance,
        "sop_instance_uid",
        instances,
        "sop_instance_uid",
        "transfer_syntax_uid",
        "dataset_sha256",
    ):
        known.instances[uid] = StoredInstance(bytes(sha256), syntax, "", "")
    _note_parents(known, uids("SeriesInstanceUID"), uids("StudyInstanceUID"))
    return known


def _note_parents(known: Known, series: set[str], studies: set[str]) -> None:
    by = "series_instance_uid"
    known.study_of_series.update(select_rows(Series, by, series, by, "study__study_instance_uid"))
    by = "study_instance_uid"
    said = ("patient_id", "issuer_of_patient_id", "patient_name_alphabetic")
    for uid, *identity in select_rows(Study, by, studies, by, *said):
        known.identity_of_study[uid] = PatientIdentity(*identity)


def _note_compressed(known: Known) -> None:
    """Where compressed bytes stand in the place of those received, both are known."""
    for uid, row in compressions_in_use(list(known.instances)).items():
        received = (bytes(row.original_dataset_sha256), row.original_transfer_syntax_uid)
        known.instances[uid] = replace(known.instances[uid], received=received)


def _note_damaged(known: Known) -> None:
    """Hardly ever any, and then found by an index of its own."""
    damaged = Receipt.objects.filter(
        verdict__in=DAMAGED, instance__sop_instance_uid__in=list(known.instances)
    )
    for uid in damaged.values_list("instance__sop_instance_uid", flat=True):
        known.instances[uid] = replace(known.instances[uid], damaged=True)
