"""The stored DICOM JSON behind answers, for keys that have no column."""

from __future__ import annotations

import json
from collections.abc import Iterable

from apps.archive.fragments import plain
from apps.archive.models import Metadata, Series, Study
from apps.dicom.query import Level
from apps.dicom.stored_keys import Document


def documents_of(level: Level, keys: Iterable[int]) -> dict[int, Document]:
    """Row key at `level` -> DICOM JSON, in one statement whatever the number of keys.

    An instance has its own; of a study or series it is what all its instances say.
    """
    wanted = list(keys)
    if level is Level.INSTANCE:
        rows = Metadata.objects.filter(pk__in=wanted).values_list("pk", "fragment")
        return {key: json.loads(plain(bytes(fragment))) for key, fragment in rows}
    if level is Level.STUDY:
        studies = Study.objects.filter(pk__in=wanted).values_list("pk", "stored_attributes")
        return {key: _read(text) for key, text in studies}
    series = Series.objects.filter(pk__in=wanted).values_list(
        "pk", "stored_attributes", "study__stored_attributes"
    )
    return {key: {**_read(above), **_read(own)} for key, own, above in series}


def _read(text: str) -> Document:
    found: Document = json.loads(text) if text else {}
    return found
