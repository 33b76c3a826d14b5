"""Which instances a rule means, and which are left alone whatever a rule says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from apps.compression.models import CompressionRule
from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.coercion import tag_of
from apps.dicom.conditions import Condition, conditions_of
from apps.dicom.data_sets import text_at
from apps.dicom.part10 import Provenance
from apps.dicom.pixels import PixelDescription
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.errors import UnsupportedPixels
from apps.retrieve.locations import Location

_SIGNED: Final = frozenset({"FFFAFFFA", "4FFE0001"})
_LOSSY: Final = "00282110"
_KILOBYTE: Final = 1000
_CONTAINERS: Final = (8, 16)
_SAMPLES: Final = (1, 3)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stored instance with what a rule asks of it; `document` is its DICOM JSON."""

    location: Location
    document: Mapping[str, Any]
    provenance: Provenance
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """A rule, read."""

    sources: frozenset[str]
    conditions: tuple[Condition, ...]
    older_than: timedelta
    smallest_bytes: int

    @classmethod
    def of(cls, rule: CompressionRule) -> Asked:
        """Raises InvalidRequest for what was written past the checks of the form."""
        return cls(
            frozenset(filter(None, (part.strip() for part in rule.sources.split(",")))),
            conditions_of(rule.conditions, of_instances=True),
            timedelta(days=rule.older_than_days),
            rule.smallest_kb * _KILOBYTE,
        )

    @property
    def received_before(self) -> datetime:
        """What was received later is not old enough yet."""
        return timezone.now() - self.older_than

    def why_not(self, candidate: Candidate) -> str:
        """Why the rule does not mean this instance, as a sentence; empty where it does."""
        if candidate.received_at >= self.received_before:
            return "It was received too short a time ago."
        if self.sources and candidate.provenance.source_ae_title not in self.sources:
            return "It came from another application entity."
        if candidate.location.size_bytes < self.smallest_bytes:
            return "It is too small."
        if not all(each.met_by(_texts(candidate.document)) for each in self.conditions):
            return "It does not meet the conditions."
        return why_left_alone(candidate)


def why_left_alone(candidate: Candidate) -> str:
    """Why the instance is not to be compressed by any rule; empty where it may be."""
    table = candidate.location.frames
    stored = transfer_syntax(candidate.location.transfer_syntax_uid)
    if table is None or not table.count:
        return "It has no frames."
    if stored.encapsulated or stored.codec != "native":
        return "It is compressed already."
    if _has_any(candidate.document, _SIGNED):
        return "It carries a digital signature, which would not fit any more."
    if text_at(candidate.document, _LOSSY) == "01":
        return "It was compressed with loss once, and stays as it came."
    try:
        description = PixelDescription.from_json(candidate.document, stored.uid).checked()
    except UnsupportedPixels as error:
        return error.message
    return _why_no_such_pixels(description)


def _why_no_such_pixels(description: PixelDescription) -> str:
    if description.sample_format != "integer":
        return "Its pixels are floating point numbers."
    if description.bits_allocated not in _CONTAINERS:
        return f"Its pixels have {description.bits_allocated} bits."
    if description.subsampled or description.samples_per_pixel not in _SAMPLES:
        return "Its colours are stored in a form that compression would change."
    return ""


def _has_any(document: Any, tags: frozenset[str]) -> bool:
    """At any depth."""
    if isinstance(document, Mapping):
        return any(tag in tags or _has_any(each, tags) for tag, each in document.items())
    return isinstance(document, list) and any(_has_any(each, tags) for each in document)


def _texts(document: Mapping[str, Any]) -> Callable[[str], str]:
    """The text of an attribute by keyword."""

    def text_of(keyword: str) -> str:
        return text_at(document, f"{tag_of(keyword):08X}") if keyword in BY_KEYWORD else ""

    return text_of
