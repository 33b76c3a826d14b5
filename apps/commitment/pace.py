"""How fast blobs are read back, so that nobody who sends or looks at images notices."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from apps.ingest.spool import receiving

_SLOWER: Final = 4
_LOOK_SECONDS: Final = 0.25
_BURST_SECONDS: Final = 0.25
_MEGABYTE: Final = 1_000_000


class Pace:
    """At most so many MB in a second on average, a quarter of it while instances arrive."""

    def __init__(
        self, megabytes_per_second: float, *, is_receiving: Callable[[], bool] = receiving
    ) -> None:
        self._rate = max(megabytes_per_second, 0.001) * _MEGABYTE
        self._is_receiving = is_receiving
        self._slow = False
        self._looked_at = float("-inf")
        self._due = 0.0

    def spend(self, count: int) -> None:
        """Accounts for `count` bytes read and sleeps as long as they were too many."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_SECONDS:
            self._slow = self._is_receiving()
            self._looked_at = now
        rate = self._rate / _SLOWER if self._slow else self._rate
        self._due = max(self._due, now - _BURST_SECONDS) + count / rate
        if self._due > now:
            time.sleep(self._due - now)
