"""Rules by which complete studies go on to other application entities by themselves."""

from __future__ import annotations

from django.db import models

from apps.forwarding import conditions
from apps.network.models import ApplicationEntity


class ForwardingRule(models.Model):
    """When a study that became complete fits, its instances are sent to the destination."""

    name = models.CharField(max_length=100, unique=True)
    enabled = models.BooleanField(default=True)
    destination = models.ForeignKey(
        ApplicationEntity, on_delete=models.CASCADE, related_name="forwarding_rules"
    )
    sources = models.CharField(
        "from AE titles",
        max_length=200,
        blank=True,
        default="",
        help_text="Calling AE titles that sent the study, by commas; empty for any.",
    )
    conditions = models.TextField(
        blank=True,
        default="",
        validators=[conditions.validate_conditions],
        help_text=(
            "One a line, all must hold: ModalitiesInStudy=CT,MR or StudyDescription=*THORAX*. "
            "Matching is that of queries: * and ? for text, 20260101- for dates."
        ),
    )
    not_before = models.TimeField(
        "send from (UTC)", null=True, blank=True, help_text="Empty for any time of the day."
    )
    not_after = models.TimeField("send until (UTC)", null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_problem = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class FollowedEvents(models.Model):
    """How far the event log was read. One row, primary key 1."""

    sequence = models.BigIntegerField()

    def __str__(self) -> str:
        return str(self.sequence)
