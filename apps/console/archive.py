"""Patients, studies, series and instances as the index holds them; read only."""

from __future__ import annotations

from urllib.parse import quote

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from pydicom.datadict import keyword_for_tag

from apps.archive.entities import ENTITY_MAPS
from apps.archive.models import Amendment, Instance, NonPatientInstance, Patient, Series, Study
from apps.console.read_only import ReadOnlyAdmin
from apps.console.transfers import send_to
from apps.console.wording import day, person_name
from apps.dicom.amendments import unpacked
from apps.dicom.query import Level
from apps.dicom.sop_classes import sop_class
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.dicom.uids import in_path
from apps.indexing.filters import AttributeSearch, date_filter


def viewer_link(study_uid: str) -> str:
    """A link to the images of a study."""
    return format_html('<a href="/viewer/{}">open</a>', in_path(study_uid))


@admin.register(Patient)
class PatientAdmin(AttributeSearch, ReadOnlyAdmin):
    list_display = ("name", "patient_id", "born", "patient_sex", "studies")
    entities = ENTITY_MAPS[Level.PATIENT]
    searched = ("PatientName", "PatientID")
    search_help_text = "Beginning of a name or of the Patient ID"
    ordering = ("patient_name_alphabetic", "id")
    inner = frozenset({"id", "identity_key"})

    @admin.display(description="name", ordering="patient_name_alphabetic")
    def name(self, row: Patient) -> str:
        """Alphabetic group, readable."""
        return person_name(row.patient_name)

    @admin.display(description="born", ordering="patient_birth_date")
    def born(self, row: Patient) -> str:
        """Birth date, readable."""
        return day(row.patient_birth_date)

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
class StudyAdmin(AttributeSearch, ReadOnlyAdmin):
    actions = [send_to]
    list_display = (
        "name",
        "date",
        "modalities",
        "study_description",
        "state",
        "images",
        "receipt",
        "opened",
    )
    list_filter = ("state", date_filter("StudyDate"), "source_door")
    entities = ENTITY_MAPS[Level.STUDY]
    searched = ("PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID")
    ordering = ("-received_at",)
    search_help_text = "Beginning of a name, Patient ID or accession number; whole UID"
    readonly_fields = ("opened", "alerts_shown")
    inner = frozenset({"id", "stored_attributes"})

    @admin.display(description="patient", ordering="patient_name_alphabetic")
    def name(self, row: Study) -> str:
        """Name and identifier."""
        return f"{person_name(row.patient_name)} · {row.patient_id or 'no ID'}"

    @admin.display(description="date", ordering="study_date")
    def date(self, row: Study) -> str:
        """Study Date, readable."""
        return day(row.study_date)

    @admin.display(description="modalities")
    def modalities(self, row: Study) -> str:
        """Modalities in Study."""
        return str(row.modalities_in_study).replace("\\", ", ")

    @admin.display(description="images")
    def images(self, row: Study) -> str:
        """A link to the series."""
        url = reverse("admin:archive_series_changelist")
        return format_html(
            '<a href="{}?study__id__exact={}">{}</a>',
            url,
            row.pk,
            row.number_of_study_related_instances,
        )

    @admin.display(description="receipt")
    def receipt(self, row: Study) -> str:
        """A link to what was proved of its bytes."""
        url = reverse("study-receipts", args=[row.study_instance_uid])
        return format_html('<a href="{}">safe?</a>', url)

    @admin.display(description="viewer")
    def opened(self, row: Study) -> str:
        """A link to the images."""
        return viewer_link(row.study_instance_uid)

    @admin.display(description="needs attention")
    def alerts_shown(self, row: Study) -> str:
        """Why somebody has to look at it."""
        texts = list(row.alerts.values_list("text", flat=True))
        return format_html_join("", "{}<br>", ((text,) for text in texts)) or "no"


@admin.register(Series)
class SeriesAdmin(AttributeSearch, ReadOnlyAdmin):
    list_display = ("of", "modality", "series_number", "series_description", "count", "opened")
    list_filter = ("modality",)
    list_select_related = ("study",)
    entities = ENTITY_MAPS[Level.SERIES]
    searched = ("PatientName", "PatientID", "SeriesInstanceUID", "StudyInstanceUID")
    search_help_text = "Beginning of a name or Patient ID; whole UID of the series or study"
    ordering = ("-id",)
    readonly_fields = ("opened",)
    inner = frozenset({"id", "stored_attributes"})

    @admin.display(description="patient")
    def of(self, row: Series) -> str:
        """Whose, and when."""
        return f"{person_name(row.study.patient_name)} · {day(row.study.study_date)}"

    @admin.display(description="instances")
    def count(self, row: Series) -> str:
        """A link to the instances."""
        url = reverse("admin:archive_instance_changelist")
        return format_html(
            '<a href="{}?series__id__exact={}">{}</a>',
            url,
            row.pk,
            row.number_of_series_related_instances,
        )

    @admin.display(description="viewer")
    def opened(self, row: Series) -> str:
        """A link to the images."""
        return viewer_link(row.study.study_instance_uid)


@admin.register(Instance)
class InstanceAdmin(AttributeSearch, ReadOnlyAdmin):
    list_display = ("number", "what", "of", "coded", "received_at", "opened")
    list_select_related = ("study", "series")
    entities = ENTITY_MAPS[Level.INSTANCE]
    searched = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID")
    search_help_text = "Whole UID of the instance, series or study; beginning of the Patient ID"
    ordering = ("-id",)
    readonly_fields = ("what", "coded", "digest", "changed", "opened")
    inner = frozenset({"id", "dataset_sha256", "dataset_offset"})

    @admin.display(description="number", ordering="instance_number")
    def number(self, row: Instance) -> str:
        """Instance Number."""
        return "—" if row.instance_number is None else str(row.instance_number)

    @admin.display(description="kind", ordering="sop_class_uid")
    def what(self, row: Instance) -> str:
        """The SOP Class in words, its UID where we know no more."""
        known = sop_class(row.sop_class_uid)
        return known.name if known.keyword else row.sop_class_uid

    @admin.display(description="of")
    def of(self, row: Instance) -> str:
        """Whose, when, and of which series."""
        series = row.series.series_description or row.series.modality or "series"
        return f"{person_name(row.study.patient_name)} · {day(row.study.study_date)} · {series}"

    @admin.display(description="coded as", ordering="transfer_syntax_uid")
    def coded(self, row: Instance) -> str:
        """The Transfer Syntax in words."""
        return transfer_syntax(row.transfer_syntax_uid).name or row.transfer_syntax_uid

    @admin.display(description="viewer")
    def opened(self, row: Instance) -> str:
        """A link to the images."""
        return viewer_link(row.study.study_instance_uid)

    @admin.display(description="SHA-256 of the data set")
    def digest(self, row: Instance) -> str:
        """Hexadecimal, as other tools print it."""
        return bytes(row.dataset_sha256).hex()

    @admin.display(description="changed by rules")
    def changed(self, row: Instance) -> str:
        """Which coercion rules, and what they changed."""
        amendment = Amendment.objects.filter(pk=row.pk).first()
        if amendment is None:
            return "nothing: it is given out as received"
        tags = {tag for layer in unpacked(bytes(amendment.layers)) for tag in layer.elements}
        changed = ", ".join(keyword_for_tag(tag) for tag in sorted(tags))
        return f"{changed} by {', '.join(amendment.rules.splitlines())}; stored as received"


@admin.register(NonPatientInstance)
class NonPatientInstanceAdmin(ReadOnlyAdmin):
    list_display = ("shown", "resource", "what", "size", "received_at", "verdict", "retrieved")
    list_filter = ("resource", "verdict")
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
