"""Rules by which complete studies go on to other application entities by themselves."""

from __future__ import annotations

from typing import Final

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from apps.forwarding import conditions
from apps.network.models import ApplicationEntity, WebArchive

ONE_DESTINATION: Final = "Name an application entity to send to, or else a DICOMweb archive."
ONE_SOURCE: Final = "Name an application entity to ask, or else a DICOMweb archive."


class ForwardingRule(models.Model):
    """When a study that became complete fits, its instances are sent on.

    To an application entity, `destination`, or else to a DICOMweb archive.
    """

    name = models.CharField(max_length=100, unique=True)
    enabled = models.BooleanField(default=True)
    destination = models.ForeignKey(
        ApplicationEntity,
        on_delete=models.PROTECT,
        related_name="forwarding_rules",
        null=True,
        blank=True,
        help_text="An application entity, or else a DICOMweb archive below.",
    )
    archive = models.ForeignKey(
        WebArchive,
        verbose_name="DICOMweb archive",
        on_delete=models.PROTECT,
        related_name="forwarding_rules",
        null=True,
        blank=True,
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
        constraints = [
            models.CheckConstraint(
                condition=models.Q(destination__isnull=True, archive__isnull=False)
                | models.Q(destination__isnull=False, archive__isnull=True),
                name="forwarding_rule_has_one_destination",
                violation_error_message=ONE_DESTINATION,
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def other(self) -> ApplicationEntity | WebArchive:
        """Where studies go."""
        found = self.destination or self.archive
        assert found is not None  # the constraint says so
        return found

    @property
    def target(self) -> str:
        """The AE title, or the archive's name."""
        return str(self.other).strip()


class PrefetchRule(models.Model):
    """When a patient arrives or is expected, their earlier studies are fetched from elsewhere.

    From an application entity, `peer`, or else from a DICOMweb archive.
    """

    name = models.CharField(max_length=100, unique=True)
    enabled = models.BooleanField(default=True)
    peer = models.ForeignKey(
        ApplicationEntity,
        on_delete=models.PROTECT,
        related_name="prefetch_rules",
        null=True,
        blank=True,
        help_text="An application entity, or else a DICOMweb archive below.",
    )
    archive = models.ForeignKey(
        WebArchive,
        verbose_name="DICOMweb archive",
        on_delete=models.PROTECT,
        related_name="prefetch_rules",
        null=True,
        blank=True,
    )
    by_arrival = models.BooleanField("when a study begins to arrive", default=True)
    by_worklist = models.BooleanField("when an order is scheduled", default=True)
    modalities = models.CharField(
        "modalities of earlier studies",
        max_length=100,
        blank=True,
        default="",
        help_text="By commas, such as CT, MR; empty for any.",
    )
    years = models.PositiveSmallIntegerField(
        "not older than so many years",
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
    )
    most = models.PositiveSmallIntegerField(
        "at most so many, the newest",
        default=3,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_problem = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(peer__isnull=True, archive__isnull=False)
                | models.Q(peer__isnull=False, archive__isnull=True),
                name="prefetch_rule_has_one_source",
                violation_error_message=ONE_SOURCE,
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def source(self) -> ApplicationEntity | WebArchive:
        """Who is asked."""
        found = self.peer or self.archive
        assert found is not None  # the constraint says so
        return found


class Prefetch(models.Model):
    """One patient to ask a peer about; kept for a day, so that nobody is asked about twice."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        DONE = "done", "done"
        FAILED = "failed", "failed"

    rule = models.ForeignKey(PrefetchRule, on_delete=models.CASCADE, related_name="prefetches")
    patient_id = models.CharField(max_length=256)
    patient_birth_date = models.CharField(max_length=16, blank=True, default="")
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    asked_at = models.DateTimeField()
    not_before = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    fetched = models.PositiveSmallIntegerField(default=0)
    detail = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        verbose_name_plural = "prefetches"
        indexes = [
            models.Index(fields=["state", "not_before"]),
            models.Index(fields=["rule", "patient_id", "asked_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.state}"


class FollowedEvents(models.Model):
    """How far the event log was read: primary key 1 by forwarding, 2 by prefetching."""

    sequence = models.BigIntegerField()

    def __str__(self) -> str:
        return str(self.sequence)
