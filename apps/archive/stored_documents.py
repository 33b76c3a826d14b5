"""The stored DICOM JSON behind answers, for keys that have no column."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db.models import F, OuterRef, QuerySet, Subquery

from apps.archive.fragments import plain
from apps.archive.models import Metadata, Series, Study
from apps.dicom.query import Level
from apps.dicom.stored_keys import Document


def documents_of(level: Level, keys: Iterable[int]) -> dict[int, Document]:
    """Row key at `level` -> DICOM JSON: the instance's own, else that of its first instance.

    Two statements at most, whatever the number of keys.
    """
    pairs = _samples(level, list(keys))
    fragments = dict(
        Metadata.objects.filter(pk__in=set(pairs.values())).values_list("pk", "fragment")
    )
    return {
        key: json.loads(plain(bytes(fragments[sample])))
        for key, sample in pairs.items()
        if sample in fragments
    }


def _samples(level: Level, keys: list[int]) -> dict[int, int]:
    if level is Level.INSTANCE:
        return {key: key for key in keys}
    inside = Metadata.objects.order_by(F("instance_number"), F("instance"))
    rows: QuerySet[Any, Any]
    if level is Level.SERIES:
        rows, inside = Series.objects.all(), inside.filter(series=OuterRef("pk"))
    else:
        first = Series.objects.filter(study=OuterRef(OuterRef("pk"))).order_by("pk").values("pk")
        rows, inside = Study.objects.all(), inside.filter(series=Subquery(first[:1]))
    found = rows.filter(pk__in=keys).annotate(sample=Subquery(inside.values("pk")[:1]))
    return {key: sample for key, sample in found.values_list("pk", "sample") if sample is not None}
