"""Run-time facts about space, set by an administrator."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

_PERCENT = [MinValueValidator(0.0), MaxValueValidator(100.0)]


class StoragePolicy(models.Model):
    """The two watermarks, as percent of the disk that must stay free. One row, primary key 1."""

    refuse_associations_below = models.FloatField(
        "refuse new senders below (% free)",
        default=5.0,
        validators=_PERCENT,
        help_text="Below this, new associations that want to store are refused for now.",
    )
    refuse_instances_below = models.FloatField(
        "refuse every instance below (% free)",
        default=2.0,
        validators=_PERCENT,
        help_text="Below this, every C-STORE is answered A700 and STOW-RS 507, "
        "before data is written.",
    )

    reserve_for_senders = models.BooleanField(
        "reserve room for each sender",
        default=True,
        db_default=True,
        help_text="A new association counts with what this sender usually sends, so that several "
        "at once cannot promise themselves the same room.",
    )

    class Meta:
        verbose_name_plural = "storage policy"

    def __str__(self) -> str:
        return "storage policy"


class ExpectedSize(models.Model):
    """What a sender usually sends, in bytes; learnt from what it sent before.

    With a SOP Class: the average instance. Without: the average association. An empty AE title
    stands for everybody.
    """

    ae_title = models.CharField(max_length=16, blank=True, default="")
    sop_class_uid = models.CharField(max_length=64, blank=True, default="")
    average_bytes = models.BigIntegerField()
    seen = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ae_title", "sop_class_uid"], name="expected_size_once")
        ]

    def __str__(self) -> str:
        return f"{self.ae_title or 'anybody'}: {self.average_bytes} bytes"
