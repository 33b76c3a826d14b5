"""The peers we talk to, and the policy for each."""

from __future__ import annotations

import secrets
from collections.abc import Collection

from django.core.exceptions import ValidationError
from django.core.validators import (
    MaxValueValidator,
    MinValueValidator,
    RegexValidator,
    URLValidator,
)
from django.db import models
from django.utils import timezone

from apps.dicom.whole_numbers import MOST_DAYS
from apps.events.log import latest_sequence
from apps.network import rule_lists
from apps.network.addresses import validate_host
from apps.network.polarity_rule import PolarityRule
from apps.network.receivers import validate_receiver
from apps.network.web_archive import WebArchive

__all__ = [
    "ApplicationEntity",
    "AssociationRecord",
    "NegotiationRecord",
    "NetworkPolicy",
    "PolarityRule",
    "WebArchive",
    "Webhook",
]


class ApplicationEntity(models.Model):
    """A DICOM Application Entity (PS3.8): who it is, where it listens, what it may do here."""

    class Duplicates(models.TextChoices):
        QUARANTINE = "quarantine", "keep the first, set the other aside"
        REPLACE = "replace", "let the other take its place, set the first aside"
        IGNORE = "ignore", "keep the first, drop the other, answer with success"
        REFUSE = "refuse", "keep the first, refuse the other"

    class Gateway(models.TextChoices):
        CLOSED = "closed", "no"
        SEARCH = "search", "searches only"
        KEEP = "keep", "all; what is opened is fetched and kept here"

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
    host = models.CharField(max_length=255, blank=True, default="", validators=[validate_host])
    port = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    description = models.CharField(max_length=200, blank=True, default="")
    enabled = models.BooleanField(default=True)
    may_store = models.BooleanField("may store here", default=True)
    may_query = models.BooleanField("may query and retrieve here", default=True)
    may_worklist = models.BooleanField("may ask for the worklist", default=True)
    may_mpps = models.BooleanField("may report performed procedure steps", default=True)
    may_ups = models.BooleanField("may use unified procedure steps", default=True, db_default=True)
    may_commit = models.BooleanField("may ask for storage commitment", default=True)
    match_address = models.BooleanField(
        "only from its address",
        default=False,
        help_text="Accept this AE title only when the caller's address is that of the host.",
    )
    allowed_addresses = models.TextField(
        blank=True,
        default="",
        db_default="",
        validators=[rule_lists.validate_networks],
        help_text="Addresses or networks it may call from, such as 10.1.0.0/16; empty for any.",
    )
    require_tls = models.BooleanField(
        "only over TLS",
        default=False,
        db_default=False,
        help_text="Refuse this AE title on the port without TLS.",
    )
    certificate_names = models.TextField(
        blank=True,
        default="",
        db_default="",
        validators=[rule_lists.validate_certificate_names],
        help_text=(
            "Common names, DNS names or sha256: fingerprints of the certificates that may call by "
            "this AE title. They open no other title, and without one of them it is refused."
        ),
    )
    queried = models.BooleanField(
        "offer it as another archive",
        default=True,
        db_default=True,
        help_text="In the study list, beside what is stored here. Take it off for scanners.",
    )
    gateway = models.CharField(
        "served over DICOMweb",
        max_length=8,
        choices=Gateway,
        default=Gateway.CLOSED,
        db_default=Gateway.CLOSED,
        help_text="At /dicom-web/remotes/ and its AE title, for users who may transfer studies.",
    )
    ask_commitment = models.BooleanField(
        "ask it for storage commitment after sending",
        default=False,
        db_default=False,
        help_text="It is asked to promise that it keeps what we sent; its answer is kept.",
    )
    send_corrections = models.BooleanField(
        "send presentation states along",
        default=True,
        db_default=True,
        help_text="With images that a polarity rule corrects, so that it shows them right, too.",
    )
    use_tls = models.BooleanField(
        "call it over TLS",
        default=False,
        db_default=False,
        help_text="Associations we open with it are secured; its certificate is checked.",
    )
    allowed_sop_classes = models.TextField(
        "allowed SOP Classes",
        blank=True,
        default="",
        db_default="",
        validators=[rule_lists.validate_sop_classes],
        help_text="The only ones accepted, one a line by UID, keyword or name; empty for all.",
    )
    preferred_transfer_syntaxes = models.TextField(
        "preferred Transfer Syntaxes",
        blank=True,
        default="",
        db_default="",
        validators=[rule_lists.validate_transfer_syntaxes],
        help_text="Taken before the caller's own first choice; one a line, the best first.",
    )
    forbidden_transfer_syntaxes = models.TextField(
        "forbidden Transfer Syntaxes",
        blank=True,
        default="",
        db_default="",
        validators=[rule_lists.validate_forbidden_transfer_syntaxes],
        help_text="Never accepted from it, nor proposed to it; one a line, by UID or name.",
    )
    parallel_transfers = models.PositiveSmallIntegerField(
        "transfers at a time",
        default=2,
        db_default=2,
        validators=[MinValueValidator(1), MaxValueValidator(16)],
        help_text="How many transfers to it, or from it, may run at once; others wait.",
    )
    send_limit_kib = models.PositiveIntegerField(
        "bandwidth limit",
        default=0,
        db_default=0,
        help_text="KiB per second for each transfer to it; 0 for no limit.",
    )
    default_character_set = models.CharField(
        max_length=128,
        blank=True,
        default="",
        db_default="",
        validators=[rule_lists.validate_character_set],
        help_text=(
            "Specific Character Set its texts are read by where they do not fit what it declares, "
            "such as ISO_IR 144 or \\ISO 2022 IR 87. Stored bytes stay as they came."
        ),
    )
    duplicates = models.CharField(
        "same UID, other content",
        max_length=16,
        choices=Duplicates,
        default=Duplicates.QUARANTINE,
        db_default=Duplicates.QUARANTINE,
        help_text="When it sends an instance whose SOP Instance UID is stored with other content. "
        "The same content again is always a success.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "application entity"
        verbose_name_plural = "application entities"
        ordering = ["title"]

    def __str__(self) -> str:
        return self.title

    def clean(self) -> None:
        """An address check needs an address; one name leads to one archive."""
        if self.match_address and not self.host:
            raise ValidationError({"host": "An address check needs a host."})
        if WebArchive.objects.filter(name=self.title).exists():
            raise ValidationError({"title": "A DICOMweb archive has this name."})


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
    require_tls = models.BooleanField(
        "only over TLS",
        default=False,
        db_default=False,
        help_text="Refuse every association on the port without TLS.",
    )
    refused_sop_classes = models.TextField(
        "refused SOP Classes",
        blank=True,
        default="",
        db_default="",
        validators=[rule_lists.validate_sop_classes],
        help_text=(
            "Never accepted from anybody, one a line by UID, keyword or name. Private ones are "
            "else taken for storage, as their UIDs do not say what they are for."
        ),
    )
    record_associations = models.BooleanField(
        "record associations",
        default=True,
        db_default=True,
        help_text="Keep what every association negotiated, did and ended with. No patient data.",
    )
    record_refused_uids = models.BooleanField(
        "record the UIDs of refused instances",
        default=False,
        db_default=False,
        help_text="They can lead to a patient. At most a hundred for each association.",
    )
    keep_associations_days = models.PositiveIntegerField(
        "keep records for so many days",
        default=30,
        db_default=30,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_DAYS)],
    )
    keep_associations_most = models.PositiveIntegerField(
        "keep at most so many records",
        default=100_000,
        db_default=100_000,
        validators=[MinValueValidator(100)],
    )

    class Meta:
        verbose_name_plural = "network policy"

    def __str__(self) -> str:
        return "network policy"


class NegotiationRecord(models.Model):
    """Presentation contexts as proposed and answered; once for all associations alike.

    `contexts` is a list of the dictionaries that `apps.network.association_note.ContextNote` makes.
    """

    digest = models.CharField(max_length=64, unique=True)
    contexts = models.JSONField(default=list)

    def __str__(self) -> str:
        return self.digest[:12]


class AssociationRecord(models.Model):
    """One association from request to end, or a connection that never became one."""

    class Ending(models.TextChoices):
        OPEN = "open", "still open"
        RELEASED = "released", "released"
        REJECTED = "rejected", "rejected"
        PEER_ABORTED = "peer-aborted", "aborted by the peer"
        ABORTED = "aborted", "aborted by us"
        LOST = "lost", "connection lost"
        IDLE = "idle", "idle for too long"
        PROTOCOL = "protocol", "protocol error"
        SILENT = "silent", "no association request"
        TLS = "tls", "TLS handshake failed"
        UNREACHABLE = "unreachable", "peer not reachable"
        UNKNOWN = "unknown", "end unknown: the process was ended"

    class Direction(models.TextChoices):
        IN = "in", "they called us"
        OUT = "out", "we called them"

    name = models.CharField(max_length=64, unique=True)
    direction = models.CharField(max_length=3, choices=Direction, default=Direction.IN)
    calling_ae_title = models.CharField("calling", max_length=16, blank=True, default="")
    called_ae_title = models.CharField("called", max_length=16, blank=True, default="")
    address = models.CharField(max_length=64, blank=True, default="")
    port = models.PositiveIntegerField(default=0)
    tls = models.CharField("TLS", max_length=64, blank=True, default="")
    certificate = models.CharField(max_length=256, blank=True, default="")
    user = models.CharField(max_length=150, blank=True, default="")
    implementation_class_uid = models.CharField(max_length=64, blank=True, default="")
    implementation_version_name = models.CharField(max_length=16, blank=True, default="")
    maximum_length = models.BigIntegerField("longest PDU the peer takes", default=0)
    started_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    written_at = models.DateTimeField()
    ending = models.CharField(max_length=16, choices=Ending, default=Ending.OPEN)
    reason = models.CharField(max_length=200, blank=True, default="")
    # Connections that never said anything are told together, address by address.
    connections = models.PositiveIntegerField(default=1)
    operations = models.JSONField(default=dict)  # {"C-STORE": {"0000": 512, "A700": 1}}
    received_bytes = models.BigIntegerField(default=0)
    sent_bytes = models.BigIntegerField(default=0)
    refused = models.JSONField(default=list)  # [[SOP Instance UID, status], …] when switched on
    negotiation = models.ForeignKey(
        NegotiationRecord, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        verbose_name = "association"
        ordering = ["-started_at", "-pk"]
        indexes = [
            models.Index(fields=["calling_ae_title", "started_at"]),
            models.Index(fields=["ending", "started_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.calling_ae_title or self.address} {self.started_at:%Y-%m-%d %H:%M:%S}"


def _new_secret() -> str:
    return secrets.token_urlsafe(32)


def _newest_event() -> int:
    return latest_sequence()


class Webhook(models.Model):
    """A receiver that is told of changes over HTTP, from now on (`apps.network.webhooks`)."""

    url = models.URLField(
        "address",
        max_length=500,
        validators=[URLValidator(schemes=["http", "https"]), validate_receiver],
        help_text="Changes are posted there as JSON. Use https outside your own network.",
    )
    description = models.CharField(max_length=200, blank=True, default="")
    secret = models.CharField(
        max_length=200,
        default=_new_secret,
        help_text="Signs every call; the receiver checks it with the same secret.",
    )
    kinds = models.TextField(
        "only these events",
        blank=True,
        default="",
        help_text="Names such as StudyCompleted, separated by spaces; empty for all changes.",
    )
    enabled = models.BooleanField(default=True)
    last_sequence = models.BigIntegerField(default=_newest_event, editable=False)
    failures = models.PositiveIntegerField("failed attempts in a row", default=0, editable=False)
    last_error = models.CharField(max_length=200, blank=True, default="", editable=False)
    next_attempt_at = models.DateTimeField(default=timezone.now, editable=False)
    delivered_at = models.DateTimeField("last delivery", null=True, blank=True, editable=False)

    class Meta:
        indexes = [models.Index(fields=["enabled", "next_attempt_at"])]

    def __str__(self) -> str:
        return f"webhook {self.pk}"

    def wanted(self, known: Collection[str]) -> list[str]:
        """The kinds of events it is told of, of those there are."""
        named = set(self.kinds.split())
        return [kind for kind in known if not named or kind in named]
