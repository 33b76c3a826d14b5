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

    class Meta:
        verbose_name_plural = "storage policy"

    def __str__(self) -> str:
        return "storage policy"
