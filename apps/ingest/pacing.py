"""give_way(): senders pause a little while the indexer is behind, so that it never is far behind.

Receiving is cheaper than indexing, so on a busy machine many senders at once fill the inbox faster
than it is worked off, and what they sent is searchable late. A pause between an instance's commit
and its answer leaves the processor to the indexer. It is bounded by what the sender is used to: no
longer than the instance itself took. While nothing leaves the inbox (no indexer, no database) there
is no pause; whoever sends must not wait for what may take hours.
"""

from __future__ import annotations

import os
import time
from typing import Final

from apps.ingest import spool

SHALLOW: Final = 150
"""So many waiting files are no backlog: they are indexed in about a tenth of a second."""
MODEST: Final = 1000
"""So many are indexed within a second."""
MOMENTS_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 0.05
STUCK_SECONDS: Final = 5.0  # longer than a full batch takes on an overloaded machine
_LOOK_SECONDS: Final = 0.01
_SHARE: Final = 20  # looking takes a twentieth of the time at most, however deep the inbox is


class Backlog:
    """The inbox's depth as this process saw it last. Races between threads only cost a look."""

    def __init__(self) -> None:
        self._next_look = 0.0
        self._depth = 0
        self._oldest = ""
        self._oldest_since = 0.0

    def is_worked_off(self) -> bool:
        """True while there is a backlog and it moves."""
        now = self._now()
        return self._depth > SHALLOW and now - self._oldest_since < STUCK_SECONDS

    def is_kept_up_with(self) -> bool:
        """True while what comes now is indexed within moments, as far as one can tell."""
        self._now()
        moment = self._oldest.partition("-")[0]
        age = time.time() - int(moment) / 1e9 if moment.isdecimal() else 0.0
        return self._depth <= MODEST and age < MOMENTS_SECONDS

    def _now(self) -> float:
        """The time, after a look where one is due."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            self._look(now)
        return now

    def _look(self, now: float) -> None:
        try:
            names = os.listdir(spool.folder("ready"))  # noqa: PTH208 - names, not paths
        except OSError:
            names = []  # what is wrong with the inbox is told by those who write to it
        self._depth = len(names)
        oldest = min(names, default="")
        if oldest != self._oldest or not oldest:
            self._oldest, self._oldest_since = oldest, now
        spent = time.monotonic() - now
        self._next_look = now + max(_LOOK_SECONDS, spent * _SHARE)


_backlog = Backlog()


def keeps_up() -> bool:
    """Whether the indexer is so near behind that a request need not wait for it."""
    return _backlog.is_kept_up_with()


def give_way(seconds: float) -> None:
    """Pauses while the indexer is behind and gets on, at most `seconds` and 50 ms."""
    deadline = time.monotonic() + min(seconds, LONGEST_SECONDS)
    while (left := deadline - time.monotonic()) > 0 and _backlog.is_worked_off():
        time.sleep(min(left, _LOOK_SECONDS))
