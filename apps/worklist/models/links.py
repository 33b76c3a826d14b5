"""Which studies answer which procedures, and which have to be asked about."""

from __future__ import annotations

from django.db import models

from apps.archive.models import Study
from apps.worklist.models.orders import RequestedProcedure


class StudyLink(models.Model):
    """A study that is what a requested procedure asked for."""

    class Basis(models.TextChoices):
        """Why we think so."""

        STUDY_UID = "uid", "Study Instance UID"
        PERFORMED_STEP = "mpps", "performed step"
        ACCESSION = "accession", "accession number, under another Study Instance UID"
        PERSON = "person", "a person's decision"

    procedure = models.ForeignKey(
        RequestedProcedure, on_delete=models.CASCADE, related_name="links"
    )
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="procedure_links")
    basis = models.CharField(max_length=16, choices=Basis)
    linked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["procedure", "study"], name="study_link_once")
        ]

    def __str__(self) -> str:
        return f"link {self.pk}"


class UnlinkedStudy(models.Model):
    """A study that should belong to an order and does not find it: a person has to say."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting for a person"
        LINKED = "linked", "linked"
        WITHOUT = "without", "belongs to no order"

    study = models.OneToOneField(Study, on_delete=models.CASCADE, related_name="unlinked")
    reason = models.CharField(max_length=200)
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    found_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=256, default="", blank=True)

    class Meta:
        verbose_name = "study without order"
        verbose_name_plural = "studies without order"
        indexes = [models.Index(fields=["state", "found_at"])]

    def __str__(self) -> str:
        return f"study without order {self.pk}"
