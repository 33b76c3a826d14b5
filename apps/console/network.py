"""Application entities and who may call."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path

from apps.console.fetching import fetch_page
from apps.console.one_row import OneRowAdmin
from apps.console.rule_admin import RuleAdmin
from apps.console.secret_form import SecretForm
from apps.network.models import ApplicationEntity, NetworkPolicy, WebArchive, Webhook
from apps.network.peers import Right
from apps.network.web_tls import NoAuthority, certificates_in, told


class _FetchedFrom(RuleAdmin):
    """Another archive: with the page from which studies are fetched."""

    change_form_template = "console/archive_form.html"

    def get_urls(self) -> list[URLPattern]:
        """With that page."""
        own = path(
            "<int:key>/fetch/",
            self.admin_site.admin_view(self.fetch_from),
            name=f"{self.opts.app_label}_{self.opts.model_name}_fetch",
        )
        return [own, *super().get_urls()]

    def fetch_from(self, request: HttpRequest, key: int) -> HttpResponse:
        """Which studies, what the archive says of them, and then the transfers."""
        return fetch_page(self, request, get_object_or_404(self.model, pk=key))


@admin.register(ApplicationEntity)
class ApplicationEntityAdmin(_FetchedFrom):
    list_display = ("title", "host", "port", "enabled", "last_seen_at")
    list_filter = ("enabled", *(right.value for right in Right))
    search_fields = ("title", "host", "description")
    fieldsets = (
        (None, {"fields": ("title", "description", "enabled")}),
        (
            "Where it listens",
            {
                "fields": (
                    "host",
                    "port",
                    "use_tls",
                    "queried",
                    "gateway",
                    "ask_commitment",
                    "send_corrections",
                )
            },
        ),
        (
            "What it may do here",
            {"fields": (*(right.value for right in Right), "match_address")},
        ),
        (
            "How it must come",
            {"fields": ("allowed_addresses", "require_tls", "certificate_names")},
        ),
        (
            "What is accepted of what it proposes",
            {
                "fields": (
                    "allowed_sop_classes",
                    "preferred_transfer_syntaxes",
                    "forbidden_transfer_syntaxes",
                )
            },
        ),
        ("Transfers to and from it", {"fields": ("parallel_transfers", "send_limit_kib")}),
        ("How its objects are taken", {"fields": ("default_character_set", "duplicates")}),
        ("Seen", {"fields": ("created_at", "last_seen_at")}),
    )
    readonly_fields = ("created_at", "last_seen_at")


@admin.register(NetworkPolicy)
class NetworkPolicyAdmin(OneRowAdmin):
    fieldsets = (
        (
            "Who may call",
            {
                "fields": (
                    "unknown_callers",
                    "check_called_title",
                    "require_tls",
                    "max_associations",
                    "refused_sop_classes",
                )
            },
        ),
        (
            "Association records",
            {
                "fields": (
                    "record_associations",
                    "record_refused_uids",
                    "keep_associations_days",
                    "keep_associations_most",
                )
            },
        ),
    )

    def has_delete_permission(self, _request: HttpRequest, _row: Any = None) -> bool:
        """The policy always exists."""
        return False


@admin.register(Webhook)
class WebhookAdmin(RuleAdmin):
    form = SecretForm
    list_display = ("url", "enabled", "delivered_at", "failures", "last_error")
    list_filter = ("enabled",)
    search_fields = ("url", "description")
    fields = (
        "url",
        "description",
        "secret",
        "kinds",
        "enabled",
        "delivered_at",
        "failures",
        "last_error",
        "next_attempt_at",
    )
    readonly_fields = ("delivered_at", "failures", "last_error", "next_attempt_at")


class WebArchiveForm(SecretForm):
    """A private key that was pasted among certificates is not sent back in the page."""

    def clean(self) -> dict[str, Any]:
        """The model refuses it; what the form shows again has certificates alone."""
        name = self.add_prefix("authorities")
        pasted = str(self.data.get(name, ""))
        if "PRIVATE KEY" in pasted and isinstance(self.data, QueryDict):
            shown = self.data.copy()
            shown[name] = certificates_in(pasted)
            self.data = shown
        return super().clean()


@admin.register(WebArchive)
class WebArchiveAdmin(_FetchedFrom):
    form = WebArchiveForm
    list_display = ("name", "url", "enabled", "description")
    list_filter = ("enabled", "queried", "move_destination")
    search_fields = ("name", "url", "description")
    fieldsets = (
        (None, {"fields": ("name", "description", "enabled")}),
        ("Where it is", {"fields": ("url", "authorities", "trusted", "shows_certificate")}),
        ("Fetching from it", {"fields": ("queried", "parallel_transfers")}),
        ("Sending to it", {"fields": ("move_destination",)}),
        ("How we sign in there", {"fields": ("user", "secret", "remove_secret")}),
    )
    readonly_fields = ("trusted",)

    @admin.display(description="whom that trusts")
    def trusted(self, row: WebArchive) -> str:
        """As saved."""
        if row.url.startswith("http:"):
            return "nobody: such an address has no certificate"
        if not row.authorities:
            return "whom the operating system trusts"
        try:
            return "; ".join(told(row.authorities))
        except NoAuthority:
            return "nobody"
