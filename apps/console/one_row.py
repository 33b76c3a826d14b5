"""Settings kept as the one row of a table: the list leads straight to the form."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from apps.console.rule_admin import RuleAdmin


class OneRowAdmin(RuleAdmin):
    """Edits the row with primary key 1, which is made when first looked at."""

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """There is one row."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """There is always one row."""
        return False

    def changelist_view(
        self, _request: HttpRequest, _extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Straight to the form."""
        self.model._default_manager.get_or_create(pk=1)
        options = self.model._meta
        return HttpResponseRedirect(
            reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[1])
        )
