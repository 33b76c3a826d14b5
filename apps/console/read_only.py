"""Rows that people look at and never edit: they follow from stored bytes or from what happened."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from apps.console.model_admin import AnyModelAdmin


class ReadOnlyAdmin(AnyModelAdmin):
    """No adding, no changing, no deleting; everything else as in Django's admin."""

    actions: list[Any] = []
    # Counting a million rows for every page turn is what makes an admin slow.
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, _request: HttpRequest, *_args: Any) -> bool:
        """Rows come from elsewhere."""
        return False

    def has_change_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """Rows follow from something else and would be wrong once edited."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """Nothing is dropped here."""
        return False
