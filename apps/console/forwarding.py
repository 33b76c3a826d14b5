"""Forwarding rules."""

from __future__ import annotations

from django.contrib import admin

from apps.console.model_admin import AnyModelAdmin
from apps.forwarding.models import ForwardingRule


@admin.register(ForwardingRule)
class ForwardingRuleAdmin(AnyModelAdmin):
    list_display = ("name", "enabled", "destination", "conditions", "last_problem")
    list_filter = ("enabled", "destination")
    list_select_related = ("destination",)
    search_fields = ("name", "destination__title")
    fieldsets = (
        (None, {"fields": ("name", "enabled", "destination")}),
        ("Which studies", {"fields": ("sources", "conditions")}),
        ("When", {"fields": ("not_before", "not_after")}),
        ("So far", {"fields": ("created_at", "last_problem")}),
    )
    readonly_fields = ("created_at", "last_problem")
