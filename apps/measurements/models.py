"""Measurements that a reader has drawn and nobody has signed yet."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class MeasurementDraft(models.Model):
    """All measurements of one reader on one study.

    The study is named by its UID and not by a key: a study that goes and comes back (a replaced
    instance, a second transfer) finds its drafts again. They go when it is deleted for good.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="measurement_drafts"
    )
    study_instance_uid = models.CharField(max_length=256, db_index=True)
    version = models.PositiveIntegerField(default=0)
    measurements = models.JSONField(default=list)
    saved_at = models.DateTimeField()

    class Meta:
        verbose_name = "draft of measurements"
        verbose_name_plural = "drafts of measurements"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "study_instance_uid"], name="one_draft_a_reader_and_study"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} on {self.study_instance_uid}"
