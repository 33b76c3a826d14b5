"""Orders and MPPS data sets made, not stored: a test reads as what is special about them."""

from __future__ import annotations

from typing import Any

from apps.access.principals import system_principal
from apps.dicom.data_sets import Document, element
from apps.dicom.mpps import tag_of
from apps.worklist.actions.schedule_order import schedule_order
from apps.worklist.models import ScheduledProcedureStep
from apps.worklist.orders import order_of

ASKER = system_principal("test")
CT = "1.2.840.10008.5.1.4.1.1.2"


def entry(**attributes: str) -> ScheduledProcedureStep:
    """A scheduled CT of patient T-1, unless told otherwise."""
    values = {
        "PatientName": "Test^Patient",
        "PatientID": "T-1",
        "Modality": "CT",
        "ScheduledStationAETitle": "CT1",
        "ScheduledProcedureStepStartDate": "20240705",
        "ScheduledProcedureStepStartTime": "1000",
        **attributes,
    }
    (step,) = schedule_order(ASKER, order_of(values)).steps
    return step


def items(*documents: Document) -> dict[str, Any]:
    return {"vr": "SQ", "Value": list(documents)} if documents else {"vr": "SQ"}


def data_set(**values: Any) -> Document:
    """A document from keywords: text of one value, or lists of documents for sequences."""
    from pydicom.datadict import dictionary_VR

    return {
        tag_of(keyword): items(*value)
        if isinstance(value, (list, tuple))
        else element(dictionary_VR(keyword), value)
        for keyword, value in values.items()
    }


def scheduled_item(step: ScheduledProcedureStep | None, study: str = "", **more: str) -> Document:
    """An item of the Scheduled Step Attributes Sequence; `None`: unscheduled, with `study`."""
    if step is None:
        return data_set(StudyInstanceUID=study, AccessionNumber="", RequestedProcedureID="",
                        ScheduledProcedureStepID="", **more)  # fmt: skip
    procedure = step.procedure
    return data_set(
        StudyInstanceUID=study or procedure.study_instance_uid,
        AccessionNumber=procedure.service_request.accession_number,
        RequestedProcedureID=procedure.requested_procedure_id,
        ScheduledProcedureStepID=step.scheduled_procedure_step_id,
        **more,
    )


def begun(*scheduled: Document, **changes: Any) -> Document:
    """An N-CREATE data set."""
    values: dict[str, Any] = {
        "ScheduledStepAttributesSequence": scheduled,
        "PatientName": "Test^Patient",
        "PatientID": "T-1",
        "PatientBirthDate": "",
        "PatientSex": "",
        "PerformedProcedureStepID": "PPS1",
        "PerformedStationAETitle": "CT1",
        "PerformedStationName": "",
        "PerformedLocation": "",
        "PerformedProcedureStepStartDate": "20240705",
        "PerformedProcedureStepStartTime": "1005",
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "PerformedProcedureStepDescription": "",
        "PerformedProcedureStepEndDate": "",
        "PerformedProcedureStepEndTime": "",
        "Modality": "CT",
        "StudyID": "",
        "PerformedSeriesSequence": [],
        **changes,
    }
    return data_set(**{name: value for name, value in values.items() if value is not None})


def ended(series: str, *sop_instances: str, status: str = "COMPLETED", **more: Any) -> Document:
    """A final N-SET data set with one series of images."""
    images = [
        data_set(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=uid) for uid in sop_instances
    ]
    one = data_set(
        SeriesInstanceUID=series, ProtocolName="head", RetrieveAETitle="",
        ReferencedImageSequence=images, ReferencedNonImageCompositeSOPInstanceSequence=[],
    )  # fmt: skip
    return data_set(
        PerformedProcedureStepStatus=status,
        PerformedProcedureStepEndDate="20240705",
        PerformedProcedureStepEndTime="1030",
        PerformedSeriesSequence=[one] if series else [],
        **more,
    )


def wrong_entry() -> list[Document]:
    """The discontinuation reason `incorrect worklist entry selected`."""
    return [data_set(CodeValue="110514", CodingSchemeDesignator="DCM", CodeMeaning="wrong entry")]
