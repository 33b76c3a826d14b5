"""The attribute table and the archive's columns pair up, and the check notices when not."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks

from apps.archive import checks
from apps.archive.models import Study
from apps.dicom.attributes import TABLE, Entity, Matching, row


def test_every_row_has_its_column_and_every_column_its_row() -> None:
    assert checks.check_attribute_columns() == []
    assert [each for each in run_checks() if each.id.startswith("archive.")] == []


@pytest.mark.parametrize(
    ("extra", "number"),
    [
        (row("SliceThickness", Entity.INSTANCE, Matching.SINGLE, "O", "O"), "E001"),
        (row("StationName", Entity.STUDY, Matching.WILDCARD, "O", "O"), "E001"),
        (row("NumberOfFrames", Entity.INSTANCE, Matching.COUNT, "O", "O"), None),
        (row("Modality", Entity.SERIES, Matching.COUNT, "O", "O"), "E002"),
    ],
)
def test_a_row_without_its_column_is_an_error(
    extra: object, number: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "TABLE", (*TABLE, extra))
    assert [each.id for each in checks.check_attribute_columns()] == (
        [f"archive.{number}"] if number else []
    )


def test_a_column_without_its_row_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tuple(each for each in TABLE if each.keyword != "StudyID")
    monkeypatch.setattr(checks, "TABLE", kept)
    (error,) = checks.check_attribute_columns()
    assert error.id == "archive.E004"
    assert "study_id" in error.msg


def test_a_name_without_folded_columns_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real = checks._field
    monkeypatch.setattr(
        checks,
        "_field",
        lambda model, name: None if name.endswith("phonetic") else real(model, name),
    )
    monkeypatch.setattr(checks, "MODELS", ((Study, frozenset({Entity.PATIENT, Entity.STUDY})),))
    assert {each.id for each in checks.check_attribute_columns()} == {"archive.E003"}
