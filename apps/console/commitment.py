"""Storage commitment, the checks of stored bytes, and their policy."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apps.access.authentication import principal_of
from apps.access.principals import Principal
from apps.commitment.actions.ask_peers import ask_again
from apps.commitment.actions.deliver_reports import try_report_again
from apps.commitment.actions.scrub_blobs import change_scrub, start_scrub
from apps.commitment.models import (
    CommitmentInquiry,
    CommitmentPolicy,
    CommitmentRequest,
    ScrubRun,
)
from apps.console.each_row import each_row
from apps.console.one_row import OneRowAdmin
from apps.console.read_only import ReadOnlyAdmin
from apps.errors import PacsError


@admin.register(CommitmentRequest)
class CommitmentRequestAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "calling_ae_title", "door", "state", "progress", "problem")
    list_filter = ("state", "door", "calling_ae_title")
    search_fields = ("transaction_uid__exact", "calling_ae_title__exact")
    search_help_text = "Whole Transaction UID or AE title"
    ordering = ("-received_at",)
    exclude = ("content_sha256",)
    actions = ["try_again"]

    @admin.display(description="instances")
    def progress(self, row: CommitmentRequest) -> str:
        """How many, how many are verified, how many of those failed."""
        failed = f", {row.failed} not committed" if row.failed else ""
        return f"{row.verified} of {row.instances} verified{failed}"

    @admin.action(description="Deliver the report again now")
    def try_again(self, request: HttpRequest, rows: QuerySet[CommitmentRequest]) -> None:
        """Those that are verified and not reported; at once, on a new association."""
        each_row(self, request, rows, try_report_again, "{} reports are sent now.")


@admin.register(CommitmentInquiry)
class CommitmentInquiryAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "peer_title", "state", "instances", "failed", "problem")
    list_filter = ("state", "peer_title")
    search_fields = ("transaction_uid__exact", "peer_title__exact")
    exclude = ("peer",)
    ordering = ("-created_at",)
    actions = ["ask_anew"]

    @admin.action(description="Ask again now")
    def ask_anew(self, request: HttpRequest, rows: QuerySet[CommitmentInquiry]) -> None:
        """With a new Transaction UID."""
        each_row(self, request, rows, ask_again, "{} peers are asked again.")


@admin.register(ScrubRun)
class ScrubRunAdmin(ReadOnlyAdmin):
    list_display = ("started_at", "scope", "state", "share", "checked", "missing", "altered")
    list_filter = ("scope", "state")
    ordering = ("-started_at",)
    actions = ["pause", "resume", "cancel", "check_everything"]

    @admin.display(description="progress")
    def share(self, row: ScrubRun) -> str:
        """How far, by the order in which instances were stored."""
        if row.scope == ScrubRun.Scope.NEW:
            return "follows what arrives"
        if row.state == ScrubRun.State.DONE or not row.up_to:
            return "100 %"
        return f"{100 * row.cursor // row.up_to} %"

    def _change(self, request: HttpRequest, rows: QuerySet[ScrubRun], state: Any) -> None:
        def change(principal: Principal, run: ScrubRun) -> bool:
            return change_scrub(principal, run, state)

        each_row(self, request, rows, change, f"{{}} checks: {state.label}.")

    @admin.action(description="Pause the selected checks")
    def pause(self, request: HttpRequest, rows: QuerySet[ScrubRun]) -> None:
        """They keep their place."""
        self._change(request, rows, ScrubRun.State.PAUSED)

    @admin.action(description="Resume the selected checks")
    def resume(self, request: HttpRequest, rows: QuerySet[ScrubRun]) -> None:
        """From where they stopped."""
        self._change(request, rows, ScrubRun.State.RUNNING)

    @admin.action(description="Cancel the selected checks")
    def cancel(self, request: HttpRequest, rows: QuerySet[ScrubRun]) -> None:
        """What they found stays known."""
        lasting = rows.exclude(scope=ScrubRun.Scope.NEW)
        self._change(request, lasting, ScrubRun.State.CANCELLED)

    @admin.action(description="Begin a check of everything now")
    def check_everything(self, request: HttpRequest, _rows: QuerySet[ScrubRun]) -> None:
        """Whatever is selected."""
        try:
            start_scrub(principal_of(request, "web"))
        except PacsError as error:
            self.message_user(request, error.message, messages.ERROR)
            return
        self.message_user(request, f"Begun at {timezone.now():%H:%M} UTC.")


@admin.register(CommitmentPolicy)
class CommitmentPolicyAdmin(OneRowAdmin):
    fieldsets = (
        (
            "Storage commitment",
            {"fields": ("verify_rate", "report_for_days", "answer_within_hours", "keep_days")},
        ),
        (
            "Checks of stored bytes",
            {"fields": ("check_new", "scrub", "scrub_every_days", "scrub_rate")},
        ),
    )
