"""What the doors see of the write path: hand in an instance, ring, ask what became of it."""

from __future__ import annotations

from apps.ingest.committing import commit_together
from apps.ingest.doorbell import ring
from apps.ingest.duplicates import stored_otherwise
from apps.ingest.outcomes import Fate, Outcome, Place, outcome_of
from apps.ingest.pacing import give_way
from apps.ingest.receiving import (
    InboxDepth,
    Incoming,
    begin_part10,
    depth,
    receive,
    receive_part10,
)
from apps.ingest.spool import Waiter

__all__ = [
    "Fate",
    "InboxDepth",
    "Incoming",
    "Outcome",
    "Place",
    "Waiter",
    "begin_part10",
    "commit_together",
    "depth",
    "give_way",
    "outcome_of",
    "receive",
    "receive_part10",
    "ring",
    "stored_otherwise",
]
