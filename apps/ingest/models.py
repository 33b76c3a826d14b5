"""What could not be indexed as it is, and the imports people started."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from apps.archive.models import Instance, Provenance
from apps.indexing.columns import ExactText


class QuarantinedInstance(Provenance):
    """Bytes we keep but did not index, with the reason in words and what can be done."""

    class Reason(models.TextChoices):
        UNREADABLE = "unreadable", "cannot be read as DICOM"
        MISSING_UID = "missing-uid", "a unique identifier is missing or malformed"
        OTHER_BYTES = "other-bytes", "same SOP Instance UID, other content"
        OTHER_SERIES = "other-series", "same SOP Instance UID in another series or study"
        OTHER_PATIENT = "other-patient", "same Study Instance UID for another patient"
        FAILED = "failed", "indexing failed"
        REJECTED = "rejected", "rejected by a person"

    class State(models.TextChoices):
        WAITING = "waiting", "waiting for a decision"
        KEPT = "kept", "kept aside"
        REPLACED = "replaced", "has replaced the stored instance"
        RETRIED = "retried", "indexed by a retry"
        DISCARDED = "discarded", "discarded"

    reason = models.CharField(max_length=32, choices=Reason)
    explanation = models.TextField()
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    blob_key = ExactText(unique=True)
    size_bytes = models.BigIntegerField()
    sha256 = models.BinaryField(max_length=32)
    sop_class_uid = ExactText("SOP Class UID", default="", blank=True)
    sop_instance_uid = ExactText("SOP Instance UID", default="", blank=True, db_index=True)
    series_instance_uid = ExactText("Series Instance UID", default="", blank=True)
    study_instance_uid = ExactText("Study Instance UID", default="", blank=True, db_index=True)
    transfer_syntax_uid = ExactText("Transfer Syntax UID", default="", blank=True)
    stored_instance = models.ForeignKey(
        Instance, null=True, blank=True, on_delete=models.SET_NULL, related_name="quarantined"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        indexes = [models.Index(fields=["state", "received_at"])]
        constraints = [
            # The same bytes sent again and again are one case, not a thousand.
            models.UniqueConstraint(
                fields=["sha256", "sop_instance_uid"], name="quarantined_bytes_once"
            )
        ]

    def __str__(self) -> str:
        return f"quarantined {self.pk}"


class ImportJob(models.Model):
    """One `import PATH`: how far it came, so that it resumes, and what it refused, and why."""

    class State(models.TextChoices):
        RUNNING = "running", "running"
        DONE = "done", "done"
        CANCELLED = "cancelled", "cancelled"
        FAILED = "failed", "failed"

    path = models.TextField()
    state = models.CharField(max_length=16, choices=State, default=State.RUNNING)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    started_by = models.CharField(max_length=256, default="", blank=True)
    found = models.BigIntegerField(default=0)
    accepted = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    cursor = models.TextField(default="", blank=True)

    def __str__(self) -> str:
        return f"import {self.pk}"


class ImportRefusal(models.Model):
    """One file an import did not take, and why."""

    job = models.ForeignKey(ImportJob, on_delete=models.CASCADE, related_name="refusals")
    path = models.TextField()
    reason = models.TextField()

    def __str__(self) -> str:
        return f"refusal {self.pk}"


class IngestPolicy(models.Model):
    """How the write path behaves. One row, primary key 1."""

    study_quiet_seconds = models.PositiveIntegerField(
        "a study is complete after (s)",
        default=30,
        help_text="A study counts as complete when nothing of it arrived for so many seconds. "
        "When more arrives later, it is receiving again.",
    )

    class Meta:
        verbose_name_plural = "ingest policy"

    def __str__(self) -> str:
        return "ingest policy"
