"""TABLE: what a person can decide about a quarantined instance, for every door that asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from apps.access.principals import Principal
from apps.ingest.actions.decide_quarantined import (
    discard_quarantined,
    keep_quarantined,
    retry_quarantined,
)
from apps.ingest.actions.replace_stored import replace_stored
from apps.ingest.models import QuarantinedInstance


@dataclass(frozen=True, slots=True)
class Decision:
    """`name` is on the button, `consequence` says what will happen, `decide` makes it happen."""

    name: str
    consequence: str
    decide: Callable[[Principal, int], QuarantinedInstance]


DECISIONS: Final[dict[str, Decision]] = {
    "keep": Decision(
        "Keep aside",
        "The bytes stay in quarantine, marked as looked at. Nothing else changes.",
        keep_quarantined,
    ),
    "retry": Decision(
        "Try again",
        "The bytes go through the inbox once more, as if they had just arrived.",
        retry_quarantined,
    ),
    "replace": Decision(
        "Replace the stored instance",
        "The quarantined bytes become the instance that everybody sees. The instance stored "
        "until now goes to quarantine in exchange; nothing is lost.",
        replace_stored,
    ),
    "discard": Decision(
        "Discard",
        "The case is closed. The instance stays out of the archive.",
        discard_quarantined,
    ),
}
