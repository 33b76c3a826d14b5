"""Rows that people look at and never edit: they follow from stored bytes or from what happened."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from apps.console.model_admin import AnyModelAdmin
from apps.indexing.columns import FoldedNameColumn


class ReadOnlyAdmin(AnyModelAdmin):
    """No adding, no changing, no deleting; everything else as in Django's admin."""

    actions: list[Any] = []
    # Counting a million rows for every page turn is what makes an admin slow.
    show_full_result_count = False
    list_per_page = 50

    # Columns that exist for queries or for the product itself.
    inner: frozenset[str] = frozenset()

    def get_fields(self, request: HttpRequest, row: Any = None) -> list[Any]:
        """What the row says: columns without a value, and those made for matching, are no news."""
        fields = list(super().get_fields(request, row))
        if row is None or self.fields or self.fieldsets:
            return fields
        columns = {each.name: each for each in row._meta.concrete_fields}
        return [each for each in fields if self._is_news(columns.get(each), row)]

    def _is_news(self, column: Any, row: Any) -> bool:
        if column is None:
            return True
        if isinstance(column, FoldedNameColumn) or column.name in self.inner:
            return False
        return getattr(row, column.attname) not in {"", None}

    def has_add_permission(self, _request: HttpRequest, *_args: Any) -> bool:
        """Rows come from elsewhere."""
        return False

    def has_change_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """Rows follow from something else and would be wrong once edited."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """Nothing is dropped here."""
        return False
