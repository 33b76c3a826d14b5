"""Who is told of what happened, and what waits to be told."""

from __future__ import annotations

from django.db import models

from apps.indexing.columns import ExactText
from apps.network.models import ApplicationEntity


class WorkflowPeer(models.Model):
    """What an application entity means for the workflow: which entries it gets, what it is told."""

    application_entity = models.OneToOneField(
        ApplicationEntity, on_delete=models.PROTECT, related_name="workflow_peer"
    )
    own_entries_only = models.BooleanField(
        "gets its own entries",
        default=False,
        help_text="A worklist query of this device that names no station is answered with the "
        "entries scheduled for its own AE title.",
    )
    forward_mpps = models.BooleanField(
        "forward performed procedure steps",
        default=False,
        help_text="Each N-CREATE and N-SET of a modality is sent on, in order.",
    )
    notify_availability = models.BooleanField(
        "notify of available images",
        default=False,
        help_text="Instance Availability Notification once all images of a performed step are "
        "here.",
    )
    enabled = models.BooleanField("tell it", default=True)

    def __str__(self) -> str:
        return f"workflow of {self.application_entity.title}"


class Delivery(models.Model):
    """One message that has to reach a destination; it is tried until it does."""

    class Kind(models.TextChoices):
        CREATE = "n-create", "performed step created"
        SET = "n-set", "performed step changed"
        AVAILABILITY = "ian", "images available"
        EVENT = "n-event", "work item changed"

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        DELIVERED = "delivered", "delivered"
        REFUSED = "refused", "refused by the other system"
        CANCELLED = "cancelled", "cancelled"

    # The title stays where the destination is removed: so does what it was told.
    destination = models.ForeignKey(
        WorkflowPeer, on_delete=models.SET_NULL, null=True, related_name="deliveries"
    )
    destination_title = models.CharField("to", max_length=16, db_default="", default="")
    kind = models.CharField(max_length=16, choices=Kind)
    sop_instance_uid = ExactText("SOP Instance UID")
    document = models.JSONField()
    event_type = models.PositiveSmallIntegerField(null=True, blank=True, editable=False)
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    last_error = models.CharField(max_length=200, default="", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = [models.Index(fields=["state", "next_attempt_at"])]

    def __str__(self) -> str:
        return f"delivery {self.pk}"


class FeedPosition(models.Model):
    """How far a subscriber of this app has read the event log."""

    name = models.CharField(max_length=64, unique=True)
    sequence = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} at {self.sequence}"
