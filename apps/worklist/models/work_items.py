"""Unified Procedure Steps, and who follows them (PS3.4 CC)."""

from __future__ import annotations

from django.db import models

from apps.indexing.columns import ExactText


class WorkItem(models.Model):
    """A UPS: work that somebody is to take, and what came of it.

    `document` is its data set in the DICOM JSON Model without the Transaction UID, which is the key
    to the lock and is never given out; the columns repeat what searches narrow by.
    """

    class State(models.TextChoices):
        """Procedure Step State (0074,1000)."""

        SCHEDULED = "SCHEDULED", "scheduled"
        IN_PROGRESS = "IN PROGRESS", "in progress"
        COMPLETED = "COMPLETED", "completed"
        CANCELED = "CANCELED", "cancelled"

    sop_instance_uid = ExactText("SOP Instance UID", unique=True)
    state = models.CharField(max_length=16, choices=State, default=State.SCHEDULED)
    transaction_uid = ExactText(default="", blank=True, editable=False)
    label = ExactText(default="", blank=True)
    worklist_label = ExactText(default="", blank=True)
    priority = ExactText(default="", blank=True)
    patient_id = ExactText(default="", blank=True)
    patient_name = ExactText(default="", blank=True)
    document = models.JSONField(default=dict)
    performer = ExactText(default="", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(fields=["state", "id"]),
            models.Index(fields=["patient_id"]),
        ]

    def __str__(self) -> str:
        return f"work item {self.label or self.pk}"


class WorkItemSubscription(models.Model):
    """An application entity that is told of changes, of one work item or of all to come.

    Without `work_item` it is global: `filter` holds its keys as an identifier in the DICOM JSON
    Model, empty for all.
    """

    receiver = ExactText()
    work_item = models.ForeignKey(
        WorkItem, on_delete=models.CASCADE, null=True, blank=True, related_name="subscriptions"
    )
    filter = models.JSONField(default=dict, blank=True)
    deletion_lock = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["receiver", "work_item"], name="work_item_subscribed_once"
            ),
            models.UniqueConstraint(
                fields=["receiver"],
                condition=models.Q(work_item__isnull=True),
                name="subscribed_globally_once",
            ),
        ]

    def __str__(self) -> str:
        return f"subscription of {self.receiver}"
