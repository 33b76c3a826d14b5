"""Patients, studies, series and instances as the index holds them; read only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from apps.archive.models import Instance, Patient, Series, Study
from apps.console.read_only import ReadOnlyAdmin


def person_name(text: str) -> str:
    """`DOE^JANE^^^` -> `DOE, JANE`: the alphabetic group as people read it."""
    parts = [part for part in text.partition("=")[0].split("^") if part]
    family, given = parts[:1], " ".join(parts[1:])
    return ", ".join([*family, given] if given else family) or "—"


@admin.register(Patient)
class PatientAdmin(ReadOnlyAdmin):
    list_display = ("name", "patient_id", "patient_birth_date", "patient_sex", "studies")
    search_fields = ("patient_id__startswith", "patient_name_alphabetic__startswith")
    ordering = ("patient_name_alphabetic", "id")

    @admin.display(description="name", ordering="patient_name_alphabetic")
    def name(self, row: Patient) -> str:
        """Alphabetic group, readable."""
        return person_name(row.patient_name)

    @admin.display(description="studies")
    def studies(self, row: Patient) -> str:
        """A link to this patient's studies."""
        url = reverse("admin:archive_study_changelist")
        return format_html(
            '<a href="{}?patient_entity__id__exact={}">{}</a>',
            url,
            row.pk,
            row.number_of_patient_related_studies,
        )


@admin.register(Study)
class StudyAdmin(ReadOnlyAdmin):
    list_display = ("name", "study_date", "modalities", "study_description", "images", "opened")
    list_filter = ("state", "source_door")
    search_fields = (
        "patient_id__startswith",
        "patient_name_alphabetic__startswith",
        "accession_number__exact",
        "study_instance_uid__exact",
    )
    ordering = ("-received_at",)
    search_help_text = "Beginning of the name or Patient ID; whole accession number or UID"

    @admin.display(description="patient", ordering="patient_name_alphabetic")
    def name(self, row: Study) -> str:
        """Name and identifier."""
        return f"{person_name(row.patient_name)} · {row.patient_id or 'no ID'}"

    @admin.display(description="modalities")
    def modalities(self, row: Study) -> str:
        """Modalities in Study."""
        return str(row.modalities_in_study).replace("\\", ", ")

    @admin.display(description="images")
    def images(self, row: Study) -> str:
        """A link to the instances."""
        url = reverse("admin:archive_instance_changelist")
        return format_html(
            '<a href="{}?study__id__exact={}">{}</a>',
            url,
            row.pk,
            row.number_of_study_related_instances,
        )

    @admin.display(description="viewer")
    def opened(self, row: Study) -> str:
        """A link to the images."""
        return format_html('<a href="/viewer/{}">open</a>', row.study_instance_uid)


@admin.register(Series)
class SeriesAdmin(ReadOnlyAdmin):
    list_display = (
        "series_instance_uid",
        "modality",
        "series_number",
        "series_description",
        "count",
    )
    list_filter = ("modality",)
    search_fields = ("series_instance_uid__exact", "study__study_instance_uid__exact")

    @admin.display(description="instances")
    def count(self, row: Series) -> int:
        """Number of Series Related Instances."""
        return row.number_of_series_related_instances


@admin.register(Instance)
class InstanceAdmin(ReadOnlyAdmin):
    list_display = (
        "sop_instance_uid",
        "sop_class_uid",
        "instance_number",
        "transfer_syntax_uid",
        "received_at",
    )
    search_fields = (
        "sop_instance_uid__exact",
        "series__series_instance_uid__exact",
        "study__study_instance_uid__exact",
    )
    ordering = ("-id",)
    readonly_fields = ("digest",)
    exclude = ("dataset_sha256",)

    @admin.display(description="SHA-256 of the data set")
    def digest(self, row: Instance) -> str:
        """Hexadecimal, as other tools print it."""
        return bytes(row.dataset_sha256).hex()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The parents come with the rows."""
        return super().get_queryset(request).select_related("study", "series")
