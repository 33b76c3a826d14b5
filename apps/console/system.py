"""Space, and the event log."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.utils.html import format_html

from apps.console.archive import viewer_link
from apps.console.one_row import OneRowAdmin
from apps.console.read_only import ReadOnlyAdmin
from apps.events.models import Event
from apps.ingest.models import IngestPolicy
from apps.rendering.models import ThumbnailPolicy
from apps.rendering.stored import has_room_for_older, older_left, thumbnails_held
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


@admin.register(ThumbnailPolicy)
class ThumbnailPolicyAdmin(OneRowAdmin):
    readonly_fields = ("now",)

    @admin.display(description="now")
    def now(self, row: ThumbnailPolicy) -> str:
        """How many are ready, their size, and how far the older ones are."""
        held = thumbnails_held()
        ready = f"{held.count} series have theirs ready, {held.bytes / 1_000_000:.1f} MB."
        left = older_left()
        if not left:
            return f"{ready} All older series have been looked at."
        if not (row.enabled and row.older):
            return f"{ready} {left} older series are left; that is switched off."
        if not has_room_for_older(row):
            return f"{ready} {left} older series are left; there is no more room for them."
        return f"{ready} {left} older series are left; their turn is while nothing arrives."


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("occurred_at", "kind", "who", "door", "about")
    list_filter = (("occurred_at", admin.DateFieldListFilter), "kind", "door", "actor_kind")
    search_fields = ("study_instance_uid__exact", "actor_name__exact", "actor_address__exact")
    search_help_text = "Whole Study Instance UID, name of the actor, or address"
    ordering = ("-sequence",)
    exclude = ("payload",)
    readonly_fields = ("details",)

    @admin.display(description="who")
    def who(self, row: Event) -> str:
        """Name and address of the actor."""
        return f"{row.actor_name} ({row.actor_address})" if row.actor_address else row.actor_name

    @admin.display(description="about")
    def about(self, row: Event) -> str:
        """A link to the images, or what was searched for."""
        if row.study_instance_uid:
            return viewer_link(row.study_instance_uid)
        query = row.payload.get("query")
        if isinstance(query, dict):
            asked = ", ".join(f"{name}: {value}" for name, value in query.items())
            return f"{row.payload.get('resource', '')} · {asked or 'all'}"[:120]
        return row.sop_instance_uid or "—"

    @admin.display(description="details")
    def details(self, row: Any) -> str:
        """The payload, readable."""
        return format_html("<pre>{}</pre>", json.dumps(row.payload, indent=2, sort_keys=True))
