"""Sources that state the wrong polarity: what the guard found, and the rules against it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from apps.access.authentication import principal_of
from apps.console.both_polarities import source_of
from apps.console.model_admin import AnyModelAdmin
from apps.console.read_only import ReadOnlyAdmin
from apps.network.actions.set_polarity_rule import lift_polarity_rule, set_polarity_rule
from apps.network.models import PolarityRule
from apps.polarity.models import PolarityFinding, PolarityObservation


@admin.register(PolarityRule)
class PolarityRuleAdmin(AnyModelAdmin):
    list_display = ("source_ae_title", "station_name", "first_day", "last_day", "enabled", "reason")
    list_filter = ("enabled", "source_ae_title")
    search_fields = ("source_ae_title", "station_name", "reason")
    fields = (
        "source_ae_title",
        "station_name",
        ("first_day", "first_time"),
        ("last_day", "last_time"),
        "sop_instance_uids",
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


@admin.register(PolarityFinding)
class PolarityFindingAdmin(ReadOnlyAdmin):
    list_display = ("source", "modality", "period", "counts", "state", "both_polarities")
    list_filter = ("state", "source_ae_title", "modality")
    search_fields = ("source_ae_title", "station_name")
    readonly_fields = ("both_polarities",)

    @admin.display(description="source", ordering="source_ae_title")
    def source(self, row: PolarityFinding) -> str:
        """AE title and station."""
        return source_of(row)

    @admin.display(description="received", ordering="first_at")
    def period(self, row: PolarityFinding) -> str:
        """First and last image that appears inverted."""
        return f"{row.first_at:%Y-%m-%d %H:%M} to {row.last_at:%Y-%m-%d %H:%M} UTC"

    @admin.display(description="inverted", ordering="inverted")
    def counts(self, row: PolarityFinding) -> str:
        """How many of those that could be judged."""
        return f"{row.inverted} of {row.inverted + row.expected}, {row.unsure} unsure"

    @admin.display(description="images")
    def both_polarities(self, row: PolarityFinding) -> str:
        """Where a person looks and decides."""
        url = reverse("polarity-finding", args=[row.pk])
        return format_html('<a href="{}">Show both polarities</a>', url)


@admin.register(PolarityObservation)
class PolarityObservationAdmin(ReadOnlyAdmin):
    list_display = (
        "received_at",
        "source_ae_title",
        "station_name",
        "modality",
        "statement",
        "verdict",
        "both_polarities",
    )
    list_filter = ("verdict", "modality", "source_ae_title")
    search_fields = ("source_ae_title", "station_name", "instance__sop_instance_uid")
    inner = frozenset({"signature", "finding"})
    raw_id_fields = ("instance", "finding")
    list_select_related = ("instance__study",)

    @admin.display(description="images")
    def both_polarities(self, row: PolarityObservation) -> str:
        """The study with its images in both polarities."""
        url = reverse("polarity-study", args=[row.instance.study.study_instance_uid])
        return format_html('<a href="{}">Show both polarities</a>', url)
