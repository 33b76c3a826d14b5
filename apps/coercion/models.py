"""Rules by which attributes are changed of what a source sends, or of what a destination gets."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models

from apps.dicom.coercion import steps_of
from apps.dicom.conditions import conditions_of
from apps.errors import InvalidRequest


def validate_conditions(text: str) -> None:
    """For the model's field."""
    try:
        conditions_of(text, of_instances=True)
    except InvalidRequest as error:
        raise ValidationError(error.message) from error


def validate_operations(text: str) -> None:
    """For the model's field."""
    try:
        steps = steps_of(text)
    except InvalidRequest as error:
        raise ValidationError(error.message) from error
    if not steps:
        raise ValidationError("A rule without an operation does nothing.")


class CoercionRule(models.Model):
    """What is changed of the objects of these application entities, and under which conditions.

    Stored bytes stay as received. What was changed is recorded in Original Attributes Sequence.
    """

    class Direction(models.TextChoices):
        RECEIVE = "receive", "on receipt"
        SEND = "send", "on sending"

    class Reason(models.TextChoices):
        COERCE = "COERCE", "coercion: another identifier or name for the same"
        CORRECT = "CORRECT", "correction: the value was wrong"

    name = models.CharField(max_length=100, unique=True)
    enabled = models.BooleanField(default=True)
    direction = models.CharField("when", max_length=8, choices=Direction, default=Direction.RECEIVE)
    ae_titles = models.CharField(
        "AE titles",
        max_length=200,
        blank=True,
        default="",
        help_text="Who sent it, or who gets it; by commas, empty for any.",
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
    operations = models.TextField(
        validators=[validate_operations],
        help_text=(
            "One a line, done in order: set InstitutionName = City Hospital; "
            "set if empty PatientSex = O; copy if empty StudyID = AccessionNumber; "
            r"replace PatientID = NORTH-0*(\d+) -> \1; prefix AccessionNumber = N; "
            "add issuer = NORTH; upper case PatientName; strip PatientID; empty PatientComments."
        ),
    )
    reason = models.CharField(max_length=8, choices=Reason, default=Reason.COERCE)
    position = models.PositiveSmallIntegerField(
        default=0, help_text="Rules with a lower number come first."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["position", "name"]
        indexes = [models.Index(fields=["enabled", "direction"])]

    def __str__(self) -> str:
        return self.name
