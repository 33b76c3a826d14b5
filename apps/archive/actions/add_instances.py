"""add_instances: rows, counts and lists for a batch of new instances, in the caller's transaction.

Locks are taken top down (patient, study, series) and in the order of the keys within a level, so
that several workers never wait for each other in a circle. Counts are kept, never computed: under
the locks they are read, added to, and written back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.utils import timezone

from apps.archive.actions.collect_private_values import collect_from_new
from apps.archive.actions.gather_attributes import gather
from apps.archive.actions.index_names import index_names
from apps.archive.actions.index_tokens import index_tokens
from apps.archive.bulk import HeldRows, insert_rows, select_rows
from apps.archive.child_lists import LISTS, add_to_list
from apps.archive.columns import column_number, fill_empty, say_again, unsaid, values_for
from apps.archive.identity import PatientIdentity
from apps.archive.models import (
    Amendment,
    FrameTable,
    Instance,
    Metadata,
    Patient,
    Series,
    Study,
)
from apps.dicom.attributes import Entity
from apps.dicom.level_attributes import Document


@dataclass(frozen=True, slots=True)
class NewAmendment:
    """What rules changed of it: `layers` as packed, and the names of the rules."""

    layers: bytes
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewInstance:
    """One instance whose blob is placed. `attributes` are normalised text by keyword."""

    attributes: dict[str, str]
    identity: PatientIdentity
    fragment: bytes
    frame_table: bytes | None
    transfer_syntax_uid: str
    blob_key: str
    size_bytes: int
    dataset_offset: int
    dataset_sha256: bytes
    received_at: datetime
    source_ae_title: str
    source_address: str
    source_door: str
    level_attributes: Mapping[Entity, Document] = field(default_factory=dict)
    amendment: NewAmendment | None = None

    @property
    def provenance(self) -> dict[str, Any]:
        """The columns of `Provenance`."""
        return {
            "source_ae_title": self.source_ae_title,
            "source_address": self.source_address,
            "source_door": self.source_door,
            "received_at": self.received_at,
        }

    @property
    def study_instance_uid(self) -> str:
        return self.attributes["StudyInstanceUID"]

    @property
    def series_instance_uid(self) -> str:
        return self.attributes["SeriesInstanceUID"]

    @property
    def sop_instance_uid(self) -> str:
        return self.attributes["SOPInstanceUID"]


@dataclass(frozen=True, slots=True)
class Added:
    """What came of it: the rows by UID, and which studies are new."""

    studies: dict[str, Study]
    series: dict[str, Series]
    new_studies: frozenset[str]


class StaleSnapshot(Exception):
    """Somebody else stored something that changes what these instances are; decide again."""


_IDENTIFYING: Final = frozenset({"patient_id", "issuer_of_patient_id"})


def add_instances(new: Sequence[NewInstance]) -> Added:
    """Adds instances of which none is stored yet. Call it inside a transaction.

    Raises StaleSnapshot when an instance is stored meanwhile, or its series or study turns out
    to be another study's or another patient's.
    """
    patients, patient_of = _patients(new)
    studies = _studies(new, patients, patient_of)
    series = _series(new, studies.rows)
    ids = _instances(new, studies.rows, series.rows)
    _derived(new, series.rows, ids)
    collect_from_new((studies.rows[each.study_instance_uid].pk,
                      series.rows[each.series_instance_uid].pk,
                      ids[each.sop_instance_uid], each.fragment) for each in new)  # fmt: skip
    empty = {uid for uid, row in studies.rows.items() if not row.number_of_study_related_instances}
    _renew(new, studies.rows, series.rows, patient_of)
    renamed = _complete(new, studies.rows, series.rows, patient_of)
    gather((each.level_attributes, studies.rows[each.study_instance_uid],
            series.rows[each.series_instance_uid]) for each in new)  # fmt: skip
    _count(new, studies.rows, series.rows, patient_of)
    patients.write()
    studies.write()
    series.write()
    for patient in patients.rows.values():
        if not patient.number_of_patient_related_studies:
            patient.delete()
    if described := [studies.rows[uid] for uid in sorted(empty | renamed)]:
        index_tokens(described)
        index_names(described)
    return Added(studies.rows, series.rows, frozenset(empty))


def _patients(new: Sequence[NewInstance]) -> tuple[HeldRows[Patient], dict[str, Patient]]:
    """The patients concerned, and each study's patient by Study Instance UID."""
    by_study: dict[str, NewInstance] = {}
    for each in new:
        known = by_study.get(each.study_instance_uid)
        if known is None or (each.identity.patient_id and not known.identity.patient_id):
            by_study[each.study_instance_uid] = each
    current = {
        study_uid: (key, patient_id)
        for study_uid, key, patient_id in select_rows(
            Study,
            "study_instance_uid",
            by_study,
            "study_instance_uid",
            "patient_entity__identity_key",
            "patient_id",
        )
    }
    keys: dict[str, str] = {}
    wanted: dict[str, dict[str, Any]] = {}
    for study_uid, each in by_study.items():
        key, patient_id = current.get(study_uid, ("", ""))
        if key:
            wanted[key] = {}
        if not key or (each.identity.patient_id and not patient_id):
            key = each.identity.key(study_uid)
            wanted.setdefault(key, {}).update(
                values_for(Patient, each.attributes), identity_key=key, **each.provenance
            )
        keys[study_uid] = key
    patients = HeldRows(Patient, "identity_key")
    patients.hold(wanted)
    if len(patients.rows) < len(wanted):
        raise StaleSnapshot
    return patients, {study_uid: patients.rows[key] for study_uid, key in keys.items()}


def _studies(
    new: Sequence[NewInstance], patients: HeldRows[Patient], patient_of: dict[str, Patient]
) -> HeldRows[Study]:
    wanted: dict[str, dict[str, Any]] = {}
    for each in new:
        uid = each.study_instance_uid
        if uid not in wanted:
            wanted[uid] = {
                **values_for(Study, each.attributes),
                "patient_entity_id": patient_of[uid].pk,
                "timezone_offset_from_utc": each.attributes.get("TimezoneOffsetFromUTC", ""),
                "last_received_at": each.received_at,
                **each.provenance,
            }
    studies = HeldRows(Study, "study_instance_uid")
    studies.hold(wanted)
    by_id = {patient.pk: patient for patient in patients.rows.values()}
    for uid, study in studies.rows.items():
        if study.patient_entity_id not in by_id:
            raise StaleSnapshot
        if study.patient_entity_id != patient_of[uid].pk:
            _move(study, by_id[study.patient_entity_id], patient_of[uid])
    for each in new:
        if each.identity.contradicts(identity_of(studies.rows[each.study_instance_uid])):
            raise StaleSnapshot
    return studies


def identity_of(study: Study) -> PatientIdentity:
    """What a stored study says about whose it is."""
    return PatientIdentity(
        study.patient_id, study.issuer_of_patient_id, study.patient_name_alphabetic
    )


def _move(study: Study, source: Patient, target: Patient) -> None:
    """A study whose patient had no ID turns out to be a known patient's."""
    for patient, sign in ((source, -1), (target, 1)):
        patient.number_of_patient_related_studies += sign
        patient.number_of_patient_related_series += sign * study.number_of_study_related_series
        patient.number_of_patient_related_instances += (
            sign * study.number_of_study_related_instances
        )
    study.patient_entity = target


def _series(new: Sequence[NewInstance], studies: dict[str, Study]) -> HeldRows[Series]:
    wanted: dict[str, dict[str, Any]] = {}
    for each in new:
        uid = each.series_instance_uid
        if uid not in wanted:
            wanted[uid] = {
                **values_for(Series, each.attributes),
                "study_id": studies[each.study_instance_uid].pk,
                "last_received_at": each.received_at,
                **each.provenance,
            }
    series = HeldRows(Series, "series_instance_uid")
    series.hold(wanted)
    for each in new:
        if series.rows[each.series_instance_uid].study_id != studies[each.study_instance_uid].pk:
            raise StaleSnapshot
    return series


def _instances(
    new: Sequence[NewInstance], studies: dict[str, Study], series: dict[str, Series]
) -> dict[str, int]:
    """Inserts the rows; their primary keys by SOP Instance UID."""
    now = timezone.now()
    rows = [
        {
            **values_for(Instance, each.attributes),
            "study_id": studies[each.study_instance_uid].pk,
            "series_id": series[each.series_instance_uid].pk,
            "transfer_syntax_uid": each.transfer_syntax_uid,
            "blob_key": each.blob_key,
            "size_bytes": each.size_bytes,
            "dataset_offset": each.dataset_offset,
            "dataset_sha256": each.dataset_sha256,
            "indexed_at": now,
            **each.provenance,
        }
        for each in sorted(new, key=lambda each: each.sop_instance_uid)
    ]
    insert_rows(Instance, rows, ignore_conflicts=True)
    keys = [row["blob_key"] for row in rows]
    ids = dict(select_rows(Instance, "blob_key", keys, "sop_instance_uid", "id"))
    if len(ids) != len(rows):
        raise StaleSnapshot
    return ids


def _derived(new: Sequence[NewInstance], series: dict[str, Series], ids: dict[str, int]) -> None:
    """Metadata and frame tables, which share the instance's primary key."""
    insert_rows(
        Metadata,
        [
            {
                "instance_id": ids[each.sop_instance_uid],
                "series_id": series[each.series_instance_uid].pk,
                "instance_number": column_number(each.attributes.get("InstanceNumber", "")),
                "fragment": each.fragment,
            }
            for each in new
        ],
    )
    insert_rows(
        FrameTable,
        [
            {"instance_id": ids[each.sop_instance_uid], "packed": each.frame_table}
            for each in new
            if each.frame_table is not None
        ],
    )
    insert_rows(
        Amendment,
        [
            {
                "instance_id": ids[each.sop_instance_uid],
                "layers": each.amendment.layers,
                "rules": "\n".join(each.amendment.rules),
                "made_at": timezone.now(),
            }
            for each in new
            if each.amendment is not None
        ],
    )


def _renew(
    new: Sequence[NewInstance],
    studies: dict[str, Study],
    series: dict[str, Series],
    patient_of: dict[str, Patient],
) -> None:
    """Rows without an instance, made just now or left by one that is being replaced, say anew."""
    renewed: set[int] = set()
    for each in new:
        uid = each.study_instance_uid
        patient, study, one_series = patient_of[uid], studies[uid], series[each.series_instance_uid]
        for row, held in (
            (patient, patient.number_of_patient_related_instances),
            (study, study.number_of_study_related_instances),
            (one_series, one_series.number_of_series_related_instances),
        ):
            if not held and id(row) not in renewed:
                renewed.add(id(row))
                say_again(row, each.attributes, but=_IDENTIFYING if row is patient else frozenset())
                if row is study:
                    offset = each.attributes.get("TimezoneOffsetFromUTC", "")
                    study.timezone_offset_from_utc = offset


def _complete(
    new: Sequence[NewInstance],
    studies: dict[str, Study],
    series: dict[str, Series],
    patient_of: dict[str, Patient],
) -> set[str]:
    """Fills what rows did not say yet; the studies that now say more."""
    silent: dict[int, list[str]] = {}
    renamed = set()
    for each in new:
        uid = each.study_instance_uid
        for row in (patient_of[uid], series[each.series_instance_uid], studies[uid]):
            if id(row) not in silent:
                silent[id(row)] = unsaid(row)
            if not any(map(each.attributes.get, silent[id(row)])):
                continue
            del silent[id(row)]
            but = _IDENTIFYING if isinstance(row, Patient) else frozenset()
            if fill_empty(row, each.attributes, but=but) and isinstance(row, Study):
                renamed.add(uid)
    return renamed


def _count(
    new: Sequence[NewInstance],
    studies: dict[str, Study],
    series: dict[str, Series],
    patient_of: dict[str, Patient],
) -> None:
    for each in new:
        one_series = series[each.series_instance_uid]
        study, patient = studies[each.study_instance_uid], patient_of[each.study_instance_uid]
        # Only a row that was made just now has no instance yet.
        if not study.number_of_study_related_instances:
            patient.number_of_patient_related_studies += 1
        if not one_series.number_of_series_related_instances:
            study.number_of_study_related_series += 1
            patient.number_of_patient_related_series += 1
        one_series.number_of_series_related_instances += 1
        study.number_of_study_related_instances += 1
        patient.number_of_patient_related_instances += 1
        for row in (one_series, study):
            row.size_bytes += each.size_bytes
            row.last_received_at = max(row.last_received_at, each.received_at)
        # What is new has not been read, whoever read the rest.
        study.state, study.completed_at = Study.State.RECEIVING, None
        study.read_at, study.read_by = None, ""
        for column, keyword in LISTS:
            add_to_list(study, column, each.attributes.get(keyword, ""))
