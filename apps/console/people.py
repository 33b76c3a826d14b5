"""Users, tokens and paused sign-ins."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from apps.access.actions.issue_token import issue_token, revoke_tokens
from apps.access.audit import actor_of
from apps.access.authentication import principal_of
from apps.access.models import ApiToken, User
from apps.console.model_admin import AnyModelAdmin


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    list_display = ("username", "full_name", "roles", "is_active", "last_login")
    list_filter = ("groups", "is_active", "is_staff")

    @admin.display(description="name")
    def full_name(self, row: User) -> str:
        """First and last name."""
        return row.get_full_name() or "—"

    @admin.display(description="roles")
    def roles(self, row: User) -> str:
        """The groups, which are the roles."""
        names = [each.name for each in row.groups.all()]
        return ", ".join(names) or ("superuser" if row.is_superuser else "none")

    def has_delete_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """Deactivated, not deleted: drafts, tokens, decisions and histories name the person."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Roles come with the rows."""
        return super().get_queryset(request).prefetch_related("groups")


@admin.register(ApiToken)
class ApiTokenAdmin(AnyModelAdmin):
    list_display = ("name", "user", "prefix", "last_used_at", "ends")
    list_filter = ("revoked_at",)
    search_fields = ("name", "user__username", "prefix")
    autocomplete_fields = ("user",)
    readonly_fields = ("prefix", "created_at", "last_used_at", "revoked_at")
    actions = ["revoke"]

    def get_fields(self, _request: HttpRequest, row: Any = None) -> list[Any]:
        """A new token needs three things; the rest shows afterwards."""
        asked = ["user", "name", "expires_at"]
        return asked if row is None else [*asked, *self.readonly_fields]

    def get_readonly_fields(self, _request: HttpRequest, row: Any = None) -> list[str]:
        """A token's owner never changes."""
        return [*self.readonly_fields, *(["user"] if row is not None else [])]

    @admin.display(description="state")
    def ends(self, row: ApiToken) -> str:
        """Revoked, expired or valid."""
        if row.revoked_at:
            return "revoked"
        if row.expires_at and row.expires_at <= timezone.now():
            return "expired"
        return "valid"

    def save_model(self, request: HttpRequest, row: ApiToken, form: Any, change: bool) -> None:
        """Makes the token and shows its text this once."""
        if change:
            super().save_model(request, row, form, change)
            return
        actor = actor_of(principal_of(request, "admin"))
        made, text = issue_token(actor, row.user, row.name, row.expires_at)
        row.pk, row.prefix, row.digest = made.pk, made.prefix, made.digest
        messages.warning(request, f"The token is {text} — copy it now, it is not shown again.")

    @admin.action(description="Revoke the selected tokens at once")
    def revoke(self, request: HttpRequest, rows: QuerySet[ApiToken]) -> None:
        """From now on the tokens are refused."""
        actor = actor_of(principal_of(request, "admin"))
        count = revoke_tokens(actor, list(rows.values_list("pk", flat=True)))
        self.message_user(request, f"{count} tokens revoked.")

    def response_add(
        self, _request: HttpRequest, _row: ApiToken, _next: Any = None
    ) -> HttpResponse:
        """Back to the list, with the token's text as the only message."""
        return HttpResponseRedirect(reverse("admin:access_apitoken_changelist"))

    def has_delete_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """A revoked token stays, so that the event log can be read."""
        return False
