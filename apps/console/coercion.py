"""Rules by which attributes are changed on receipt and on sending."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from apps.access.principals import Principal
from apps.coercion.models import CoercionRule
from apps.console.rule_preview import PreviewedRuleAdmin, PreviewRow
from apps.retrieve.coercion_preview import Previewed, preview


@admin.register(CoercionRule)
class CoercionRuleAdmin(PreviewedRuleAdmin):
    list_display = ("name", "enabled", "direction", "ae_titles", "conditions", "position")
    list_filter = ("enabled", "direction")
    search_fields = ("name", "ae_titles", "operations")
    fieldsets = (
        (None, {"fields": ("name", "enabled", "direction", "ae_titles")}),
        ("Which objects", {"fields": ("conditions",)}),
        ("What is changed", {"fields": ("operations", "reason", "position")}),
        ("So far", {"fields": ("created_at",)}),
    )
    readonly_fields = ("created_at",)
    preview_words = (
        "The last 20 objects of these AE titles as they were received; for a rule on sending, the "
        "last 20 objects as they are given out."
    )

    def preview_rows(self, principal: Principal, row: Any) -> list[PreviewRow]:
        """The last objects."""
        return [
            PreviewRow(
                f"{each.source_ae_title} {each.received_at:%Y-%m-%d %H:%M:%S} UTC",
                _told(each),
                each.fits,
                [(change.keyword, change.before, change.after) for change in each.differences],
                list(each.problems),
            )
            for each in preview(principal, row)
        ]


def _told(each: Previewed) -> str:
    if not each.fits:
        return "does not meet the conditions"
    return "changes" if each.differences else "changes nothing"
