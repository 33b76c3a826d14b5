"""DICOM text as pages of the administration print it."""

from __future__ import annotations

from datetime import datetime

from django.utils import formats


def person_name(text: str) -> str:
    """`DOE^JANE^^^` -> `DOE, JANE`: the alphabetic group as people read it."""
    parts = [part for part in text.partition("=")[0].split("^") if part]
    family, given = parts[:1], " ".join(parts[1:])
    return ", ".join([*family, given] if given else family) or "—"


def day(text: str) -> str:
    """DA as pages print dates; text that is no date as it is."""
    try:
        return formats.date_format(datetime.strptime(text, "%Y%m%d").date())
    except ValueError:
        return text or "—"
