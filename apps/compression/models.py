"""Rules by which stored blobs are compressed without loss, the walk of each, and their policy."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from apps.dicom.conditions import conditions_of
from apps.dicom.whole_numbers import MOST_DAYS
from apps.errors import InvalidRequest


def validate_conditions(text: str) -> None:
    """For the model's field."""
    try:
        conditions_of(text, of_instances=True)
    except InvalidRequest as error:
        raise ValidationError(error.message) from error


class CompressionRule(models.Model):
    """Uncompressed images that fit are compressed to HTJ2K, lossless, once they are old enough."""

    name = models.CharField(max_length=100, unique=True)
    enabled = models.BooleanField(default=True)
    sources = models.CharField(
        "from AE titles",
        max_length=200,
        blank=True,
        default="",
        help_text="Calling AE titles that sent the images, by commas; empty for any.",
    )
    conditions = models.TextField(
        blank=True,
        default="",
        validators=[validate_conditions],
        help_text=(
            "One a line, all must hold: Modality=CT,MR or InstitutionName=*NORTH*. Matching is "
            "that of queries: * and ? for text, 20260101- for dates."
        ),
    )
    older_than_days = models.PositiveIntegerField(
        "received at least so many days ago",
        default=7,
        validators=[MaxValueValidator(MOST_DAYS)],
        help_text="Images are read most in their first days, and uncompressed most cheaply.",
    )
    smallest_kb = models.PositiveIntegerField(
        "not smaller than (kB)", default=32, help_text="Of small images little is gained."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CompressionRun(models.Model):
    """The walk of a rule over the instances in the order they were stored; it keeps its place.

    At the newest instance that is old enough it waits for more. `asked` is what the rule said when
    the walk began: a rule that says something else begins anew.
    """

    class State(models.TextChoices):
        RUNNING = "running", "running"
        PAUSED = "paused", "paused"
        CANCELLED = "cancelled", "cancelled"

    rule = models.OneToOneField(CompressionRule, on_delete=models.CASCADE, related_name="run")
    state = models.CharField(max_length=16, choices=State, default=State.RUNNING)
    asked = models.TextField(default="", blank=True)
    started_at = models.DateTimeField()
    worked_at = models.DateTimeField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    cursor = models.BigIntegerField("last instance looked at", default=0)
    looked_at = models.BigIntegerField(default=0)
    compressed = models.BigIntegerField(default=0)
    bytes_before = models.BigIntegerField(default=0)
    bytes_after = models.BigIntegerField(default=0)
    left_alone = models.BigIntegerField(default=0)
    refused = models.BigIntegerField("not proved equal", default=0)
    problem = models.CharField(max_length=200, default="", blank=True)

    class Meta:
        verbose_name = "compression of stored images"
        verbose_name_plural = "compression of stored images"

    def __str__(self) -> str:
        return f"compression by the rule {self.rule}"


class CompressionPolicy(models.Model):
    """How fast blobs are compressed, and how long the received ones are kept. Primary key 1."""

    keep_original_days = models.PositiveIntegerField(
        "keep the received bytes for (days)",
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_DAYS)],
        help_text="Beside the compressed ones; until then anybody entitled can bring them back. "
        "Keep them longer than you keep backups of the database.",
    )
    rate = models.PositiveIntegerField(
        "read for compression at most (MB/s)",
        default=30,
        validators=[MinValueValidator(1)],
        help_text="Counted in bytes read; each image is read three times, to compare it. "
        "While instances are arriving, a quarter of it.",
    )

    class Meta:
        verbose_name_plural = "compression policy"

    def __str__(self) -> str:
        return "compression policy"
