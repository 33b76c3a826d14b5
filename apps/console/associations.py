"""What devices asked of us and we of them: association records, explained."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.api.associations import export
from apps.console.read_only import ReadOnlyAdmin
from apps.dicom.uids import name_of
from apps.network.association_report import contexts_of, explain, peer_of, summary
from apps.network.models import AssociationRecord


@admin.register(AssociationRecord)
class AssociationRecordAdmin(ReadOnlyAdmin):
    list_display = ("started", "peer", "direction", "address", "outcome")
    list_filter = ("direction", "ending")
    date_hierarchy = "started_at"
    search_fields = (
        "calling_ae_title__startswith",
        "called_ae_title__startswith",
        "address__exact",
        "implementation_version_name__startswith",
    )
    search_help_text = "Beginning of an AE title or implementation version; whole address"
    list_select_related = ("negotiation",)
    change_list_template = "console/associations.html"
    fieldsets = (
        (None, {"fields": ("explanation",)}),
        (
            "Peer",
            {
                "fields": (
                    "direction",
                    "calling_ae_title",
                    "called_ae_title",
                    "address",
                    "port",
                    "tls",
                    "certificate",
                    "user",
                    "implementation_class_uid",
                    "implementation_version_name",
                    "maximum_length",
                )
            },
        ),
        ("Presentation contexts", {"fields": ("contexts",)}),
        ("Course", {"fields": ("started_at", "ended_at", "received_bytes", "sent_bytes")}),
        ("Refused instances", {"fields": ("refused_instances",)}),
    )
    readonly_fields = ("explanation", "contexts", "refused_instances")

    @admin.display(description="started, UTC", ordering="started_at")
    def started(self, row: AssociationRecord) -> str:
        """To the second, in an order nobody mistakes."""
        return f"{row.started_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="peer", ordering="calling_ae_title")
    def peer(self, row: AssociationRecord) -> str:
        """The other side's AE title."""
        return peer_of(row)

    @admin.display(description="what happened")
    def outcome(self, row: AssociationRecord) -> str:
        """One line in plain words."""
        return summary(row)

    @admin.display(description="what happened")
    def explanation(self, row: AssociationRecord) -> SafeString:
        """Sentences, each with the setting that would change it."""
        lines = [
            (each.told, format_html("<br><em>{}</em>", each.remedy) if each.remedy else "")
            for each in explain(row)
        ]
        told = format_html("<ul>{}</ul>", format_html_join("", "<li>{}{}</li>", lines))
        if not row.operations.get("C-STORE"):
            return told
        url = reverse("association-receipts", args=[row.pk])
        return format_html('{}<a href="{}">Is all of it safe?</a>', told, url)

    @admin.display(description="presentation contexts")
    def contexts(self, row: AssociationRecord) -> str:
        """What was proposed and answered."""
        cells = [
            (
                each["context_id"],
                name_of(each["abstract_syntax"]),
                each["abstract_syntax"],
                format_html_join("", "{}<br>", [[name_of(uid)] for uid in each["proposed"]]),
                each["roles_proposed"] or "SCU",
                name_of(each["transfer_syntax"]) if each["result"] == 0 else each["why"],
            )
            for each in contexts_of(row)
        ]
        if not cells:
            return "—"
        return format_html(
            "<table><thead><tr><th>id</th><th>abstract syntax</th><th>Transfer Syntaxes proposed"
            "</th><th>role</th><th>answer</th></tr></thead><tbody>{}</tbody></table>",
            format_html_join(
                "",
                "<tr><td>{}</td><td>{}<br><small>{}</small></td><td>{}</td><td>{}</td>"
                "<td>{}</td></tr>",
                cells,
            ),
        )

    @admin.display(description="refused instances")
    def refused_instances(self, row: AssociationRecord) -> str:
        """Their UIDs, where the policy keeps them."""
        return "\n".join(f"{uid} ({status})" for uid, status in row.refused) or "—"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the negotiation, which both pages tell of."""
        return super().get_queryset(request).select_related("negotiation")

    def get_urls(self) -> list[URLPattern]:
        """The export keeps the filters of the list it is linked from."""
        mine = path(
            "export/<str:kind>/",
            self.admin_site.admin_view(self.export),
            name="network_associationrecord_export",
        )
        return [mine, *super().get_urls()]

    def export(self, request: HttpRequest, kind: str) -> StreamingHttpResponse:
        """What the list shows, as CSV or JSON; only for those who may see the list."""
        if kind not in {"csv", "json"} or not self.has_view_permission(request):
            raise Http404
        rows = self.get_changelist_instance(request).get_queryset(request)
        return export(rows.select_related("negotiation").iterator(chunk_size=500), kind)
