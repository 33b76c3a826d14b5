"""Unified Procedure Steps and who follows them; read only but for cancelling."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html

from apps.access.authentication import principal_of
from apps.access.principals import Permission
from apps.console.confirmation import confirmation, is_confirmed
from apps.console.read_only import ReadOnlyAdmin
from apps.console.wording import person_name
from apps.errors import PacsError
from apps.worklist.actions.change_work_item import request_cancellation
from apps.worklist.models import EventChannel, EventReport, WorkItem, WorkItemSubscription


@admin.register(WorkItem)
class WorkItemAdmin(ReadOnlyAdmin):
    list_display = ("label", "patient", "priority", "state", "performer", "changed_at")
    list_filter = ("state", "priority", "worklist_label")
    search_fields = ("patient_id__startswith", "sop_instance_uid__exact", "label__startswith")
    search_help_text = "Beginning of the label or Patient ID; whole SOP Instance UID"
    ordering = ("-id",)
    fields = (
        "label",
        "worklist_label",
        "state",
        "priority",
        "patient",
        "performer",
        "sop_instance_uid",
        "subscribers",
        "created_at",
        "changed_at",
        "data_set",
    )
    readonly_fields = ("patient", "subscribers", "data_set")
    actions = ["ask_to_cancel"]

    @admin.display(description="patient")
    def patient(self, row: WorkItem) -> str:
        """Name and identifier."""
        return f"{person_name(row.patient_name)} · {row.patient_id or 'no ID'}"

    @admin.display(description="subscribers")
    def subscribers(self, row: WorkItem) -> str:
        """AE titles that are told of changes."""
        return ", ".join(row.subscriptions.values_list("receiver", flat=True)) or "none"

    @admin.display(description="data set")
    def data_set(self, row: WorkItem) -> str:
        """In the DICOM JSON Model."""
        text = json.dumps(row.document, indent=1, ensure_ascii=False)
        return format_html("<details><summary>show</summary><pre>{}</pre></details>", text)

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """Django asks this for actions with `permissions=["manage"]`."""
        return principal_of(request, "admin").may(Permission.MANAGE_WORKLIST)

    @admin.action(description="Ask to cancel…", permissions=["manage"])
    def ask_to_cancel(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Cancels what nobody has begun, and asks the performers of the rest."""
        if not is_confirmed(request, rows):
            return confirmation(
                self,
                request,
                rows,
                lambda row: f"{row.label} · {self.patient(row)}",
                title="Ask to cancel work items",
                consequence="What nobody has begun is cancelled for good. Who performs one is "
                "asked to cancel it, and may decline.",
                action="ask_to_cancel",
            )
        principal = principal_of(request, "admin")
        done = 0
        for row in rows:
            try:
                request_cancellation(principal, row.sop_instance_uid, {})
                done += 1
            except PacsError as error:
                self.message_user(request, f"{row.label}: {error.message}", messages.ERROR)
        if done:
            self.message_user(request, f"Done for {done}.", messages.SUCCESS)
        return None


@admin.register(WorkItemSubscription)
class WorkItemSubscriptionAdmin(ReadOnlyAdmin):
    list_display = ("receiver", "follows", "deletion_lock", "created_at")
    list_filter = ("receiver",)
    ordering = ("-id",)
    list_select_related = ("work_item",)

    @admin.display(description="follows")
    def follows(self, row: WorkItemSubscription) -> str:
        """One work item, or all to come."""
        if row.work_item is not None:
            return str(row.work_item.label)
        return "all that match its filter" if row.filter else "all"


@admin.register(EventChannel)
class EventChannelAdmin(ReadOnlyAdmin):
    list_display = ("receiver", "user", "waiting", "seen_at", "created_at")
    search_fields = ("receiver__exact", "user__username__startswith")
    search_help_text = "Whole AE title, beginning of the user name"
    ordering = ("receiver", "id")
    list_select_related = ("user",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the number of reports each has still to be told."""
        ahead = EventReport.objects.filter(
            receiver=OuterRef("receiver"), pk__gt=OuterRef("position")
        )
        counted = ahead.order_by().values("receiver").annotate(n=Count("pk")).values("n")
        rows = super().get_queryset(request)
        annotated: QuerySet[Any] = rows.annotate(reports_waiting=Subquery(counted))
        return annotated

    @admin.display(description="reports waiting")
    def waiting(self, row: Any) -> int:
        """Not yet shown to be read."""
        return row.reports_waiting or 0
