"""Columns of a study that list what its instances say, each value once."""

from __future__ import annotations

from typing import Final

from apps.archive.columns import column_text
from apps.archive.models import Study
from apps.dicom.values import DELIMITER

LISTS: Final = (
    ("modalities_in_study", "Modality"),
    ("sop_classes_in_study", "SOPClassUID"),
    ("body_parts_examined", "BodyPartExamined"),
    ("station_names", "StationName"),
)
"""Columns of Study that list what its children say, each with the children's attribute."""


def add_to_list(study: Study, column: str, value: str) -> None:
    """Keeps the list sorted, joined by a backslash, each value once."""
    if not value:
        return
    listed = getattr(study, column)
    values = listed.split(DELIMITER) if listed else []
    if value not in values:
        setattr(study, column, DELIMITER.join(sorted([*values, column_text(value)])))
