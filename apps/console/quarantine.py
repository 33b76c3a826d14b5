"""Quarantine and imports: what could not be indexed, why, and what to do about it."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join

from apps.access.authentication import principal_of
from apps.access.principals import Permission
from apps.console.confirmation import confirmation, is_confirmed
from apps.console.read_only import ReadOnlyAdmin
from apps.errors import PacsError
from apps.ingest.actions.hand_out_quarantined import hand_out_quarantined
from apps.ingest.decisions import DECISIONS
from apps.ingest.models import ImportJob, ImportRefusal, QuarantinedInstance


@admin.register(QuarantinedInstance)
class QuarantinedInstanceAdmin(ReadOnlyAdmin):
    list_display = ("received_at", "reason", "state", "source", "what", "size")
    list_filter = ("state", "reason", "source_door")
    search_fields = (
        "sop_instance_uid__exact",
        "study_instance_uid__exact",
        "source_ae_title__exact",
    )
    search_help_text = "Whole SOP or Study Instance UID, or AE title of the sender"
    ordering = ("-received_at",)
    fields = (
        "explanation",
        "state",
        "reason",
        "source",
        "received_at",
        "sop_instance_uid",
        "sop_class_uid",
        "series_instance_uid",
        "study_instance_uid",
        "transfer_syntax_uid",
        "stored",
        "size",
        "digest",
        "bytes_link",
        "decided_at",
        "decided_by",
    )
    readonly_fields = ("source", "stored", "size", "digest", "bytes_link")
    actions = ["decide_keep", "decide_retry", "decide_replace", "decide_discard"]
    change_form_template = "console/quarantined.html"

    @admin.display(description="from")
    def source(self, row: QuarantinedInstance) -> str:
        """Sender and door."""
        return " · ".join(
            part for part in (row.source_ae_title, row.source_address, row.source_door) if part
        )

    @admin.display(description="SOP Instance UID")
    def what(self, row: QuarantinedInstance) -> str:
        """The UID, where it could be read."""
        return row.sop_instance_uid or "unreadable"

    @admin.display(description="size")
    def size(self, row: QuarantinedInstance) -> str:
        """Bytes, in kilobytes."""
        return f"{row.size_bytes / 1000:.1f} kB"

    @admin.display(description="SHA-256")
    def digest(self, row: QuarantinedInstance) -> str:
        """Hexadecimal, as other tools print it."""
        return bytes(row.sha256).hex()

    @admin.display(description="stored instance")
    def stored(self, row: QuarantinedInstance) -> str:
        """The instance it is in conflict with."""
        if row.stored_instance_id is None:
            return "—"
        url = reverse("admin:archive_instance_change", args=[row.stored_instance_id])
        return format_html('<a href="{}">look at it</a>', url)

    @admin.display(description="bytes")
    def bytes_link(self, row: QuarantinedInstance) -> str:
        """The bytes as they were received."""
        url = reverse("admin:ingest_quarantinedinstance_bytes", args=[row.pk])
        return format_html('<a href="{}">download as received</a>', url)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The stored counterpart comes with the rows."""
        return super().get_queryset(request).select_related("stored_instance", "decided_by")

    def get_urls(self) -> list[URLPattern]:
        """The bytes have an address of their own."""
        mine = path(
            "<int:quarantined_id>/bytes/",
            self.admin_site.admin_view(self.download),
            name="ingest_quarantinedinstance_bytes",
        )
        return [mine, *super().get_urls()]

    def download(self, request: HttpRequest, quarantined_id: int) -> StreamingHttpResponse:
        """Streams the quarantined bytes; only for those who may decide on them."""
        try:
            held = hand_out_quarantined(principal_of(request, "admin"), quarantined_id)
        except PacsError:
            raise Http404 from None
        answer = StreamingHttpResponse(held.chunks, content_type="application/octet-stream")
        answer["Content-Length"] = str(held.size)
        answer["Content-Disposition"] = f'attachment; filename="{held.file_name}"'
        return answer

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The case with its decisions as buttons, each leading to a page that says what it does."""
        context = {**(extra_context or {}), "decisions": DECISIONS, "object_id": object_id}
        return super().change_view(request, object_id, form_url, context)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Django asks this for actions with `permissions=["decide"]`."""
        return principal_of(request, "admin").may(Permission.MANAGE_QUARANTINE)

    @admin.action(description="Keep aside…", permissions=["decide"])
    def decide_keep(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Marks the cases as looked at."""
        return self._decide(request, rows, "keep")

    @admin.action(description="Try again…", permissions=["decide"])
    def decide_retry(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Sends the bytes through the inbox again."""
        return self._decide(request, rows, "retry")

    @admin.action(description="Replace the stored instances…", permissions=["decide"])
    def decide_replace(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Exchanges stored and quarantined bytes."""
        return self._decide(request, rows, "replace")

    @admin.action(description="Discard…", permissions=["decide"])
    def decide_discard(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Closes the cases."""
        return self._decide(request, rows, "discard")

    def _decide(self, request: HttpRequest, rows: QuerySet[Any], verb: str) -> HttpResponse | None:
        """Says what will happen to how many, and does it once that is confirmed."""
        decision = DECISIONS[verb]
        if not is_confirmed(request, rows):
            return confirmation(
                self,
                request,
                rows,
                lambda row: (
                    f"{row.received_at:%Y-%m-%d %H:%M} UTC · {row.get_reason_display()} · "
                    f"{row.sop_instance_uid or 'unreadable'}"
                ),
                title=decision.name,
                consequence=decision.consequence,
                action=f"decide_{verb}",
            )
        principal = principal_of(request, "admin")
        done = 0
        for pk in rows.values_list("pk", flat=True):
            try:
                decision.decide(principal, pk)
                done += 1
            except PacsError as error:
                self.message_user(request, f"Case {pk}: {error.message}", messages.ERROR)
        if done:
            self.message_user(request, f"{decision.name}: done for {done}.", messages.SUCCESS)
        return None


@admin.register(ImportJob)
class ImportJobAdmin(ReadOnlyAdmin):
    list_display = ("started_at", "from_where", "state", "found", "accepted", "refused")
    list_filter = ("state",)
    search_fields = ("path", "started_by")
    ordering = ("-started_at",)
    fields = (
        "from_where",
        "state",
        "started_at",
        "finished_at",
        "started_by",
        "found",
        "accepted",
        "refused",
        "refusals_shown",
    )
    readonly_fields = ("from_where", "refusals_shown")

    @admin.display(description="from", ordering="path")
    def from_where(self, row: ImportJob) -> str:
        """The files and folders that were given."""
        try:
            given = json.loads(row.path)
        except ValueError:
            return row.path
        return ", ".join(map(str, given)) if isinstance(given, list) else row.path

    @admin.display(description="refused files")
    def refusals_shown(self, row: ImportJob) -> str:
        """The first hundred, each with its reason."""
        lines = ImportRefusal.objects.filter(job=row).values_list("path", "reason")[:100]
        return format_html_join("", "<p><code>{}</code><br>{}</p>", lines) or "none"
