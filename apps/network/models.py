"""The peers we talk to, and the policy for each."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models


class ApplicationEntity(models.Model):
    """A DICOM Application Entity (PS3.8): who it is, where it listens, what it may do here."""

    title = models.CharField(
        "AE title",
        max_length=16,
        unique=True,
        validators=[
            RegexValidator(
                r"^(?! *$)[\x20-\x5b\x5d-\x7e]{1,16}$",
                "1 to 16 printable ASCII characters without a backslash, not all spaces.",
            )
        ],
    )
    host = models.CharField(max_length=255, blank=True, default="")
    port = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    description = models.CharField(max_length=200, blank=True, default="")
    enabled = models.BooleanField(default=True)
    may_store = models.BooleanField("may store here", default=True)
    may_query = models.BooleanField("may query and retrieve here", default=True)
    match_address = models.BooleanField(
        "only from its address",
        default=False,
        help_text="Accept this AE title only when the caller's address is that of the host.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "application entity"
        verbose_name_plural = "application entities"
        ordering = ["title"]

    def __str__(self) -> str:
        return self.title


class NetworkPolicy(models.Model):
    """Who may call at all. One row, primary key 1."""

    class UnknownCallers(models.TextChoices):
        LOOPBACK = "loopback", "only while listening on this machine alone"
        ACCEPT = "accept", "always"
        REFUSE = "refuse", "never"

    unknown_callers = models.CharField(
        "accept unknown calling AE titles",
        max_length=16,
        choices=UnknownCallers,
        default=UnknownCallers.LOOPBACK,
    )
    check_called_title = models.BooleanField(
        "refuse a wrong called AE title",
        default=True,
    )
    max_associations = models.PositiveIntegerField(default=200)

    class Meta:
        verbose_name_plural = "network policy"

    def __str__(self) -> str:
        return "network policy"
