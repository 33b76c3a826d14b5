"""Rules by which studies go on, and by which earlier ones are fetched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin

from apps.access.principals import Principal
from apps.console.read_only import ReadOnlyAdmin
from apps.console.rule_preview import PreviewedRuleAdmin, PreviewRow
from apps.forwarding.models import ForwardingRule, Prefetch, PrefetchRule
from apps.forwarding.preview import Previewed, preview_forwarding, preview_prefetch


class _Previewed(PreviewedRuleAdmin):
    """A rule whose preview says of each study whether it would act, and if not, why."""

    ask: Callable[[Principal, Any], list[Previewed]]

    def preview_rows(self, principal: Principal, row: Any) -> list[PreviewRow]:
        """One line a study."""
        return [
            PreviewRow(
                each.study_instance_uid or "an order without a study",
                each.reason or "would act",
                each.fits,
            )
            for each in self.ask(principal, row)
        ]


@admin.register(ForwardingRule)
class ForwardingRuleAdmin(_Previewed):
    list_display = ("name", "enabled", "target", "conditions", "last_problem")
    list_filter = ("enabled", "destination", "archive")
    list_select_related = ("destination", "archive")
    search_fields = ("name", "destination__title", "archive__name")
    fieldsets = (
        (None, {"fields": ("name", "enabled", "destination", "archive")}),
        ("Which studies", {"fields": ("sources", "conditions")}),
        ("When", {"fields": ("not_before", "not_after")}),
        ("So far", {"fields": ("created_at", "last_problem")}),
    )
    readonly_fields = ("created_at", "last_problem")
    preview_words = "The 20 studies that became complete last."
    ask = staticmethod(preview_forwarding)


@admin.register(PrefetchRule)
class PrefetchRuleAdmin(_Previewed):
    list_display = ("name", "enabled", "source", "modalities", "last_problem")
    list_filter = ("enabled", "peer", "archive")
    list_select_related = ("peer", "archive")
    search_fields = ("name", "peer__title", "archive__name")
    fieldsets = (
        (None, {"fields": ("name", "enabled", "peer", "archive")}),
        ("When", {"fields": ("by_arrival", "by_worklist")}),
        ("Which earlier studies", {"fields": ("modalities", "years", "most")}),
        ("So far", {"fields": ("created_at", "last_problem")}),
    )
    readonly_fields = ("created_at", "last_problem")
    preview_words = "The 20 latest arrivals of studies and orders."
    ask = staticmethod(preview_prefetch)


@admin.register(Prefetch)
class PrefetchAdmin(ReadOnlyAdmin):
    list_display = ("asked_at", "rule", "state", "fetched", "detail")
    list_filter = ("state", "rule")
    list_select_related = ("rule",)
    search_fields = ("patient_id__exact",)
    search_help_text = "Whole Patient ID"
    ordering = ("-asked_at",)
