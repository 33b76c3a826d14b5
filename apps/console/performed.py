"""What modalities did, what of it arrived, studies without order, and who is told."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from apps.access.authentication import principal_of
from apps.access.principals import Permission
from apps.console.confirmation import confirmation, is_confirmed
from apps.console.read_only import ReadOnlyAdmin
from apps.console.rule_admin import RuleAdmin
from apps.console.wording import person_name
from apps.dicom.uids import in_path
from apps.errors import PacsError
from apps.ingest.actions.reject_wrong_entries import bring_back
from apps.worklist.actions.assign_study import assign_study
from apps.worklist.actions.deliver import decide_delivery
from apps.worklist.models import (
    Delivery,
    PerformedProcedureStep,
    RequestedProcedure,
    StudyLink,
    UnlinkedStudy,
    WorkflowPeer,
)
from apps.worklist.selectors import (
    candidates_for,
    missing_instances,
    unannounced_instances,
    with_counts,
)

_MOST_SHOWN = 200


@admin.register(PerformedProcedureStep)
class PerformedStepAdmin(ReadOnlyAdmin):
    list_display = ("started", "patient", "device", "status", "images")
    list_filter = ("status", "wrong_entry", "modality", "performed_station_ae_title")
    search_fields = (
        "patient_id__startswith",
        "accession_number__exact",
        "sop_instance_uid__exact",
        "studies__study_instance_uid__exact",
        "performed_procedure_step_id__exact",
    )
    search_help_text = "Beginning of the Patient ID; whole accession number, UID or step ID"
    ordering = ("-id",)
    fields = (
        "status",
        "entry_was_right",
        "patient",
        "device",
        "started",
        "ended",
        "accession_number",
        "performed_procedure_step_id",
        "sop_instance_uid",
        "entries",
        "study_uids",
        "images",
        "missing_list",
        "unannounced_list",
        "available_at",
        "source_ae_title",
        "source_address",
        "data_set",
    )
    readonly_fields = (
        "entry_was_right",
        "patient",
        "device",
        "started",
        "ended",
        "entries",
        "study_uids",
        "images",
        "missing_list",
        "unannounced_list",
        "available_at",
        "data_set",
    )

    actions = ["bring_images_back"]

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """Django asks this for actions with `permissions=["manage"]`."""
        return principal_of(request, "admin").may(Permission.MANAGE_WORKLIST)

    @admin.action(description="Bring back images of a wrong entry…", permissions=["manage"])
    def bring_images_back(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Rejected images return, to be assigned to the right order, once that is confirmed."""
        if not is_confirmed(request, rows):
            return confirmation(
                self,
                request,
                rows,
                lambda row: f"{self.started(row)} · {self.patient(row)}",
                title="Bring back images",
                consequence="The images return to the study of the wrong entry, where everybody "
                "sees them. Assign the study at once under Studies without order.",
                action="bring_images_back",
            )
        principal = principal_of(request, "admin")
        for row in rows:
            try:
                count = bring_back(principal, row.pk)
            except PacsError as error:
                self.message_user(request, f"{row}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, f"{row}: {count} images are back.", messages.SUCCESS)
        return None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With counts of what it refers to and what is missing."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return with_counts(rows)

    @admin.display(description="under the right entry")
    def entry_was_right(self, row: PerformedProcedureStep) -> str:
        """Whether its images are whose they say they are."""
        if not row.wrong_entry:
            return "yes, as far as the device says"
        if not row.images_released:
            return "no: discontinued as wrong entry; its images are rejected until brought back"
        return "no: discontinued as wrong entry; its images wait under Studies without order"

    @admin.display(description="patient")
    def patient(self, row: PerformedProcedureStep) -> str:
        """Name and identifier."""
        return f"{person_name(row.patient_name)} · {row.patient_id or 'no ID'}"

    @admin.display(description="device")
    def device(self, row: PerformedProcedureStep) -> str:
        """Modality and station."""
        return f"{row.modality} {row.performed_station_ae_title}".strip()

    @admin.display(description="started", ordering="start_date")
    def started(self, row: PerformedProcedureStep) -> str:
        """By the modality's clock."""
        return _moment(row.start_date, row.start_time)

    @admin.display(description="ended")
    def ended(self, row: PerformedProcedureStep) -> str:
        """By the modality's clock."""
        return _moment(row.end_date, row.end_time)

    @admin.display(description="images")
    def images(self, row: Any) -> str:
        """How many of those it refers to are here."""
        if not row.expected:
            return "none reported yet" if row.ended_at is None else "none made"
        if row.missing:
            return f"{row.missing} of {row.expected} missing"
        return f"all {row.expected} here"

    @admin.display(description="worklist entries")
    def entries(self, row: PerformedProcedureStep) -> str:
        """Links to the entries it worked off."""
        linked = format_html_join(
            ", ",
            '<a href="{}">{}</a>',
            (
                (
                    reverse("admin:worklist_scheduledprocedurestep_change", args=[each.pk]),
                    each.scheduled_procedure_step_id,
                )
                for each in row.steps.all()
            ),
        )
        return linked or "unscheduled"

    @admin.display(description="studies")
    def study_uids(self, row: PerformedProcedureStep) -> str:
        """Links to the images, there or to come."""
        uids = row.studies.values_list("study_instance_uid", flat=True)
        links = ((in_path(uid), uid) for uid in uids)
        return format_html_join(", ", '<a href="/viewer/{}">{}</a>', links)

    @admin.display(description="missing images")
    def missing_list(self, row: PerformedProcedureStep) -> str:
        """SOP Instance UIDs that have not arrived."""
        return _lines(missing_instances(row).values_list("sop_instance_uid", flat=True))

    @admin.display(description="images it does not mention")
    def unannounced_list(self, row: PerformedProcedureStep) -> str:
        """SOP Instance UIDs in its series that it does not refer to."""
        return _lines(unannounced_instances(row).values_list("sop_instance_uid", flat=True))

    @admin.display(description="data set")
    def data_set(self, row: PerformedProcedureStep) -> str:
        """As the modality reported it, in the DICOM JSON Model."""
        text = json.dumps(row.document, indent=1, ensure_ascii=False)
        return format_html("<details><summary>show</summary><pre>{}</pre></details>", text)


def _moment(date: str, time: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:8]} {time[:2]}:{time[2:4]}" if date else "—"


def _lines(uids: QuerySet[Any, Any]) -> str:
    shown = list(uids[: _MOST_SHOWN + 1])
    if not shown:
        return "none"
    more = ["and more"] if len(shown) > _MOST_SHOWN else []
    return format_html("<pre>{}</pre>", "\n".join([*shown[:_MOST_SHOWN], *more]))


class AssignForm(forms.Form):
    """Which procedure a study belongs to."""

    procedure = forms.ChoiceField(label="This study belongs to", widget=forms.RadioSelect)

    def __init__(self, *args: Any, candidates: list[RequestedProcedure], **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["procedure"]
        assert isinstance(field, forms.ChoiceField)
        choices = [(str(each.pk), _described(each)) for each in candidates]
        field.choices = [*choices, ("none", "no order")]


def _described(procedure: RequestedProcedure) -> str:
    request = procedure.service_request
    parts = (
        request.accession_number and f"accession {request.accession_number}",
        person_name(request.patient_name),
        request.patient_id,
        procedure.requested_procedure_description or procedure.requested_procedure_id,
        ", ".join(sorted({each.modality for each in procedure.steps.all()})),
    )
    return " · ".join(part for part in parts if part)


@admin.register(UnlinkedStudy)
class UnlinkedStudyAdmin(ReadOnlyAdmin):
    list_display = ("found_at", "patient", "accession", "reason", "state")
    list_filter = ("state",)
    search_fields = ("study__patient_id__startswith", "study__accession_number__exact",
                     "study__study_instance_uid__exact")  # fmt: skip
    search_help_text = "Beginning of the Patient ID; whole accession number or UID"
    ordering = ("state", "-found_at")
    list_select_related = ("study",)

    @admin.display(description="patient")
    def patient(self, row: UnlinkedStudy) -> str:
        """Name and identifier, as the images say."""
        return f"{person_name(row.study.patient_name)} · {row.study.patient_id or 'no ID'}"

    @admin.display(description="accession")
    def accession(self, row: UnlinkedStudy) -> str:
        """As the images say."""
        return str(row.study.accession_number) or "—"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        _form_url: str = "",
        _context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The study, why it found no order, and the orders it could belong to."""
        row = self.get_object(request, object_id)
        if row is None or not self.has_view_permission(request, row):
            return HttpResponseRedirect(reverse("admin:worklist_unlinkedstudy_changelist"))
        principal = principal_of(request, "admin")
        candidates = list(candidates_for(row.study)[:50])
        form = AssignForm(request.POST or None, candidates=candidates)
        if request.method == "POST" and form.is_valid():
            chosen = form.cleaned_data["procedure"]
            try:
                assign_study(principal, row.study_id, None if chosen == "none" else int(chosen))
            except PacsError as error:
                form.add_error(None, error.message)
            else:
                self.message_user(request, "The study is assigned.", messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:worklist_unlinkedstudy_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": "Study without order",
            "opts": self.opts,
            "row": row,
            "patient": self.patient(row),
            "form": form,
            "may_assign": principal.may(Permission.MANAGE_WORKLIST),
        }
        return TemplateResponse(request, "console/unlinked.html", context)


@admin.register(StudyLink)
class StudyLinkAdmin(ReadOnlyAdmin):
    """Filter by *accession number* for images that came back under another Study Instance UID."""

    list_display = ("linked_at", "patient", "order", "asked_uid", "basis")
    list_filter = ("basis",)
    search_fields = ("study__patient_id__startswith", "study__accession_number__exact",
                     "study__study_instance_uid__exact")  # fmt: skip
    search_help_text = "Beginning of the Patient ID; whole accession number or UID"
    ordering = ("-id",)
    list_select_related = ("study", "procedure__service_request")

    @admin.display(description="patient")
    def patient(self, row: StudyLink) -> str:
        """Name and identifier, as the images say."""
        return f"{person_name(row.study.patient_name)} · {row.study.patient_id or 'no ID'}"

    @admin.display(description="order")
    def order(self, row: StudyLink) -> str:
        """Accession number, else the procedure's ID."""
        request = row.procedure.service_request
        return str(request.accession_number or row.procedure.requested_procedure_id)

    @admin.display(description="Study Instance UID", boolean=True)
    def asked_uid(self, row: StudyLink) -> bool:
        """Whether the images have the Study Instance UID that the worklist gave out."""
        return bool(row.procedure.study_instance_uid == row.study.study_instance_uid)


@admin.register(WorkflowPeer)
class WorkflowPeerAdmin(RuleAdmin):
    list_display = (
        "application_entity",
        "own_entries_only",
        "forward_mpps",
        "notify_availability",
        "enabled",
    )
    list_select_related = ("application_entity",)
    search_fields = ("application_entity__title",)
    autocomplete_fields = ("application_entity",)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "kind", "destination_title", "state", "attempts", "last_error")
    list_filter = ("state", "kind", "destination_title")
    search_fields = ("sop_instance_uid__exact",)
    search_help_text = "Whole SOP Instance UID"
    ordering = ("-id",)
    exclude = ("document", "destination")
    actions = ["try_again", "give_up"]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Django asks this for actions with `permissions=["decide"]`."""
        return principal_of(request, "admin").may(Permission.ADMINISTER)

    @admin.action(description="Try again at once", permissions=["decide"])
    def try_again(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """Does not wait for the next attempt; also for what was refused or given up."""
        self._decide(request, rows, retry=True)

    @admin.action(description="Give up…", permissions=["decide"])
    def give_up(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Ends the attempts, once that is confirmed."""
        if is_confirmed(request, rows):
            self._decide(request, rows, retry=False)
            return None
        return confirmation(
            self,
            request,
            rows,
            lambda row: f"{row.get_kind_display()} · {row.destination_title}",
            title="Give up messages",
            consequence="The other systems will not be told. They can be tried again later.",
            action="give_up",
        )

    def _decide(self, request: HttpRequest, rows: QuerySet[Any], *, retry: bool) -> None:
        principal = principal_of(request, "admin")
        done = 0
        for pk in rows.values_list("pk", flat=True):
            try:
                decide_delivery(principal, pk, retry=retry)
                done += 1
            except PacsError as error:
                self.message_user(request, f"Message {pk}: {error.message}", messages.ERROR)
        if done:
            self.message_user(request, f"Done for {done}.", messages.SUCCESS)
