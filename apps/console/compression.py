"""Rules by which stored images are compressed, how far they are, and what came of each image."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from apps.access.authentication import principal_of
from apps.access.principals import Principal
from apps.archive.models import CompressedInstance
from apps.compression.actions.change_compression import begin_again, change_compression
from apps.compression.actions.restore_originals import restore_originals
from apps.compression.models import CompressionPolicy, CompressionRule, CompressionRun
from apps.compression.preview import preview_compression
from apps.compression.selectors import newest_instance, share_of
from apps.console.archive import viewer_link
from apps.console.each_row import each_row
from apps.console.one_row import OneRowAdmin
from apps.console.read_only import ReadOnlyAdmin
from apps.console.rule_preview import PreviewedRuleAdmin, PreviewRow
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.errors import PacsError

_MEGABYTE = 1_000_000


@admin.register(CompressionRule)
class CompressionRuleAdmin(PreviewedRuleAdmin):
    list_display = ("name", "enabled", "sources", "conditions", "older_than_days")
    list_filter = ("enabled",)
    search_fields = ("name", "sources")
    fieldsets = (
        (None, {"fields": ("name", "enabled")}),
        ("Which images", {"fields": ("sources", "conditions", "older_than_days", "smallest_kb")}),
        ("So far", {"fields": ("created_at",)}),
    )
    readonly_fields = ("created_at",)
    preview_words = "One image of each of the 20 series that arrived last."

    def preview_rows(self, principal: Principal, row: Any) -> list[PreviewRow]:
        """One line an image."""
        return [
            PreviewRow(each.sop_instance_uid, each.reason or "would be compressed", each.fits)
            for each in preview_compression(principal, row)
        ]


def _nothing_runs() -> str:
    rules = CompressionRule.objects.filter(enabled=True)
    if rules.exists():
        return "A run for each enabled rule begins within a minute; it is shown here."
    return format_html(
        "Nothing stored is being compressed: no rule says so. "
        '<a href="{}">Add a compression rule</a>, look at what it would do, and enable it: its run '
        "then begins and is shown here.",
        reverse("admin:compression_compressionrule_add"),
    )


@admin.register(CompressionRun)
class CompressionRunAdmin(ReadOnlyAdmin):
    list_display = ("rule", "state", "share", "compressed", "saved", "left_alone", "refused")
    list_filter = ("state",)
    list_select_related = ("rule",)
    ordering = ("rule__name",)
    exclude = ("asked", "leased_until")
    actions = ["pause", "resume", "cancel", "again"]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Says what to do where there is nothing to see."""
        hint = {"empty_hint": _nothing_runs()}
        answer: HttpResponse = super().changelist_view(request, (extra_context or {}) | hint)
        return answer

    @admin.display(description="progress")
    def share(self, row: CompressionRun) -> str:
        """How far, by the order in which instances were stored."""
        return f"{share_of(row, newest_instance())} %"

    @admin.display(description="saved")
    def saved(self, row: CompressionRun) -> str:
        """Megabytes; gained only when the received bytes are removed."""
        return f"{(row.bytes_before - row.bytes_after) / _MEGABYTE:.1f} MB"

    def _change(self, request: HttpRequest, rows: QuerySet[CompressionRun], state: Any) -> None:
        def change(principal: Principal, run: CompressionRun) -> bool:
            return change_compression(principal, run, state)

        each_row(self, request, rows, change, f"{{}} changed: {state.label}.")

    @admin.action(description="Pause")
    def pause(self, request: HttpRequest, rows: QuerySet[CompressionRun]) -> None:
        """It keeps its place."""
        self._change(request, rows, CompressionRun.State.PAUSED)

    @admin.action(description="Resume")
    def resume(self, request: HttpRequest, rows: QuerySet[CompressionRun]) -> None:
        """From where it stopped; after it was cancelled, from the first image."""
        self._change(request, rows, CompressionRun.State.RUNNING)

    @admin.action(description="Cancel")
    def cancel(self, request: HttpRequest, rows: QuerySet[CompressionRun]) -> None:
        """What is compressed stays so."""
        self._change(request, rows, CompressionRun.State.CANCELLED)

    @admin.action(description="Look at every image again")
    def again(self, request: HttpRequest, rows: QuerySet[CompressionRun]) -> None:
        """From the first image."""
        each_row(self, request, rows, begin_again, "{} begin again.")


@admin.register(CompressedInstance)
class CompressedInstanceAdmin(ReadOnlyAdmin):
    list_display = ("made_at", "state", "came_as", "factor", "rule", "removal_due_at", "opened")
    list_filter = ("state", "rule")
    search_fields = ("sop_instance_uid__exact", "study_instance_uid__exact")
    search_help_text = "Whole SOP Instance UID or Study Instance UID"
    ordering = ("-made_at",)
    exclude = ("dataset_sha256", "original_dataset_sha256", "pixels_before", "pixels_after")
    readonly_fields = ("proof",)
    actions = ["restore"]

    @admin.display(description="received as")
    def came_as(self, row: CompressedInstance) -> str:
        """The Transfer Syntax in words."""
        return transfer_syntax(row.original_transfer_syntax_uid).name

    @admin.display(description="smaller by")
    def factor(self, row: CompressedInstance) -> str:
        """How many times."""
        return f"{row.original_size_bytes / max(1, row.size_bytes):.2f} : 1"

    @admin.display(description="viewer")
    def opened(self, row: CompressedInstance) -> str:
        """A link to the images."""
        return viewer_link(row.study_instance_uid)

    @admin.display(description="proof")
    def proof(self, row: CompressedInstance) -> str:
        """Hashes of both blobs and of the pixels of each."""
        named = (
            ("data set received", row.original_dataset_sha256),
            ("data set compressed", row.dataset_sha256),
            ("pixels received", row.pixels_before),
            ("pixels after decompression", row.pixels_after),
        )
        return "; ".join(f"{name} {bytes(value).hex()}" for name, value in named)

    @admin.action(description="Bring the received bytes back")
    def restore(self, request: HttpRequest, rows: QuerySet[CompressedInstance]) -> None:
        """While they are kept; no rule compresses these again."""
        try:
            count = restore_originals(principal_of(request, "admin"), rows)
        except PacsError as error:
            self.message_user(request, error.message, messages.ERROR)
            return
        self.message_user(request, f"{count} images are again as they were received.")


@admin.register(CompressionPolicy)
class CompressionPolicyAdmin(OneRowAdmin):
    pass
