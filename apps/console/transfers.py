"""Transfers: how far each is, and what became of its instances; "send to" for studies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import formats, timezone

from apps.access.authentication import principal_of
from apps.access.principals import Permission, Principal
from apps.archive.models import Study
from apps.console.read_only import ReadOnlyAdmin
from apps.console.wording import day, person_name
from apps.errors import PacsError
from apps.network.models import ApplicationEntity, WebArchive
from apps.transfers.actions.cancel_transfer import cancel_transfer
from apps.transfers.actions.request_transfer import send_to_other
from apps.transfers.actions.retry_transfer import retry_transfer
from apps.transfers.models import Transfer, TransferInstance
from apps.transfers.remote import Wanted, archive_named, instance_keys, peer_named
from apps.transfers.tasks import request_work

_MOST_STUDIES: Final = 500
_MOST_LINES: Final = 100
_DIMSE, _DICOMWEB = "dimse", "dicomweb"


@admin.register(Transfer)
class TransferAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at",
        "kind",
        "peer_title",
        "state",
        "progress",
        "standing",
        "asked_by",
    )
    list_filter = ("state", "kind", "peer_title")
    ordering = ("-created_at",)
    actions = ["retry", "cancel"]

    @admin.display(description="instances")
    def progress(self, row: Transfer) -> str:
        """How many of how many, and how many of those not well."""
        told = f"{row.completed + row.warning} of {row.total}"
        if row.warning:
            told += f", {row.warning} with a warning"
        return f"{told}, {row.failed} failed" if row.failed else told

    @admin.display(description="asked by", ordering="asked_by_name")
    def asked_by(self, row: Transfer) -> str:
        """Who was first, and whether others wait for it too."""
        return f"{row.asked_by_name} and others" if row.shared else row.asked_by_name

    @admin.display(description="why")
    def standing(self, row: Transfer) -> str:
        """Why it waits, and until when; or why it did not end well."""
        if row.state != Transfer.State.WAITING or not row.attempts:
            return row.message
        again = formats.time_format(timezone.localtime(row.not_before), "H:i:s")
        return (
            f"{row.message} Attempt {row.attempts + 1} of {row.most_attempts} at {again}.".strip()
        )

    @admin.action(description="Try again what has not arrived, or at once what waits")
    def retry(self, request: HttpRequest, rows: QuerySet[Transfer]) -> None:
        """Those that have ended, and those that wait for their next attempt."""
        self._each(request, rows, retry_transfer, "{} transfers wait again.")
        request_work()

    @admin.action(description="Cancel, for all who asked")
    def cancel(self, request: HttpRequest, rows: QuerySet[Transfer]) -> None:
        """Those that have not ended."""
        self._each(request, rows, cancel_transfer, "{} transfers are cancelled.")

    def _each(
        self,
        request: HttpRequest,
        rows: QuerySet[Transfer],
        act: Callable[[Principal, int], Transfer],
        told: str,
    ) -> None:
        principal, done = principal_of(request, "web"), 0
        for row in rows:
            try:
                act(principal, row.pk)
                done += 1
            except PacsError as error:
                self.message_user(request, f"Transfer {row.pk}: {error.message}", messages.ERROR)
        self.message_user(request, told.format(done))


@admin.register(TransferInstance)
class TransferInstanceAdmin(ReadOnlyAdmin):
    list_display = ("transfer", "position", "sop_instance_uid", "state", "answer", "message")
    list_filter = ("state",)
    search_fields = ("transfer__id__exact", "sop_instance_uid__exact")
    search_help_text = "Number of the transfer, or whole SOP Instance UID"
    list_select_related = ("transfer",)

    @admin.display(description="status")
    def answer(self, row: TransferInstance) -> str:
        """Four hexadecimal digits, as in conformance statements."""
        return "" if row.status is None else f"{row.status:04X}"


@admin.action(description="Send to another system…")
def send_to(
    page: ReadOnlyAdmin, request: HttpRequest, rows: QuerySet[Study]
) -> HttpResponse | None:
    """Asks for the peer, then requests one transfer with all the studies."""
    principal = principal_of(request, "web")
    if not principal.may(Permission.TRANSFER_STUDIES):
        page.message_user(request, "You may not send studies.", messages.ERROR)
        return None
    studies = list(rows[: _MOST_STUDIES + 1])
    if len(studies) > _MOST_STUDIES:
        page.message_user(request, f"{_MOST_STUDIES} studies at most.", messages.ERROR)
        return None
    if "peer" in request.POST:
        return _sent(page, request, principal, studies)
    context: dict[str, Any] = {
        **page.admin_site.each_context(request),
        "title": "Send to another system",
        "studies": studies,
        "lines": [_line(study) for study in studies[:_MOST_LINES]],
        "others": _others(),
    }
    return TemplateResponse(request, "console/send_to.html", context)


def _others() -> list[tuple[str, str]]:
    """What can be sent to: how the form names it, and what people read."""
    peers = ApplicationEntity.objects.filter(enabled=True, port__isnull=False).exclude(host="")
    archives = WebArchive.objects.filter(enabled=True)
    rows = [
        *((f"{_DIMSE} {each.title}", each.title, each.description) for each in peers),
        *((f"{_DICOMWEB} {each.name}", each.name, each.description) for each in archives),
    ]
    rows.sort(key=lambda row: row[1].lower())
    return [(value, f"{name} · {told}" if told else name) for value, name, told in rows]


def _line(study: Study) -> str:
    count = study.number_of_study_related_instances
    parts = (person_name(study.patient_name) or "no name", study.patient_id, day(study.study_date),
             study.study_description, f"{count} instance{'' if count == 1 else 's'}")  # fmt: skip
    return " · ".join(part for part in parts if part)


def _sent(
    page: ReadOnlyAdmin, request: HttpRequest, principal: Principal, studies: list[Study]
) -> HttpResponse | None:
    try:
        wanted = Wanted(studies=[study.study_instance_uid for study in studies])
        kind, _, name = request.POST["peer"].partition(" ")
        other = archive_named(name) if kind == _DICOMWEB else peer_named(name)
        keys = instance_keys(principal, wanted)
        transfer = send_to_other(principal, other=other, keys=keys)
    except PacsError as error:
        page.message_user(request, error.message, messages.ERROR)
        return None
    request_work()
    page.message_user(request, f"{transfer.total} instances are sent to {transfer.peer_title}.")
    return redirect(reverse("admin:transfers_transfer_changelist"))
