"""Rules applied to what one scan gave: index and metadata change, bytes stay as sent."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import orjson
from django.utils import timezone

from apps.archive.actions.add_instances import NewAmendment
from apps.coercion.rules import Rule, apply
from apps.dicom.amendments import packed
from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.scanning import InstanceScan
from apps.dicom.sop_classes import sop_class
from apps.dicom.values import DELIMITER

# Stands where the service's address goes while the JSON is in one piece; nobody can know it.
_BASE: Final = f"pacsweb-{secrets.token_hex(16)}".encode()
_BESIDE: Final = ("SpecificCharacterSet", "TimezoneOffsetFromUTC")


@dataclass(frozen=True, slots=True)
class Coerced:
    """The scan as it goes on, what is to be kept of the change, and sentences for the log."""

    scan: InstanceScan
    amendment: NewAmendment | None = None
    problems: tuple[str, ...] = ()


def coerce(scan: InstanceScan, rules: Sequence[Rule], source: str) -> Coerced:
    """Applies the rules that concern this source. Nothing of the object is read again.

    What belongs to no patient is left alone.
    """
    if not rules or sop_class(scan.attributes["SOPClassUID"]).resource:
        return Coerced(scan)
    declared = scan.attributes.get("SpecificCharacterSet", "")
    try:
        document = orjson.loads(_BASE.join(scan.json))
    except orjson.JSONDecodeError:
        # Text that is no Unicode at all: better as it came than not at all.
        return Coerced(scan, problems=("Coercion rules were left out: its texts are broken.",))
    applied = apply(
        rules,
        document,
        tuple(declared.split(DELIMITER)) if declared else (),
        source=source,
        moment=timezone.now(),
    )
    if not applied.layers:
        return Coerced(scan, problems=applied.problems)
    attributes = dict(scan.attributes)
    for each in applied.differences:
        if each.keyword in BY_KEYWORD or each.keyword in _BESIDE:
            attributes[each.keyword] = each.after
    json = tuple(orjson.dumps(applied.document).split(_BASE))
    amendment = NewAmendment(packed(applied.layers), applied.rules)
    return Coerced(replace(scan, attributes=attributes, json=json), amendment, applied.problems)
