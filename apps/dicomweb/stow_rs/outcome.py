"""What became of one part of a Store request, and the reasons there are (PS3.18 Annex I.2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apps.dicom.part_uids import Uids
from apps.ingest.inbox import Place

# Failure Reasons (PS3.18 Annex I.2.2, PS3.7 Annex C).
OUT_OF_RESOURCES: Final = 0xA700
MISMATCH: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000
PROCESSING_FAILURE: Final = 0x0110
DUPLICATE_INSTANCE: Final = 0x0111
COERCED: Final = 0xB000
"""Warning Reason: something was filled in that the sender had left open."""


@dataclass(frozen=True, slots=True)
class Handled:
    """One part: its UIDs, and its inbox name, or why it was not taken.

    `warning` says in words what was assumed of an instance that was taken. `place` is set where it
    is certain already what the indexer will do.
    """

    uids: Uids
    inbox_name: str = ""
    failure_reason: int = 0
    explanation: str = ""
    warning: str = ""
    place: Place | None = None
