"""Rules by which studies go on, and by which earlier ones are fetched."""

from __future__ import annotations

from django.contrib import admin

from apps.console.read_only import ReadOnlyAdmin
from apps.console.rule_admin import RuleAdmin
from apps.forwarding.models import ForwardingRule, Prefetch, PrefetchRule


@admin.register(ForwardingRule)
class ForwardingRuleAdmin(RuleAdmin):
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


@admin.register(PrefetchRule)
class PrefetchRuleAdmin(RuleAdmin):
    list_display = ("name", "enabled", "peer", "modalities", "last_problem")
    list_filter = ("enabled", "peer")
    list_select_related = ("peer",)
    search_fields = ("name", "peer__title")
    fieldsets = (
        (None, {"fields": ("name", "enabled", "peer")}),
        ("When", {"fields": ("by_arrival", "by_worklist")}),
        ("Which earlier studies", {"fields": ("modalities", "years", "most")}),
        ("So far", {"fields": ("created_at", "last_problem")}),
    )
    readonly_fields = ("created_at", "last_problem")


@admin.register(Prefetch)
class PrefetchAdmin(ReadOnlyAdmin):
    list_display = ("asked_at", "rule", "state", "fetched", "detail")
    list_filter = ("state", "rule")
    list_select_related = ("rule",)
    search_fields = ("patient_id__exact",)
    search_help_text = "Whole Patient ID"
    ordering = ("-asked_at",)
