"""Rules, peers and policies in the admin: every save and every removal is an event."""

from __future__ import annotations

from typing import Any

from django.db.models import Field, QuerySet, URLField
from django.http import HttpRequest

from apps.access.actions.keep_rule import drop_rule, keep_rule
from apps.access.authentication import principal_of
from apps.access.principals import Permission
from apps.console.model_admin import AnyModelAdmin


class RuleAdmin(AnyModelAdmin):
    """Saves and removes through the actions that programs use too."""

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **given: Any
    ) -> Any:
        """An address without a scheme is taken to be an encrypted one."""
        if isinstance(db_field, URLField):
            given.setdefault("assume_scheme", "https")
        return super().formfield_for_dbfield(db_field, request, **given)

    def save_model(self, request: HttpRequest, row: Any, _form: Any, _change: bool) -> None:
        """The form has checked it; the action checks again and records."""
        keep_rule(principal_of(request, "admin"), row)

    def delete_model(self, request: HttpRequest, row: Any) -> None:
        """One row."""
        drop_rule(principal_of(request, "admin"), row)

    def delete_queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """One by one, each with its event."""
        for row in rows:
            drop_rule(principal_of(request, "admin"), row)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Who may change the model in the admin must be an administrator of the product too."""
        return super().has_add_permission(request) and _administers(request)

    def has_change_permission(self, request: HttpRequest, row: Any = None) -> bool:
        """As for adding."""
        return super().has_change_permission(request, row) and _administers(request)

    def has_delete_permission(self, request: HttpRequest, row: Any = None) -> bool:
        """As for adding."""
        return super().has_delete_permission(request, row) and _administers(request)


def _administers(request: HttpRequest) -> bool:
    return principal_of(request, "admin").may(Permission.ADMINISTER)
