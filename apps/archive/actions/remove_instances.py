"""remove_instances: takes instances out of rows, counts and lists, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apps.archive.actions.gather_attributes import gather_again
from apps.archive.actions.index_names import forget_unused_words
from apps.archive.child_lists import LISTS
from apps.archive.models import Instance, Patient, Series, Study


def remove_instances(instances: Sequence[Instance]) -> None:
    """Removes rows with their metadata and frame tables, and what they counted for.

    The caller holds the instances' locks and sees to the blobs. Series, study and patient rows
    stay, even when nothing is left in them: `prune` removes those, after what replaces the
    instances has been added.
    """
    ids = sorted({each.study.patient_entity_id for each in instances})
    patients = {
        row.pk: row
        for row in Patient.objects.select_for_update().order_by("identity_key").filter(pk__in=ids)
    }
    studies = {
        row.pk: row
        for row in Study.objects.select_for_update()
        .order_by("study_instance_uid")
        .filter(pk__in={each.study_id for each in instances})
    }
    series = {
        row.pk: row
        for row in Series.objects.select_for_update()
        .order_by("series_instance_uid")
        .filter(pk__in={each.series_id for each in instances})
    }
    for each in instances:
        study = studies[each.study_id]
        _subtract(each, patients[study.patient_entity_id], study, series[each.series_id])
    Instance.objects.filter(pk__in=[each.pk for each in instances]).delete()
    for study in studies.values():
        _list_again(study)
        gather_again(study, {key: row for key, row in series.items() if row.study_id == study.pk})
    for row in [*patients.values(), *studies.values(), *series.values()]:
        row.save()


def _subtract(instance: Instance, patient: Patient, study: Study, series: Series) -> None:
    series.number_of_series_related_instances -= 1
    study.number_of_study_related_instances -= 1
    patient.number_of_patient_related_instances -= 1
    series.size_bytes -= instance.size_bytes
    study.size_bytes -= instance.size_bytes
    if not series.number_of_series_related_instances:
        study.number_of_study_related_series -= 1
        patient.number_of_patient_related_series -= 1
    if not study.number_of_study_related_instances:
        patient.number_of_patient_related_studies -= 1


def _list_again(study: Study) -> None:
    """The lists of what children say, from the children that are left."""
    left = Series.objects.filter(study=study, instances__isnull=False)
    for column, keyword in LISTS:
        values: Iterable[str]
        if keyword == "SOPClassUID":
            held = Instance.objects.filter(study=study)
            values = held.values_list("sop_class_uid", flat=True).distinct()
        else:
            values = left.values_list(_COLUMN[keyword], flat=True).distinct()
        said = {value for text in values for value in text.split("\\") if value}
        setattr(study, column, "\\".join(sorted(said)))


_COLUMN = {
    "Modality": "modality",
    "BodyPartExamined": "body_part_examined",
    "StationName": "station_name",
}


def prune(study_ids: Sequence[int]) -> None:
    """Removes series, studies and patients of which nothing is left."""
    Series.objects.filter(study_id__in=study_ids, number_of_series_related_instances=0).delete()
    empty = Study.objects.filter(pk__in=study_ids, number_of_study_related_instances=0)
    patient_ids = list(empty.values_list("patient_entity_id", flat=True))
    if empty.delete()[0]:
        forget_unused_words()
    Patient.objects.filter(pk__in=patient_ids, number_of_patient_related_studies=0).delete()
