"""Thumbnails made before anybody asks, how far that has come, and its policy."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from apps.archive.models import Instance, Series


class ThumbnailPolicy(models.Model):
    """Whether thumbnails are made ahead, and how many are kept. One row, primary key 1."""

    enabled = models.BooleanField(
        "make thumbnails when studies are complete",
        default=True,
        help_text="A worker renders one picture for each series, so that lists open at once. "
        "Switched off, they are rendered when somebody asks.",
    )
    older = models.BooleanField(
        "of older studies too",
        default=True,
        db_default=True,
        help_text="Of studies that were complete before thumbnails were made here, or before they "
        "were switched on; the newest first, while nothing arrives, until the room below is used.",
    )
    most_megabytes = models.PositiveIntegerField(
        "keep at most (MB)",
        default=512,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text="In the database, about 4 kB each. The oldest are dropped first; whoever asks "
        "for one that was dropped waits until it is rendered again.",
    )

    class Meta:
        verbose_name_plural = "thumbnail policy"

    def __str__(self) -> str:
        return "thumbnail policy"


class Thumbnail(models.Model):
    """The picture that stands for a series; valid for these bytes and these display rules only.

    It goes with its instance: nothing of a removed image stays here.
    """

    series = models.OneToOneField(
        Series, on_delete=models.CASCADE, primary_key=True, related_name="thumbnail"
    )
    instance = models.OneToOneField(Instance, on_delete=models.CASCADE, related_name="thumbnail")
    digest = models.CharField(max_length=64)
    variant = models.CharField(max_length=64, default="", blank=True)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    lossy = models.BooleanField()
    made_at = models.DateTimeField(auto_now=True)
    size = models.PositiveIntegerField()
    body = models.BinaryField()

    class Meta:
        # Which are the oldest and how much all take is read from the index alone.
        indexes = [models.Index(fields=["made_at", "size"])]

    def __str__(self) -> str:
        return f"thumbnail of series {self.series_id}"


class ThumbnailProgress(models.Model):
    """How far the event log was followed; the one row has primary key 1.

    `sequence` is the last event that is done with, `series_key` the last series of the next one.
    `older_key` is the last older series that was looked at, downwards: null before the first, 0
    when none is left; older are those of studies complete until `older_until`, null for all.
    """

    sequence = models.BigIntegerField(default=0)
    series_key = models.BigIntegerField(default=0)
    older_key = models.BigIntegerField(null=True)
    older_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"thumbnails made up to {self.sequence}"
