"""What was done: performed procedure steps and what they refer to (PS3.4 F.7.2)."""

from __future__ import annotations

from django.db import models

from apps.indexing.columns import ExactText
from apps.worklist.models.orders import ScheduledProcedureStep


class PerformedProcedureStep(models.Model):
    """What a modality says it did: an MPPS SOP Instance (PS3.4 F.7.2).

    `document` is the whole data set in the DICOM JSON Model, its text decoded; the columns repeat
    what is asked for.
    """

    class Status(models.TextChoices):
        """Performed Procedure Step Status (0040,0252)."""

        IN_PROGRESS = "IN PROGRESS", "in progress"
        COMPLETED = "COMPLETED", "completed"
        DISCONTINUED = "DISCONTINUED", "discontinued"

    sop_instance_uid = ExactText("SOP Instance UID", unique=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.IN_PROGRESS)
    document = models.JSONField(default=dict)
    patient_name = ExactText(default="", blank=True)
    patient_id = ExactText(default="", blank=True)
    issuer_of_patient_id = ExactText(default="", blank=True)
    accession_number = ExactText(default="", blank=True)
    performed_procedure_step_id = ExactText("step ID", default="", blank=True)
    performed_station_ae_title = ExactText("station", default="", blank=True)
    modality = ExactText(default="", blank=True)
    start_date = ExactText(default="", blank=True)
    start_time = ExactText(default="", blank=True)
    end_date = ExactText(default="", blank=True)
    end_time = ExactText(default="", blank=True)
    steps = models.ManyToManyField(
        ScheduledProcedureStep, related_name="performed_steps", blank=True
    )
    wrong_entry = models.BooleanField(
        "wrong worklist entry",
        default=False,
        help_text="Discontinued because it was done under the wrong entry: its images belong to "
        "somebody or something else until a person has said to what.",
    )
    images_released = models.BooleanField(
        default=False,
        editable=False,
        help_text="A person brought back the images made under the wrong entry.",
    )
    source_ae_title = ExactText("reported by", default="", blank=True)
    source_address = ExactText(default="", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    available_at = models.DateTimeField(
        "all images available since", null=True, blank=True, editable=False
    )

    class Meta:
        indexes = [
            models.Index(fields=["status", "created_at"]),
            models.Index(fields=["patient_id"]),
            models.Index(fields=["accession_number"]),
            # What waits for its images is looked at every few seconds.
            models.Index(
                fields=["ended_at"],
                condition=models.Q(ended_at__isnull=False, available_at__isnull=True),
                name="worklist_performed_pending",
            ),
        ]

    def __str__(self) -> str:
        return f"performed step {self.performed_procedure_step_id or self.pk}"


class PerformedStudy(models.Model):
    """A study a performed step says it made or added to; several in the group case."""

    performed_step = models.ForeignKey(
        PerformedProcedureStep, on_delete=models.CASCADE, related_name="studies"
    )
    study_instance_uid = ExactText()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study_instance_uid", "performed_step"], name="performed_study_once"
            )
        ]

    def __str__(self) -> str:
        return f"study {self.study_instance_uid}"


class PerformedInstance(models.Model):
    """An instance a performed step refers to, whether it has arrived or not."""

    performed_step = models.ForeignKey(
        PerformedProcedureStep, on_delete=models.CASCADE, related_name="instances"
    )
    series_instance_uid = ExactText(default="", blank=True)
    sop_class_uid = ExactText(default="", blank=True)
    sop_instance_uid = ExactText("SOP Instance UID")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["sop_instance_uid", "performed_step"], name="performed_instance_once"
            )
        ]

    def __str__(self) -> str:
        return f"referenced instance {self.sop_instance_uid}"
