"""What happened: one append-only table, read by audit trail, change feed and live lists."""

from __future__ import annotations

from django.db import models


class Event(models.Model):
    """One thing that happened. `sequence` grows in commit order; rows are never changed."""

    sequence = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=64)
    occurred_at = models.DateTimeField(db_index=True)
    study_instance_uid = models.CharField(max_length=256, default="", blank=True)
    series_instance_uid = models.CharField(max_length=256, default="", blank=True)
    sop_instance_uid = models.CharField(max_length=256, default="", blank=True)
    patient_key = models.BigIntegerField(null=True, blank=True)
    actor_kind = models.CharField(max_length=16)
    actor_name = models.CharField(max_length=256, default="", blank=True)
    actor_address = models.CharField(max_length=64, default="", blank=True)
    door = models.CharField(max_length=16, default="", blank=True)
    payload = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["kind", "sequence"]),
            models.Index(fields=["study_instance_uid", "sequence"]),
            models.Index(fields=["actor_name", "sequence"]),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.kind}"
