"""Storage commitment asked of us and by us, the scrub of all blobs, and their policy."""

from __future__ import annotations

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from apps.dicom.whole_numbers import MOST_DAYS
from apps.indexing.columns import ExactText
from apps.network.models import ApplicationEntity


class Commitment(models.Model):
    """What both directions have in common. Times tell what is due; a lease who is at work."""

    transaction_uid = ExactText("Transaction UID")
    instances = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(default="", blank=True)

    class Meta:
        abstract = True


class CommitmentRequest(Commitment):
    """A peer's request that we commit to instances (PS3.4 J.3.2): we are the SCP."""

    class State(models.TextChoices):
        RECEIVED = "received", "being verified"
        VERIFIED = "verified", "to be reported"
        REPORTED = "reported", "reported"
        GIVEN_UP = "given-up", "not deliverable"

    state = models.CharField(max_length=16, choices=State, default=State.RECEIVED)
    # By DICOMweb it is a user who asks, and who has the report by asking for it.
    door = models.CharField(max_length=16, default="dimse")
    calling_ae_title = models.CharField("from", max_length=16)
    called_ae_title = models.CharField("to", max_length=16)
    address = models.CharField(max_length=64, blank=True, default="")
    content_sha256 = models.BinaryField(max_length=32)
    verified = models.PositiveIntegerField(default=0)
    received_at = models.DateTimeField()
    verified_at = models.DateTimeField(null=True, blank=True)
    reported_at = models.DateTimeField(null=True, blank=True)
    reported_on = models.CharField("reported on", max_length=40, blank=True, default="")
    # The association it came on delivers the report while it is open and says so in time.
    association = models.CharField(max_length=64, blank=True, default="")
    association_until = models.DateTimeField(null=True, blank=True)
    # False until the receipts say that a peer was told.
    noted = models.BooleanField(default=False)

    class Meta:
        verbose_name = "storage commitment asked of us"
        verbose_name_plural = "storage commitment asked of us"
        constraints = [
            models.UniqueConstraint(
                fields=["door", "calling_ae_title", "transaction_uid"],
                name="transaction_once_per_peer",
            )
        ]
        indexes = [
            models.Index(fields=["state", "next_attempt_at"]),
            models.Index(fields=["received_at"]),
            models.Index(
                fields=["association"],
                condition=models.Q(state="verified"),
                name="commitment_to_report",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.calling_ae_title} {self.received_at:%Y-%m-%d %H:%M:%S}"


class CommitmentInquiry(Commitment):
    """Our request that a peer commits to what we sent it: we are the SCU."""

    class State(models.TextChoices):
        TO_ASK = "to-ask", "to be asked"
        ASKED = "asked", "asked, no report yet"
        COMMITTED = "committed", "committed"
        FAILED = "failed", "not all committed"
        GIVEN_UP = "given-up", "no answer"

    state = models.CharField(max_length=16, choices=State, default=State.TO_ASK)
    # The title stays where the peer is removed: so does what it promised.
    peer = models.ForeignKey(
        ApplicationEntity, on_delete=models.SET_NULL, null=True, related_name="inquiries"
    )
    peer_title = models.CharField("peer", max_length=16, db_default="", default="")
    reminders = models.PositiveIntegerField(default=0)
    purpose = models.CharField("asked because of", max_length=200, blank=True, default="")
    created_at = models.DateTimeField()
    asked_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "storage commitment we asked for"
        verbose_name_plural = "storage commitment we asked for"
        constraints = [
            models.UniqueConstraint(fields=["transaction_uid"], name="inquiry_transaction_once")
        ]
        indexes = [models.Index(fields=["state", "next_attempt_at"])]

    def __str__(self) -> str:
        return f"{self.peer_title} {self.created_at:%Y-%m-%d %H:%M:%S}"


class References(models.Model):
    """Up to a thousand references of a commitment: see `apps.commitment.references`.

    `outcomes` is null until they are known.
    """

    number = models.PositiveIntegerField()
    packed = models.BinaryField()
    outcomes = models.BinaryField(null=True)

    class Meta:
        abstract = True


class RequestedReferences(References):
    """References of a peer's request."""

    request = models.ForeignKey(
        CommitmentRequest, on_delete=models.CASCADE, related_name="references", db_index=False
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request", "number"], name="requested_chunk_once")
        ]

    def __str__(self) -> str:
        return f"references {self.number} of request {self.request_id}"


class InquiredReferences(References):
    """References of a request of ours."""

    inquiry = models.ForeignKey(
        CommitmentInquiry, on_delete=models.CASCADE, related_name="references", db_index=False
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["inquiry", "number"], name="inquired_chunk_once")
        ]

    def __str__(self) -> str:
        return f"references {self.number} of inquiry {self.inquiry_id}"


class ScrubRun(models.Model):
    """A walk over blobs in the order they were stored; it resumes where it stopped."""

    class Scope(models.TextChoices):
        ALL = "all", "everything"
        STUDY = "study", "one study"
        NEW = "new", "what arrives"

    class State(models.TextChoices):
        RUNNING = "running", "running"
        PAUSED = "paused", "paused"
        DONE = "done", "done"
        CANCELLED = "cancelled", "cancelled"

    scope = models.CharField(max_length=8, choices=Scope, default=Scope.ALL)
    state = models.CharField(max_length=16, choices=State, default=State.RUNNING)
    study_instance_uid = ExactText(default="", blank=True)
    started_by = models.CharField(max_length=256, default="", blank=True)
    started_at = models.DateTimeField()
    worked_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    cursor = models.BigIntegerField("last instance looked at", default=0)
    up_to = models.BigIntegerField("newest instance when it began", default=0)
    apart_cursor = models.BigIntegerField("last instance without patient looked at", default=0)
    checked = models.BigIntegerField(default=0)
    checked_bytes = models.BigIntegerField(default=0)
    missing = models.BigIntegerField(default=0)
    altered = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = "check of all stored bytes"
        verbose_name_plural = "checks of all stored bytes"
        indexes = [models.Index(fields=["state", "started_at"])]
        constraints = [
            models.UniqueConstraint(
                fields=["scope"],
                condition=models.Q(scope="new"),
                name="one_walk_over_what_arrives",
            )
        ]

    def __str__(self) -> str:
        return f"check of {self.started_at:%Y-%m-%d %H:%M}"


class CommitmentPolicy(models.Model):
    """How bytes are read back, how often, and how long we try to be heard. Primary key 1."""

    verify_rate = models.PositiveIntegerField(
        "read back for commitment at most (MB/s)",
        default=100,
        validators=[MinValueValidator(1)],
        help_text="While instances are arriving, a quarter of it.",
    )
    report_for_days = models.PositiveIntegerField(
        "try to deliver a report for (days)",
        default=14,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_DAYS)],
    )
    answer_within_hours = models.PositiveIntegerField(
        "a peer has to report within (h)",
        default=24,
        validators=[MinValueValidator(1)],
        help_text="Afterwards it is asked again, three times in all.",
    )
    keep_days = models.PositiveIntegerField(
        "keep finished requests for (days)",
        default=365,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_DAYS)],
    )
    check_new = models.BooleanField(
        "check instances soon after they are stored",
        default=True,
        help_text="So that the receipts can say within minutes that a study is safe.",
    )
    scrub = models.BooleanField(
        "check all stored bytes from time to time",
        default=True,
        help_text="Every blob is read back and compared with the hash of what was received.",
    )
    scrub_every_days = models.PositiveIntegerField(
        "begin a check every (days)",
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_DAYS)],
    )
    scrub_rate = models.PositiveIntegerField(
        "check at most (MB/s)",
        default=20,
        validators=[MinValueValidator(1)],
        help_text="20 MB/s is 1.7 TB a day. While instances are arriving, a quarter of it.",
    )

    class Meta:
        verbose_name_plural = "commitment policy"

    def __str__(self) -> str:
        return "commitment policy"
