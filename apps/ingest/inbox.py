"""What the doors see of the write path: hand in an instance, ring, ask what became of it."""

from __future__ import annotations

from apps.ingest.at_once import take_at_once
from apps.ingest.catching_up import catch_up, on_their_way
from apps.ingest.committing import Commit, Kept
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
    "Commit",
    "Fate",
    "InboxDepth",
    "Incoming",
    "Kept",
    "Outcome",
    "Place",
    "Waiter",
    "begin_part10",
    "catch_up",
    "depth",
    "give_way",
    "on_their_way",
    "outcome_of",
    "receive",
    "receive_part10",
    "ring",
    "stored_otherwise",
    "take_at_once",
]
