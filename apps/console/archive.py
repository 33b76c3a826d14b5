"""Patients, studies, series and instances as the index holds them; read only."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from apps.archive.models import Instance, NonPatientInstance, Patient, Series, Study
from apps.console.read_only import ReadOnlyAdmin
from apps.console.transfers import send_to
from apps.dicom.sop_classes import sop_class


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
    actions = [send_to]
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


@admin.register(NonPatientInstance)
class NonPatientInstanceAdmin(ReadOnlyAdmin):
    list_display = ("shown", "resource", "what", "size", "received_at", "retrieved")
    list_filter = ("resource",)
    search_fields = ("label__startswith", "sop_instance_uid__exact")
    search_help_text = "Beginning of the label; whole SOP Instance UID"
    ordering = ("resource", "label", "id")
    readonly_fields = ("digest", "size", "what", "retrieved")
    exclude = ("dataset_sha256", "fragment", "blob_key", "size_bytes", "dataset_offset")

    @admin.display(description="label", ordering="label")
    def shown(self, row: NonPatientInstance) -> str:
        """What its author calls it."""
        return row.label or "no label"

    @admin.display(description="kind")
    def what(self, row: NonPatientInstance) -> str:
        """The SOP Class in words."""
        return sop_class(row.sop_class_uid).name

    @admin.display(description="size", ordering="size_bytes")
    def size(self, row: NonPatientInstance) -> str:
        """Bytes, in kilobytes."""
        return f"{row.size_bytes / 1000:.1f} kB"

    @admin.display(description="instance")
    def retrieved(self, row: NonPatientInstance) -> str:
        """A link to the instance as it is stored."""
        accept = quote("application/dicom; transfer-syntax=*")
        return format_html(
            '<a href="/dicom-web/{}/{}?accept={}">download</a>',
            row.resource,
            row.sop_instance_uid,
            accept,
        )

    @admin.display(description="SHA-256 of the data set")
    def digest(self, row: NonPatientInstance) -> str:
        """Hexadecimal, as other tools print it."""
        return bytes(row.dataset_sha256).hex()
