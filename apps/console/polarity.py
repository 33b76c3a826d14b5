"""Rules for sources that state the wrong polarity."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.access.authentication import principal_of
from apps.console.model_admin import AnyModelAdmin
from apps.network.actions.set_polarity_rule import lift_polarity_rule, set_polarity_rule
from apps.network.models import PolarityRule


@admin.register(PolarityRule)
class PolarityRuleAdmin(AnyModelAdmin):
    list_display = ("source_ae_title", "station_name", "first_day", "last_day", "enabled", "reason")
    list_filter = ("enabled", "source_ae_title")
    search_fields = ("source_ae_title", "station_name", "reason")
    fields = (
        "source_ae_title",
        "station_name",
        "first_day",
        "last_day",
        "enabled",
        "reason",
        "created_at",
    )
    readonly_fields = ("created_at",)

    def save_model(self, request: HttpRequest, row: Any, _form: Any, _change: bool) -> None:
        """Every change is an event."""
        set_polarity_rule(principal_of(request, "admin"), row)

    def delete_model(self, request: HttpRequest, row: PolarityRule) -> None:
        """Lifting one is an event too."""
        lift_polarity_rule(principal_of(request, "admin"), row)

    def delete_queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """One by one, each with its event."""
        for row in rows:
            lift_polarity_rule(principal_of(request, "admin"), row)
