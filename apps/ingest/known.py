"""What is stored under the UIDs of a batch: all that the verdicts on its objects depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from apps.archive.actions.alert_damage import DAMAGED
from apps.archive.bulk import Question, Selection, select_together
from apps.archive.compressed import compressions_in_use
from apps.archive.identity import PatientIdentity
from apps.archive.models import Instance, NonPatientInstance, Receipt, Series, Study
from apps.ingest.verdicts import Known, StoredInstance

_UIDS: Final = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_OF_ALL: Final = ("sop_instance_uid", "transfer_syntax_uid")
_INSTANCES: Final = Selection(
    Instance,
    "sop_instance_uid",
    (*_OF_ALL, "series__series_instance_uid", "study__study_instance_uid", "dataset_sha256"),
)
# Of no patient: their resource and SOP Class stand where the others have series and study.
_APART: Final = Selection(
    NonPatientInstance,
    "sop_instance_uid",
    (*_OF_ALL, "resource", "sop_class_uid", "dataset_sha256"),
)
_SERIES: Final = Selection(
    Series, "series_instance_uid", ("series_instance_uid", "study__study_instance_uid")
)
_STUDIES: Final = Selection(
    Study,
    "study_instance_uid",
    ("study_instance_uid", "patient_id", "issuer_of_patient_id", "patient_name_alphabetic"),
)


def known_of(objects: Sequence[Mapping[str, str]]) -> Known:
    """What is stored under the UIDs of objects, given by their attributes: a handful of queries."""
    return known_and(objects, ())[0]


def known_and(
    objects: Sequence[Mapping[str, str]], questions: Sequence[Question]
) -> tuple[Known, list[bool]]:
    """The same, and which of the questions, asked at the same moment, have any answer."""

    def uids(keyword: str) -> set[str]:
        return {uid for each in objects if (uid := each.get(keyword))}

    known = Known()
    instances, series, studies = map(uids, _UIDS)
    (rows, apart, of_series, of_studies), answered = select_together(
        [(_INSTANCES, instances), (_APART, instances), (_SERIES, series), (_STUDIES, studies)],
        questions,
    )
    for uid, syntax, series_uid, study_uid, sha256 in rows:
        known.instances[uid] = StoredInstance(bytes(sha256), syntax, series_uid, study_uid)
    if known.instances:
        _note_compressed(known)
        _note_damaged(known)
    for uid, syntax, _, _, sha256 in apart:
        known.instances[uid] = StoredInstance(bytes(sha256), syntax, "", "")
    known.study_of_series.update(of_series)
    for uid, *identity in of_studies:
        known.identity_of_study[uid] = PatientIdentity(*identity)
    return known, answered


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
