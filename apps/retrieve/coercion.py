"""Rules for what a destination gets: new values over an instance on its way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from django.conf import settings
from django.utils import timezone

from apps.coercion.models import CoercionRule
from apps.coercion.rules import Applied, Rule, apply, concerning, rules_for
from apps.dicom.amendments import CHARACTER_SET_TAG
from apps.dicom.coercion import tag_of
from apps.dicom.reader import InstanceReader
from apps.dicom.sop_classes import sop_class
from apps.retrieve.locations import Location
from apps.retrieve.metadata import dicom_json_of
from apps.storage.stores import blob_store


def rules_for_destination(title: str) -> tuple[Rule, ...]:
    """The enabled rules for what this application entity gets: one query."""
    return concerning(rules_for(CoercionRule.Direction.SEND), title.strip())


def coerced(location: Location, rules: Sequence[Rule]) -> Location:
    """The instance as this destination gets it. Raises NotFound, BlobMissing, OSError.

    The values come from the stored metadata; of the object only the first elements are read.
    """
    if not rules or sop_class(location.sop_class_uid).resource:
        return location
    return location._replace(layers=(*location.layers, *_applied(location, rules).layers))


def followed(
    document: Mapping[str, Any], location: Location, rules: Sequence[Rule]
) -> Mapping[str, Any]:
    """A document made from the instance for this destination, with what it gets of the instance.

    Both have to name the same patient and study, so the instance decides whether rules fit.
    """
    if not rules:
        return document
    applied = _applied(location, rules)
    tags = (f"{tag_of(each.keyword):08X}" for each in applied.differences)
    return {**document, **{tag: applied.document[tag] for tag in tags if tag in document}}


def _applied(location: Location, rules: Sequence[Rule]) -> Applied:
    return apply(
        rules,
        dicom_json_of(location.key),
        character_set_of(location),
        source=settings.PACSWEB.ae_title,
        moment=timezone.now(),
    )


def character_set_of(location: Location) -> tuple[str, ...]:
    """The values of (0008,0005) that the instance goes out with."""
    raw = None
    with closing(blob_store().open(location.blob_key)) as handle:
        for shape, _offset, _length, value in InstanceReader(handle).walk():
            if shape.tag >= CHARACTER_SET_TAG:
                raw = value if shape.tag == CHARACTER_SET_TAG else None
                break
    for layer in location.layers:
        _vr, raw = layer.elements.get(CHARACTER_SET_TAG, ("CS", raw))
    text = (raw or b"").decode("latin-1").strip(" \0")
    return tuple(part.strip(" \0") for part in text.split("\\")) if text else ()
