"""What the photometric guard saw of each radiograph, and what it found of each source."""

from __future__ import annotations

from django.db import models

from apps.archive.models import Instance
from apps.network.models import PolarityRule


class PolarityFinding(models.Model):
    """Images of one source appear with black and white exchanged; a person decides.

    `ruled` says that they do so because of a polarity rule that was in force. The counts are of
    images received from `first_at` on. A decision can be taken back: then it is open again.
    """

    class State(models.TextChoices):
        OPEN = "open", "open"
        CONFIRMED = "confirmed", "confirmed"
        DISMISSED = "dismissed", "dismissed"

    source_ae_title = models.CharField("sent by AE title", max_length=64)
    station_name = models.CharField(max_length=64, blank=True, default="")
    modality = models.CharField(max_length=16, blank=True, default="")
    white = models.BooleanField("smallest value shown white")
    ruled = models.BooleanField("under a polarity rule", default=False)
    statement = models.CharField("the images state", max_length=200, blank=True, default="")
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    first_at = models.DateTimeField("first received")
    last_at = models.DateTimeField("last received")
    inverted = models.PositiveIntegerField("appear inverted", default=0)
    expected = models.PositiveIntegerField("appear right", default=0)
    unsure = models.PositiveIntegerField("cannot be told", default=0)
    created_at = models.DateTimeField("found", auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=256, blank=True, default="")
    decision = models.CharField(max_length=300, blank=True, default="")
    rule = models.ForeignKey(
        PolarityRule, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["state", "source_ae_title"])]
        constraints = [
            models.UniqueConstraint(
                fields=["source_ae_title", "station_name", "modality"],
                condition=models.Q(state="open"),
                name="polarity_one_open_finding",
            )
        ]

    def __str__(self) -> str:
        return f"polarity of {self.source_ae_title} since {self.first_at:%Y-%m-%d}"


class PolarityObservation(models.Model):
    """What one image looked like as it was shown when it was looked at, and why.

    `evidence` is a list of sentences without patient data. `signature` is the shown image in 64
    grey values, for comparison with later ones of the source. `white` says that its smallest value
    was shown white, `ruled` that a polarity rule had turned it round; `compared` is false until its
    source was looked at again for it.
    """

    class Verdict(models.TextChoices):
        EXPECTED = "expected", "as expected"
        INVERTED = "inverted", "appears inverted"
        UNSURE = "unsure", "cannot be told"

    instance = models.OneToOneField(
        Instance, on_delete=models.CASCADE, primary_key=True, related_name="polarity_observation"
    )
    source_ae_title = models.CharField("sent by AE title", max_length=64)
    station_name = models.CharField(max_length=64, blank=True, default="")
    modality = models.CharField(max_length=16, blank=True, default="")
    sop_class_uid = models.CharField(max_length=64)
    body_part = models.CharField(max_length=64, blank=True, default="")
    received_at = models.DateTimeField()
    statement = models.CharField("states", max_length=200, blank=True, default="")
    white = models.BooleanField("smallest value shown white", default=False)
    ruled = models.BooleanField("under a polarity rule", default=False)
    verdict = models.CharField(max_length=16, choices=Verdict, default=Verdict.UNSURE)
    confidence = models.FloatField(default=0.0)
    evidence = models.JSONField(default=list)
    signature = models.JSONField(default=list)
    compared = models.BooleanField(default=True)
    observed_at = models.DateTimeField(auto_now=True)
    finding = models.ForeignKey(
        PolarityFinding,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="observations",
    )

    class Meta:
        ordering = ["-received_at"]
        indexes = [
            models.Index(fields=["source_ae_title", "station_name", "modality", "received_at"]),
            models.Index(
                fields=["received_at"],
                condition=models.Q(compared=False),
                name="polarity_not_compared",
            ),
        ]

    def __str__(self) -> str:
        return f"polarity of instance {self.pk}"


class ObservedEvents(models.Model):
    """Up to where in the event log the guard has looked; the one row has primary key 1."""

    sequence = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"observed up to {self.sequence}"
