"""drain_inbox: claims and indexes batch after batch until nothing waits or the time is up."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

from apps.ingest import spool
from apps.ingest.actions.index_batch import BatchResult, index_batch
from apps.ingest.attempts import MOST_DEATHS, attempt, suspects
from apps.ingest.spool import SpoolFile, SpoolName

BATCH_FILES: Final = 200
BATCH_SECONDS: Final = 0.25
_STILL_ARRIVING_SECONDS: Final = 0.02
BATCH_BYTES: Final = 2 << 30


class Inbox:
    """What waits, listed once and worked off, so that a deep inbox is not listed per batch."""

    def __init__(self) -> None:
        self._listed: deque[SpoolName] = deque()

    def claim(self) -> list[SpoolFile]:
        """Up to 200 files, oldest first.

        While more are arriving it waits for them, 250 ms at most: rows cost less by the dozen.
        """
        claimed = self._claim_listed([])
        deadline = time.monotonic() + BATCH_SECONDS
        while claimed and len(claimed) < BATCH_FILES and time.monotonic() < deadline:
            time.sleep(_STILL_ARRIVING_SECONDS)
            before = len(claimed)
            claimed = self._claim_listed(claimed)
            if len(claimed) == before:
                break
        return claimed

    def _claim_listed(self, claimed: list[SpoolFile]) -> list[SpoolFile]:
        if not self._listed:
            held = {file.name for file in claimed}
            self._listed.extend(name for name in spool.waiting() if name not in held)
        total = sum(file.name.size for file in claimed)
        while self._listed and len(claimed) < BATCH_FILES and total < BATCH_BYTES:
            name = self._listed.popleft()
            file = spool.claim(name)
            if file is not None:
                claimed.append(file)
                total += name.size
        return claimed


def drain_inbox(seconds: float) -> BatchResult:
    """Works until the inbox is empty, or about `seconds` have passed.

    Raises Unavailable or OutOfResources when database or blob store do not answer; what was not
    committed then still waits.
    """
    total = _try_suspects()
    inbox = Inbox()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        files = inbox.claim()
        if not files:
            break
        with attempt(files):
            total.add(index_batch(files))
    return total


def _try_suspects() -> BatchResult:
    """What a worker held when it died goes alone, so that one of them cannot stop the others."""
    total = BatchResult()
    for name, deaths in suspects().items():
        file = spool.claim(SpoolName.parse(name))
        if file is not None:
            with attempt([file]):
                total.add(index_batch([file], scan=deaths < MOST_DEATHS))
    return total
