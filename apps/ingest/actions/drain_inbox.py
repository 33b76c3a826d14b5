"""drain_inbox: claims and indexes batch after batch until nothing waits or the time is up."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from apps.ingest import spool
from apps.ingest.actions.index_batch import BatchResult, index_batch
from apps.ingest.attempts import MOST_DEATHS, attempt, suspects
from apps.ingest.spool import SpoolFile, SpoolName, Waiter

BATCH_FILES: Final = 400
BATCH_SECONDS: Final = 0.25
_STILL_ARRIVING_SECONDS: Final = 0.005
_REQUESTS_STILL_ARRIVING_SECONDS: Final = 0.01
_LOOKS_FOR_MORE: Final = 3
"""Requests come less densely than an association's instances, and nobody waits for what they were
answered for; who reads meanwhile says so, and is served after one such moment at most."""
LINGER_SECONDS: Final = 0.3
_LOOK_SECONDS: Final = 0.001
BATCH_BYTES: Final = 2 << 30


class Inbox:
    """What waits, listed once and worked off, so that a deep inbox is not listed per batch."""

    def __init__(self) -> None:
        self._listed: deque[SpoolName] = deque()
        self._listed_at = 0.0
        self._claimed: set[str] = set()
        self._awaited = False
        self._answered = True

    def batch(self) -> Iterator[list[SpoolFile]]:
        """Claimed files in groups as they come, oldest first: one batch.

        It ends after 400 files or 250 ms, or when nothing more is arriving: rows cost less by the
        dozen, and whoever takes the groups can scan one while the next arrives. Where a request
        waits for one of them, or a reader for all of them, nothing is waited for.
        """
        self._claimed.clear()
        self._awaited, self._answered = False, True
        files = size = 0
        deadline = time.monotonic() + BATCH_SECONDS
        while files < BATCH_FILES and size < BATCH_BYTES:
            group = self._claim(BATCH_FILES - files, BATCH_BYTES - size)
            if group:
                yield group
            elif not self._listed:
                return
            files += len(group)
            size += sum(file.name.size for file in group)
            if spool.is_hurried() or time.monotonic() > deadline:
                return

    def _claim(self, most_files: int, most_bytes: int) -> list[SpoolFile]:
        if not self._listed:
            self._list()
        group: list[SpoolFile] = []
        size = 0
        try:
            while self._listed and len(group) < most_files and size < most_bytes:
                name = self._listed.popleft()
                file = spool.claim(name)
                if file is not None:
                    group.append(file)
                    size += name.size
                    self._claimed.add(str(name))
                    self._awaited = self._awaited or name.waiter is Waiter.NOW
                    self._answered = self._answered and name.waiter is Waiter.ANSWERED
        except BaseException:
            for file in group:
                file.release()
            raise
        return group

    def _list(self) -> None:
        """Lists what waits; behind what is claimed already, after a moment for more to arrive."""
        looks, pause = 1, _STILL_ARRIVING_SECONDS
        if self._claimed and not self._awaited:
            if self._answered:
                looks, pause = _LOOKS_FOR_MORE, _REQUESTS_STILL_ARRIVING_SECONDS
            time.sleep(max(0.0, self._listed_at + pause - time.monotonic()))
        while True:
            self._listed_at = time.monotonic()
            self._listed.extend(spool.waiting(but=self._claimed))
            looks -= 1
            if self._listed or not looks or spool.is_hurried():
                return
            time.sleep(pause)


def drain_inbox(seconds: float, *, linger: float = 0.0) -> BatchResult:
    """Works until the inbox is empty for `linger` seconds, or about `seconds` have passed.

    Who sends one instance after the other and waits for each finds the indexer awake.

    Raises Unavailable or OutOfResources when database or blob store do not answer; what was not
    committed then still waits.
    """
    total = _try_suspects()
    inbox = Inbox()
    deadline = time.monotonic() + seconds
    awake_until = time.monotonic() + linger
    while time.monotonic() < deadline:
        with attempt() as held:
            result = index_batch(held.noting(inbox.batch()))
        if result.files:
            total.add(result)
            awake_until = time.monotonic() + linger
        elif not _waits(awake_until):
            break
    return total


def _waits(until: float) -> bool:
    """True as soon as something waits, be it held by its writer still; False after `until`."""
    while time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
        if spool.is_anything_waiting():
            return True
    return False


def _try_suspects() -> BatchResult:
    """What a worker held when it died goes alone, so that one of them cannot stop the others."""
    total = BatchResult()
    for name, deaths in suspects().items():
        file = spool.claim(SpoolName.parse(name))
        if file is not None:
            with attempt() as held:
                total.add(index_batch(held.noting([[file]]), scan=deaths < MOST_DEATHS))
    return total
