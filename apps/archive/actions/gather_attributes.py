"""gather, gather_again: what instances say of their study and series, on locked rows, unsaved."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from apps.archive.fragments import plain
from apps.archive.models import Metadata, Series, Study
from apps.dicom.attributes import Entity
from apps.dicom.level_attributes import Document, said_by, united

Said = Mapping[Entity, Document]


def gather(new: Iterable[tuple[Said, Study, Series]]) -> None:
    """Adds what new instances say; a slice that says the same as the last costs a comparison."""
    read: dict[tuple[Entity, int], Document] = {}
    rows: dict[tuple[Entity, int], Study | Series] = {}
    for said, study, series in new:
        for entity, document in said.items():
            row = study if entity is Entity.STUDY else series
            key = (entity, row.pk)
            if key not in read:
                read[key] = json.loads(row.stored_attributes or "{}")
                rows[key] = row
            read[key] = united(read[key], document)
    for key, row in rows.items():
        row.stored_attributes = json.dumps(read[key])


def gather_again(study: Study, series: Mapping[int, Series]) -> None:
    """From the instances that are left; `series` are those that lost some, by key."""
    study.stored_attributes = ""
    for each in series.values():
        each.stored_attributes = ""
    rows = Metadata.objects.filter(series__study=study).order_by("instance_id")
    left = rows.values_list("series_id", "fragment").iterator(chunk_size=200)
    nobody = Series(pk=0)
    gather(
        (said_by(json.loads(plain(bytes(fragment)))), study, series.get(key, nobody))
        for key, fragment in left
    )
