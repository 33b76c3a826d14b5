"""What is to be done: orders and the steps scheduled for them (PS3.3 C.4.10 to C.4.12)."""

from __future__ import annotations

from django.db import models

from apps.indexing.columns import AttributeColumn, FoldedNameColumn, NumberColumn


class ServiceRequest(models.Model):
    """An Imaging Service Request: what was ordered, for whom, under one accession number.

    `sequences` holds further attributes, keyword to items in the DICOM JSON Model (PS3.18 F.2).
    """

    patient_name = AttributeColumn("PatientName")
    patient_name_alphabetic = FoldedNameColumn()
    patient_name_ideographic = FoldedNameColumn()
    patient_name_phonetic = FoldedNameColumn()
    patient_id = AttributeColumn("PatientID")
    issuer_of_patient_id = AttributeColumn("IssuerOfPatientID")
    other_patient_ids = AttributeColumn("OtherPatientIDs")
    patient_birth_date = AttributeColumn("PatientBirthDate")
    patient_sex = AttributeColumn("PatientSex")
    patient_size = AttributeColumn("PatientSize")
    patient_weight = AttributeColumn("PatientWeight")
    ethnic_group = AttributeColumn("EthnicGroup")
    patient_comments = AttributeColumn("PatientComments")
    patient_state = AttributeColumn("PatientState")
    pregnancy_status = NumberColumn("PregnancyStatus")
    medical_alerts = AttributeColumn("MedicalAlerts")
    allergies = AttributeColumn("Allergies")
    special_needs = AttributeColumn("SpecialNeeds")
    confidentiality_constraint_on_patient_data_description = AttributeColumn(
        "ConfidentialityConstraintOnPatientDataDescription"
    )

    accession_number = AttributeColumn("AccessionNumber")
    referring_physician_name = AttributeColumn("ReferringPhysicianName")
    referring_physician_name_alphabetic = FoldedNameColumn()
    referring_physician_name_ideographic = FoldedNameColumn()
    referring_physician_name_phonetic = FoldedNameColumn()
    requesting_physician = AttributeColumn("RequestingPhysician")
    requesting_physician_alphabetic = FoldedNameColumn()
    requesting_physician_ideographic = FoldedNameColumn()
    requesting_physician_phonetic = FoldedNameColumn()
    requesting_service = AttributeColumn("RequestingService")
    placer_order_number_imaging_service_request = AttributeColumn(
        "PlacerOrderNumberImagingServiceRequest"
    )
    filler_order_number_imaging_service_request = AttributeColumn(
        "FillerOrderNumberImagingServiceRequest"
    )
    imaging_service_request_comments = AttributeColumn("ImagingServiceRequestComments")
    admission_id = AttributeColumn("AdmissionID")
    current_patient_location = AttributeColumn("CurrentPatientLocation")
    institution_name = AttributeColumn("InstitutionName")

    sequences = models.JSONField(default=dict, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "order"
        indexes = [
            models.Index(fields=["accession_number"]),
            models.Index(fields=["patient_id"]),
            models.Index(fields=["patient_name_alphabetic"]),
            models.Index(fields=["patient_name_ideographic"]),
            models.Index(fields=["patient_name_phonetic"]),
            models.Index(fields=["placer_order_number_imaging_service_request"]),
            models.Index(fields=["filler_order_number_imaging_service_request"]),
        ]
        constraints = [
            # Two orders that arrive at once must not both get a number that is free.
            models.UniqueConstraint(
                fields=["accession_number"],
                condition=models.Q(accession_number__gt=""),
                name="accession_number_once",
            )
        ]

    def __str__(self) -> str:
        return f"order {self.accession_number or self.pk}"


class RequestedProcedure(models.Model):
    """One procedure of an order, and the study it is to become (PS3.3 C.4.11)."""

    service_request = models.ForeignKey(
        ServiceRequest, on_delete=models.CASCADE, related_name="procedures"
    )
    study_instance_uid = AttributeColumn("StudyInstanceUID")
    requested_procedure_id = AttributeColumn("RequestedProcedureID")
    requested_procedure_description = AttributeColumn("RequestedProcedureDescription")
    requested_procedure_priority = AttributeColumn("RequestedProcedurePriority")
    reason_for_the_requested_procedure = AttributeColumn("ReasonForTheRequestedProcedure")
    requested_procedure_comments = AttributeColumn("RequestedProcedureComments")
    patient_transport_arrangements = AttributeColumn("PatientTransportArrangements")
    requested_procedure_location = AttributeColumn("RequestedProcedureLocation")
    confidentiality_code = AttributeColumn("ConfidentialityCode")
    reporting_priority = AttributeColumn("ReportingPriority")
    names_of_intended_recipients_of_results = AttributeColumn("NamesOfIntendedRecipientsOfResults")
    names_of_intended_recipients_of_results_alphabetic = FoldedNameColumn()
    names_of_intended_recipients_of_results_ideographic = FoldedNameColumn()
    names_of_intended_recipients_of_results_phonetic = FoldedNameColumn()
    sequences = models.JSONField(default=dict, blank=True, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["study_instance_uid"]),
            models.Index(fields=["requested_procedure_id"]),
        ]

    def __str__(self) -> str:
        return f"procedure {self.requested_procedure_id or self.pk}"


class ScheduledProcedureStep(models.Model):
    """One entry of the worklist: what a modality is to do, where and when (PS3.3 C.4.10)."""

    class Status(models.TextChoices):
        """Scheduled Procedure Step Status (0040,0020)."""

        SCHEDULED = "SCHEDULED", "scheduled"
        ARRIVED = "ARRIVED", "patient arrived"
        READY = "READY", "ready"
        STARTED = "STARTED", "started"
        COMPLETED = "COMPLETED", "completed"
        DISCONTINUED = "DISCONTINUED", "discontinued"
        CANCELED = "CANCELED", "cancelled"

    procedure = models.ForeignKey(
        RequestedProcedure, on_delete=models.CASCADE, related_name="steps"
    )
    scheduled_station_ae_title = AttributeColumn("ScheduledStationAETitle")
    scheduled_procedure_step_start_date = AttributeColumn("ScheduledProcedureStepStartDate")
    scheduled_procedure_step_start_time = AttributeColumn("ScheduledProcedureStepStartTime")
    modality = AttributeColumn("Modality")
    scheduled_performing_physician_name = AttributeColumn("ScheduledPerformingPhysicianName")
    scheduled_performing_physician_name_alphabetic = FoldedNameColumn()
    scheduled_performing_physician_name_ideographic = FoldedNameColumn()
    scheduled_performing_physician_name_phonetic = FoldedNameColumn()
    scheduled_procedure_step_id = AttributeColumn("ScheduledProcedureStepID")
    scheduled_procedure_step_description = AttributeColumn("ScheduledProcedureStepDescription")
    scheduled_station_name = AttributeColumn("ScheduledStationName")
    scheduled_procedure_step_location = AttributeColumn("ScheduledProcedureStepLocation")
    scheduled_procedure_step_status = AttributeColumn(
        "ScheduledProcedureStepStatus", choices=Status, default=Status.SCHEDULED
    )
    pre_medication = AttributeColumn("PreMedication")
    requested_contrast_agent = AttributeColumn("RequestedContrastAgent")
    comments_on_the_scheduled_procedure_step = AttributeColumn(
        "CommentsOnTheScheduledProcedureStep"
    )
    sequences = models.JSONField(default=dict, blank=True, editable=False)

    class Meta:
        verbose_name = "worklist entry"
        verbose_name_plural = "worklist entries"
        indexes = [
            models.Index(
                fields=[
                    "scheduled_procedure_step_start_date",
                    "scheduled_procedure_step_start_time",
                    "id",
                ],
                name="worklist_step_start",
            ),
            models.Index(
                fields=["scheduled_procedure_step_status", "scheduled_procedure_step_start_date"],
                name="worklist_step_status",
            ),
            models.Index(fields=["scheduled_procedure_step_id"]),
        ]

    def __str__(self) -> str:
        return f"worklist entry {self.scheduled_procedure_step_id or self.pk}"
