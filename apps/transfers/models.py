"""Transfers: instances on their way to a peer, or from one, and what became of each."""

from __future__ import annotations

from django.db import models

from apps.network.models import ApplicationEntity, WebArchive


class Transfer(models.Model):
    """One job. `completed + failed + warning <= total` at every moment (PS3.4 C.4.2).

    A transfer that runs is leased by the worker that runs it: `lease_until` passes when that one
    has died, and another goes on with what is not settled. `not_before` is when one that waits may
    be tried (again).
    """

    class Kind(models.TextChoices):
        SEND = "send", "send"
        PULL = "pull", "fetch"

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "done"
        PARTLY = "partly", "partly done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"

    kind = models.CharField(max_length=8, choices=Kind)
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    peer = models.ForeignKey(
        ApplicationEntity, on_delete=models.SET_NULL, null=True, related_name="transfers"
    )
    # Instead of a peer, where the other side speaks DICOMweb; `method` says so for good.
    archive = models.ForeignKey(
        WebArchive, on_delete=models.SET_NULL, null=True, related_name="transfers"
    )
    # The peer's AE title, of at most 16 characters, or the archive's name, of at most 32.
    peer_title = models.CharField(max_length=32)

    # Who asked, in plain values like the event log's actor.
    asked_by_kind = models.CharField(max_length=16)
    asked_by_name = models.CharField(max_length=256)
    asked_by_address = models.CharField(max_length=64, blank=True, default="")
    asked_by_door = models.CharField(max_length=16, blank=True, default="")
    # Of the C-MOVE that asked for it (PS3.7 9.1.1.1), else empty.
    move_originator = models.CharField(max_length=16, blank=True, default="")
    move_message_id = models.PositiveIntegerField(null=True)

    # What to fetch: a level and its unique keys, by tag; by C-MOVE to us, by C-GET or by WADO-RS.
    level = models.CharField(max_length=8, blank=True, default="")
    keys = models.JSONField(default=dict, blank=True)
    method = models.CharField(max_length=8, blank=True, default="")

    total = models.PositiveIntegerField(default=0)
    completed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    warning = models.PositiveIntegerField(default=0)
    sent_bytes = models.BigIntegerField(default=0)

    attempts = models.PositiveSmallIntegerField(default=0)
    most_attempts = models.PositiveSmallIntegerField(default=1)
    cancel_requested = models.BooleanField(default=False)
    # While it ran: then it is asked once more what there is, of a DICOMweb archive.
    asked_again = models.BooleanField(default=False, db_default=False)
    shared = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Somebody else asked for the same meanwhile: cancelled, it ends for them too.",
    )
    message = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    lease_holder = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["state", "not_before"]),
            models.Index(fields=["peer", "state"]),
            models.Index(fields=["archive", "state"]),
            models.Index(fields=["-created_at", "-id"]),
        ]

    def __str__(self) -> str:
        return f"transfer {self.pk}"


ENDED = frozenset(
    {
        Transfer.State.SUCCEEDED,
        Transfer.State.PARTLY,
        Transfer.State.FAILED,
        Transfer.State.CANCELLED,
    }
)


class TransferInstance(models.Model):
    """One instance of a transfer and the status its C-STORE ended with.

    Of a fetch by WADO-RS: one that the other archive lists and that was not here, with its series.
    `instance_key` is the archive's primary key and no foreign key: what was sent stays listed when
    the instance is deleted; empty for what is fetched. `corrects` says that not that image is sent
    but the Presentation State that shows it as a polarity rule does; `sop_instance_uid` is the
    state's then.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        SENT = "sent", "arrived"
        WARNING = "warning", "arrived, with a warning"
        FAILED = "failed", "failed"

    transfer = models.ForeignKey(
        Transfer, on_delete=models.CASCADE, related_name="instances", db_index=False
    )
    position = models.PositiveIntegerField()
    instance_key = models.BigIntegerField(null=True)
    sop_instance_uid = models.CharField(max_length=256)
    series_instance_uid = models.CharField(max_length=64, blank=True, default="", db_default="")
    corrects = models.BooleanField(default=False, db_default=False)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    status = models.PositiveIntegerField(null=True)
    message = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        ordering = ["transfer", "position"]
        constraints = [
            models.UniqueConstraint(fields=["transfer", "position"], name="transfer_position")
        ]
        indexes = [models.Index(fields=["transfer", "state", "position"])]

    def __str__(self) -> str:
        return f"instance {self.position} of transfer {self.transfer_id}"
