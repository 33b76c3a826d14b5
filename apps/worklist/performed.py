"""From a performed step's data set to its rows: the columns that are asked for, and references."""

from __future__ import annotations

from typing import Any, Final

from apps.archive.columns import column_text
from apps.dicom import mpps
from apps.dicom.data_sets import Document, text_at
from apps.dicom.values import normalise
from apps.worklist.models import PerformedInstance, PerformedProcedureStep

# TABLE: column, keyword, VR.
COLUMNS: Final = (
    ("status", "PerformedProcedureStepStatus", "CS"),
    ("patient_name", "PatientName", "PN"),
    ("patient_id", "PatientID", "LO"),
    ("issuer_of_patient_id", "IssuerOfPatientID", "LO"),
    ("performed_procedure_step_id", "PerformedProcedureStepID", "SH"),
    ("performed_station_ae_title", "PerformedStationAETitle", "AE"),
    ("modality", "Modality", "CS"),
    ("start_date", "PerformedProcedureStepStartDate", "DA"),
    ("start_time", "PerformedProcedureStepStartTime", "TM"),
    ("end_date", "PerformedProcedureStepEndDate", "DA"),
    ("end_time", "PerformedProcedureStepEndTime", "TM"),
)
_AT_ONCE: Final = 500


def performed_columns(document: Document) -> dict[str, Any]:
    """The columns of PerformedProcedureStep that follow from its data set."""
    values = {
        column: column_text(normalise(vr, text_at(document, mpps.tag_of(keyword))))
        for column, keyword, vr in COLUMNS
    }
    accessions = (each.accession_number for each in mpps.scheduled_references(document))
    return {
        **values,
        "accession_number": column_text("\\".join(sorted({each for each in accessions if each}))),
        "wrong_entry": mpps.is_wrong_entry(document),
    }


def write_instances(performed: PerformedProcedureStep, document: Document) -> None:
    """The instances it refers to now, in place of those it referred to before."""
    performed.instances.all().delete()
    references = {each.sop_instance_uid: each for each in mpps.references(document)}
    PerformedInstance.objects.bulk_create(
        [
            PerformedInstance(
                performed_step=performed,
                series_instance_uid=each.series_instance_uid,
                sop_class_uid=each.sop_class_uid,
                sop_instance_uid=each.sop_instance_uid,
            )
            for each in references.values()
        ],
        batch_size=_AT_ONCE,
    )
