"""FHIR resources, below `/fhir/`."""

from __future__ import annotations

from django.urls import path

from apps.dicomweb.door import resource
from apps.dicomweb.fhir.views import (
    capability_statement,
    read_imaging_study,
    search_by_form,
    search_imaging_studies,
)

app_name = "fhir"

urlpatterns = [
    path("metadata", resource(GET=capability_statement), name="metadata"),
    path("ImagingStudy", resource(GET=search_imaging_studies), name="imaging-studies"),
    path("ImagingStudy/_search", resource(POST=search_by_form), name="imaging-study-form"),
    path("ImagingStudy/<last_uid:study>", resource(GET=read_imaging_study), name="imaging-study"),
]
