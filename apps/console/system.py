"""Space, and the event log."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.utils.html import format_html

from apps.console.one_row import OneRowAdmin
from apps.console.read_only import ReadOnlyAdmin
from apps.events.models import Event
from apps.ingest.models import IngestPolicy
from apps.storage.capacity import capacity
from apps.storage.models import StoragePolicy


@admin.register(StoragePolicy)
class StoragePolicyAdmin(OneRowAdmin):
    readonly_fields = ("now",)

    @admin.display(description="now")
    def now(self, _row: StoragePolicy) -> str:
        """The state of the disk in a sentence."""
        state = capacity()
        return f"{state.free_percent:.1f} % free. {state.message}"


@admin.register(IngestPolicy)
class IngestPolicyAdmin(OneRowAdmin):
    pass


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("occurred_at", "kind", "who", "door", "study")
    list_filter = ("kind", "door", "actor_kind")
    search_fields = ("study_instance_uid__exact", "actor_name__exact", "actor_address__exact")
    search_help_text = "Whole Study Instance UID, name of the actor, or address"
    ordering = ("-sequence",)
    exclude = ("payload",)
    readonly_fields = ("details",)

    @admin.display(description="who")
    def who(self, row: Event) -> str:
        """Name and address of the actor."""
        return f"{row.actor_name} ({row.actor_address})" if row.actor_address else row.actor_name

    @admin.display(description="study")
    def study(self, row: Event) -> str:
        """A link to the images, where the event is about a study."""
        if not row.study_instance_uid:
            return "—"
        return format_html('<a href="/viewer/{}">open</a>', row.study_instance_uid)

    @admin.display(description="details")
    def details(self, row: Any) -> str:
        """The payload, readable."""
        return format_html("<pre>{}</pre>", json.dumps(row.payload, indent=2, sort_keys=True))
