"""Private attributes that an administrator has indexed, and how far that is."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.access.principals import Principal
from apps.archive.actions.collect_private_values import change_collection
from apps.archive.models import Instance, PrivateAttribute
from apps.archive.private_values import progress_of
from apps.console.each_row import each_row
from apps.console.rule_admin import RuleAdmin


@admin.register(PrivateAttribute)
class PrivateAttributeAdmin(RuleAdmin):
    list_display = ("name", "creator", "tag", "vr", "level", "state", "share")
    list_filter = ("state", "level")
    search_fields = ("name", "creator")
    fields = ("name", "creator", "group", "element", "vr", "level", "state", "share", "created_at")
    readonly_fields = ("state", "share", "created_at")
    actions = ["pause", "resume", "cancel"]

    @admin.display(description="tag")
    def tag(self, row: PrivateAttribute) -> str:
        """As it is asked for; any block will do."""
        return f"({row.group.upper()},xx{row.element.upper()})"

    @admin.display(description="progress")
    def share(self, row: PrivateAttribute) -> str:
        """How far the collecting is, by the order in which instances were stored."""
        newest = Instance.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        return f"{progress_of(row, newest)} %"

    def _change(self, request: HttpRequest, rows: QuerySet[PrivateAttribute], state: Any) -> None:
        def change(principal: Principal, row: PrivateAttribute) -> bool:
            return change_collection(principal, row, str(state))

        each_row(self, request, rows, change, f"{{}} changed: {state.label}.")

    @admin.action(description="Pause collecting")
    def pause(self, request: HttpRequest, rows: QuerySet[PrivateAttribute]) -> None:
        """It keeps its place; what arrives is collected all the same."""
        self._change(request, rows, PrivateAttribute.State.PAUSED)

    @admin.action(description="Resume, or collect again")
    def resume(self, request: HttpRequest, rows: QuerySet[PrivateAttribute]) -> None:
        """From where it stopped; after it was cancelled or done, from the first instance."""
        self._change(request, rows, PrivateAttribute.State.RUNNING)

    @admin.action(description="Cancel")
    def cancel(self, request: HttpRequest, rows: QuerySet[PrivateAttribute]) -> None:
        """It is searched by no more, and nothing more is collected."""
        self._change(request, rows, PrivateAttribute.State.CANCELLED)
