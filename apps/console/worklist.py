"""Worklist entries and orders: listed, entered, changed, cancelled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from apps.access.authentication import principal_of
from apps.access.principals import Permission
from apps.console.confirmation import confirmation, is_confirmed
from apps.console.read_only import ReadOnlyAdmin
from apps.console.wording import person_name
from apps.dicom.worklist import BY_KEYWORD
from apps.errors import InvalidRequest, PacsError
from apps.worklist.actions.cancel_order import cancel_order
from apps.worklist.actions.change_order import change_order
from apps.worklist.actions.receive_patient import receive_patient
from apps.worklist.actions.schedule_order import schedule_order
from apps.worklist.documents import entry_attributes
from apps.worklist.models import ScheduledProcedureStep, ServiceRequest
from apps.worklist.orders import changes_of, order_of
from apps.worklist.selectors import entry_of
from apps.worklist.states import OPEN

_DATE: Final = "YYYYMMDD"
# TABLE: keyword, label, hint; what is needed is said by the worklist itself.
FIELDS: Final[tuple[tuple[str, str, str], ...]] = (
    ("PatientName", "Patient's name", "Family^Given"),
    ("PatientID", "Patient ID", ""),
    ("IssuerOfPatientID", "Issuer of Patient ID", ""),
    ("PatientBirthDate", "Birth date", _DATE),
    ("PatientSex", "Sex", "F, M or O"),
    ("PatientWeight", "Weight", "kg"),
    ("MedicalAlerts", "Medical alerts", ""),
    ("Allergies", "Allergies", ""),
    ("AccessionNumber", "Accession number", "at most 16 characters"),
    ("ReferringPhysicianName", "Referring physician", "Family^Given"),
    ("RequestedProcedureDescription", "Procedure", ""),
    ("ReasonForTheRequestedProcedure", "Reason", ""),
    ("Modality", "Modality", "CT, MR, US, …"),
    ("ScheduledStationAETitle", "Station AE title", "several with a backslash between them"),
    ("ScheduledProcedureStepStartDate", "Start date", _DATE),
    ("ScheduledProcedureStepStartTime", "Start time", "HHMM"),
    ("ScheduledPerformingPhysicianName", "Performing physician", "Family^Given"),
    ("ScheduledProcedureStepDescription", "Step", ""),
    ("CommentsOnTheScheduledProcedureStep", "Comments", ""),
)


class EntryForm(forms.Form):
    """The attributes of an entry that a person types in; the worklist checks them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for keyword, label, hint in FIELDS:
            self.fields[keyword] = forms.CharField(
                label=label,
                help_text=hint,
                required=False,
                strip=True,
                widget=forms.TextInput(attrs={"class": "vTextField"}),
            )

    def refuse(self, error: PacsError) -> None:
        """The worklist's sentence at the field it is about, else at the top."""
        named = error.offending if isinstance(error, InvalidRequest) else ()
        self.add_error(next((each for each in named if each in self.fields), None), error.message)


class StartFilter(admin.SimpleListFilter):
    """By start date, as one plans a day: columns hold DICOM dates."""

    title = "start"
    parameter_name = "start"

    def lookups(
        self, _request: HttpRequest, _model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        """What can be chosen."""
        return [
            ("0", "today"),
            ("1", "tomorrow"),
            ("7", "the next 7 days"),
            ("past", "before today"),
        ]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of the days chosen."""
        column = "scheduled_procedure_step_start_date"
        today = timezone.localdate()
        value = self.value() or ""
        if value == "past":
            return queryset.filter(**{f"{column}__lt": f"{today:%Y%m%d}"})
        if value not in {"0", "1", "7"}:
            return queryset
        last = today + timedelta(days=int(value))
        first = last if value == "1" else today
        return queryset.filter(
            **{f"{column}__gte": f"{first:%Y%m%d}", f"{column}__lte": f"{last:%Y%m%d}"}
        )


class StateFilter(admin.SimpleListFilter):
    """By Scheduled Procedure Step Status."""

    title = "state"
    parameter_name = "state"

    def lookups(
        self, _request: HttpRequest, _model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        """What devices are shown, and each state."""
        states = [
            (str(value), str(label)) for value, label in ScheduledProcedureStep.Status.choices
        ]
        return [("open", "on the worklist"), *states]

    def queryset(self, _request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows in the state chosen."""
        value = self.value()
        if value is None:
            return queryset
        wanted = OPEN if value == "open" else (value,)
        return queryset.filter(scheduled_procedure_step_status__in=wanted)


@admin.register(ScheduledProcedureStep)
class WorklistEntryAdmin(ReadOnlyAdmin):
    list_display = ("start", "patient", "what", "station", "accession", "status")
    list_filter = (StartFilter, StateFilter, "modality")
    search_fields = (
        "procedure__service_request__patient_id__startswith",
        "procedure__service_request__patient_name_alphabetic__startswith",
        "procedure__service_request__accession_number__exact",
        "procedure__study_instance_uid__exact",
        "scheduled_station_ae_title__exact",
    )
    search_help_text = "Beginning of the name or Patient ID; whole accession number, UID or station"
    ordering = (
        "-scheduled_procedure_step_start_date",
        "scheduled_procedure_step_start_time",
        "id",
    )
    actions = ["patient_arrived", "patient_ready", "cancel_entries"]

    @admin.display(description="start", ordering="scheduled_procedure_step_start_date")
    def start(self, row: ScheduledProcedureStep) -> str:
        """Date and time as people read them."""
        day, time = row.scheduled_procedure_step_start_date, row.scheduled_procedure_step_start_time
        return f"{day[:4]}-{day[4:6]}-{day[6:8]} {time[:2]}:{time[2:4]}"

    @admin.display(description="patient")
    def patient(self, row: ScheduledProcedureStep) -> str:
        """Name and identifier."""
        request = row.procedure.service_request
        return f"{person_name(request.patient_name)} · {request.patient_id or 'no ID'}"

    @admin.display(description="procedure")
    def what(self, row: ScheduledProcedureStep) -> str:
        """Modality and description."""
        described = (
            row.scheduled_procedure_step_description
            or row.procedure.requested_procedure_description
        )
        return f"{row.modality} {described}".strip()

    @admin.display(description="station")
    def station(self, row: ScheduledProcedureStep) -> str:
        """AE titles of the stations."""
        return str(row.scheduled_station_ae_title).replace("\\", ", ") or "any"

    @admin.display(description="accession")
    def accession(self, row: ScheduledProcedureStep) -> str:
        """Accession number of the order."""
        return str(row.procedure.service_request.accession_number) or "—"

    @admin.display(description="state", ordering="scheduled_procedure_step_status")
    def status(self, row: ScheduledProcedureStep) -> str:
        """Scheduled Procedure Step Status in words."""
        return str(row.get_scheduled_procedure_step_status_display())

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The order comes with the rows."""
        return super().get_queryset(request).select_related("procedure__service_request")

    def has_add_permission(self, request: HttpRequest, *_args: Any) -> bool:
        """Who may schedule."""
        return principal_of(request, "admin").may(Permission.MANAGE_WORKLIST)

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """Django asks this for actions with `permissions=["manage"]`."""
        return self.has_add_permission(request)

    def add_view(
        self, request: HttpRequest, _form_url: str = "", _context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A form for one order with one step."""
        if not self.has_add_permission(request):
            raise Http404
        form = EntryForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            given = {name: text for name, text in form.cleaned_data.items() if text}
            try:
                schedule_order(principal_of(request, "admin"), order_of(given))
            except PacsError as error:
                form.refuse(error)
            else:
                return self._done(request, "The entry is on the worklist.")
        return self._page(request, form, "New worklist entry")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        _form_url: str = "",
        _context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The entry, what was done under it and, while nobody has begun it, a form."""
        principal = principal_of(request, "admin")
        try:
            entry = entry_of(int(object_id), principal)
        except (PacsError, ValueError):
            raise Http404 from None
        before = entry_attributes(entry)
        form = EntryForm(request.POST or None, initial=before)
        if request.method == "POST" and form.is_valid():
            cleaned = form.cleaned_data
            changed = {k: v for k, v in cleaned.items() if v != before.get(k, "")}
            try:
                order = changes_of(entry, changed, {})
                change_order(principal, entry.procedure.service_request_id, order)
            except PacsError as error:
                form.refuse(error)
            else:
                return self._done(request, "The entry is changed.")
        return self._page(request, form, "Worklist entry", entry)

    def _done(self, request: HttpRequest, sentence: str) -> HttpResponse:
        self.message_user(request, sentence, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:worklist_scheduledprocedurestep_changelist"))

    def _page(
        self,
        request: HttpRequest,
        form: EntryForm,
        title: str,
        entry: ScheduledProcedureStep | None = None,
    ) -> HttpResponse:
        editable = entry is None or entry.scheduled_procedure_step_status in OPEN
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "form": form,
            "entry": entry,
            "facts": [] if entry is None else _facts(entry),
            "editable": editable and self.has_add_permission(request),
        }
        return TemplateResponse(request, "console/entry.html", context)

    @admin.action(description="Patient arrived", permissions=["manage"])
    def patient_arrived(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """The patients are here."""
        self._receive(request, rows, "ARRIVED")

    @admin.action(description="Patient ready", permissions=["manage"])
    def patient_ready(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """The patients are ready."""
        self._receive(request, rows, "READY")

    def _receive(self, request: HttpRequest, rows: QuerySet[Any], status: str) -> None:
        self._for_each(request, rows, lambda who, row: receive_patient(who, row.pk, status))

    @admin.action(description="Cancel…", permissions=["manage"])
    def cancel_entries(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Takes entries off the worklist, once that is confirmed."""
        if not is_confirmed(request, rows):
            return confirmation(
                self,
                request,
                rows,
                lambda row: f"{self.start(row)} · {self.patient(row)}",
                title="Cancel worklist entries",
                consequence="Devices do not see these entries any more. They stay on record.",
                action="cancel_entries",
            )
        self._for_each(
            request,
            rows,
            lambda who, row: cancel_order(who, row.procedure.service_request_id, step_id=row.pk),
        )
        return None

    def _for_each(self, request: HttpRequest, rows: QuerySet[Any], act: Any) -> None:
        principal = principal_of(request, "admin")
        done = 0
        for row in rows:
            try:
                act(principal, row)
                done += 1
            except PacsError as error:
                self.message_user(request, f"{row}: {error.message}", messages.ERROR)
        if done:
            self.message_user(request, f"Done for {done}.", messages.SUCCESS)


def _facts(entry: ScheduledProcedureStep) -> list[tuple[str, Any]]:
    """What is known beside the form: identifiers, and links to what was done."""
    procedure = entry.procedure
    performed = format_html_join(
        ", ",
        '<a href="{}">{} ({})</a>',
        (
            (
                reverse("admin:worklist_performedprocedurestep_change", args=[each.pk]),
                each.performed_procedure_step_id or each.pk,
                each.get_status_display(),
            )
            for each in entry.performed_steps.all()
        ),
    )
    studies = format_html_join(
        ", ",
        '<a href="{}">{}</a> ({})',
        (
            (
                reverse("admin:archive_study_change", args=[link.study_id]),
                link.study.study_instance_uid,
                link.get_basis_display(),
            )
            for link in procedure.links.all()
        ),
    )
    return [
        ("State", entry.get_scheduled_procedure_step_status_display()),
        ("Study Instance UID", procedure.study_instance_uid),
        ("Requested Procedure ID", procedure.requested_procedure_id),
        ("Scheduled Procedure Step ID", entry.scheduled_procedure_step_id),
        ("Performed steps", performed or "none yet"),
        ("Studies", studies or "none yet"),
    ]


@admin.register(ServiceRequest)
class OrderAdmin(ReadOnlyAdmin):
    list_display = ("accession_number", "patient", "entries", "created_at")
    search_fields = (
        "accession_number__exact",
        "patient_id__startswith",
        "patient_name_alphabetic__startswith",
        "placer_order_number_imaging_service_request__exact",
        "filler_order_number_imaging_service_request__exact",
    )
    search_help_text = "Beginning of the name or Patient ID; whole accession or order number"
    ordering = ("-created_at",)

    @admin.display(description="patient")
    def patient(self, row: ServiceRequest) -> str:
        """Name and identifier."""
        return f"{person_name(row.patient_name)} · {row.patient_id or 'no ID'}"

    @admin.display(description="worklist entries")
    def entries(self, row: ServiceRequest) -> str:
        """A link to its entries."""
        url = reverse("admin:worklist_scheduledprocedurestep_changelist")
        key = row.accession_number or row.patient_id
        return format_html('<a href="{}?q={}">show</a>', url, key)

    def get_fields(self, _request: HttpRequest, _row: Any = None) -> list[Any]:
        """What the order says; folded names are for searching only."""
        names = (field.name for field in self.opts.fields)
        folded = ("_alphabetic", "_ideographic", "_phonetic")
        return [name for name in names if not name.endswith((*folded, "sequences"))]


assert all(keyword in BY_KEYWORD for keyword, _, _ in FIELDS)
