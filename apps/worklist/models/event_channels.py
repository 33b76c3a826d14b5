"""Event Reports for subscribers over WebSocket, kept until they were taken (PS3.18 8.10, 11.10)."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from apps.indexing.columns import ExactText


class EventChannel(models.Model):
    """A user who listens for an AE title, and the last report that reached them.

    Each user has a position of their own, so that nobody can take another's reports away.
    """

    receiver = ExactText("AE title")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="event_channels"
    )
    position = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField("last heard of")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["receiver", "user"], name="one_event_channel_each")
        ]

    def __str__(self) -> str:
        return f"event channel of {self.receiver}"


class EventReport(models.Model):
    """What a subscriber is to be told over its channels; ids grow in the order of commits."""

    receiver = ExactText("AE title")
    sop_instance_uid = ExactText("SOP Instance UID")
    event_type = models.PositiveSmallIntegerField()
    document = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["receiver", "id"])]

    def __str__(self) -> str:
        return f"event report {self.pk}"
