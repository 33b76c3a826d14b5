"""Search and list filters of the admin, made from the attribute table."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib import admin
from django.test import RequestFactory
from django.utils import timezone

from apps.archive.entities import ENTITY_MAPS
from apps.archive.models import Study
from apps.dicom.query import Level
from apps.indexing.filters import AttributeSearch, date_filter
from tests.domain.archive_rows import make_study

pytestmark = pytest.mark.django_db


class StudyAdmin(AttributeSearch):
    entities = ENTITY_MAPS[Level.STUDY]
    searched = ("PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID", "StudyDate")


@pytest.mark.parametrize(
    ("typed", "hits"),
    [("mül", 1), ("MULLER p7", 1), ("p7", 1), ("7", 0), ("1.2.3", 1), ("1.2", 0), ("20240105", 1),
     ("x' OR 1=1", 0), ("mul xyz", 0), ("", 2)],
)  # fmt: skip
def test_every_word_is_looked_for_in_the_attributes_searched(typed: str, hits: int) -> None:
    make_study(PatientName="Müller^Hans", PatientID="p7", StudyInstanceUID="1.2.3",
               StudyDate="20240105")  # fmt: skip
    make_study(PatientName="Other")
    page = StudyAdmin(Study, admin.site)
    request = RequestFactory().get("/")
    rows, duplicates = page.get_search_results(request, Study.objects.all(), typed)
    assert rows.count() == hits
    assert not duplicates
    assert "accession_number" in page.get_search_fields(request)


@pytest.mark.parametrize(
    ("value", "hits"), [("1", 1), ("7", 2), ("365", 2), ("0", 1), ("x", 4), ("9999", 4)]
)
def test_dates_in_text_are_filtered_by_days(value: str, hits: int) -> None:
    today = timezone.now()
    for days in (0, 3, 4000):
        make_study(StudyDate=f"{today - timedelta(days=days):%Y%m%d}")
    make_study()
    made = date_filter("StudyDate")
    request = RequestFactory().get("/", {"study_date": value})
    chosen = made(request, {"study_date": [value]}, Study, StudyAdmin(Study, admin.site))
    assert chosen.queryset(request, Study.objects.all()).count() == hits
    assert len(chosen.lookup_choices) == 5
