"""PolarityRule: which images are shown with black and white exchanged, from when to when."""

from __future__ import annotations

from datetime import UTC, datetime, time

from django.core.exceptions import ValidationError
from django.db import models


class PolarityRule(models.Model):
    """Images of this source, received in this period, are shown with black and white exchanged.

    For devices that state the wrong Photometric Interpretation. Nothing stored changes.
    """

    source_ae_title = models.CharField(
        "sent by AE title",
        max_length=16,
        blank=True,
        default="",
        help_text="Empty: what came without one, by DICOMweb or import.",
    )
    station_name = models.CharField(
        max_length=64,
        blank=True,
        default="",
        help_text="Station Name in the images; empty for all the AE title sends.",
    )
    first_day = models.DateField("received from (UTC)")
    first_time = models.TimeField(
        "from that day's time (UTC)", null=True, blank=True, help_text="Empty: from midnight."
    )
    last_day = models.DateField(
        "received until (UTC)", null=True, blank=True, help_text="Empty: until further notice."
    )
    last_time = models.TimeField(
        "until that day's time (UTC)", null=True, blank=True, help_text="Empty: to its end."
    )
    sop_instance_uids = models.TextField(
        "only these images",
        blank=True,
        default="",
        help_text="SOP Instance UIDs, one a line; empty for all of the source and period.",
    )
    enabled = models.BooleanField(default=True)
    reason = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["source_ae_title", "first_day"]

    def __str__(self) -> str:
        return f"{self.source_ae_title} from {self.first_day}"

    def clean(self) -> None:
        """A period does not end before it begins; not all that came without AE title is meant."""
        if not (self.source_ae_title or self.station_name or self.sop_instance_uids):
            raise ValidationError({"source_ae_title": "Name an AE title, a station, or images."})
        if self.first_day and self.end and self.end < self.begin:
            raise ValidationError({"last_day": "It ends before it begins."})

    @property
    def begin(self) -> datetime:
        """The first moment, in UTC."""
        return datetime.combine(self.first_day, self.first_time or time.min, UTC)

    @property
    def end(self) -> datetime | None:
        """The last moment, in UTC; None for until further notice."""
        if self.last_day is None:
            return None
        return datetime.combine(self.last_day, self.last_time or time.max, UTC)
