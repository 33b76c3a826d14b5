"""Beat's scheduler: in memory, and asleep until something is due."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from celery.beat import Scheduler

_SET_BACK: Final = timedelta(seconds=1)
"""Smaller steps back delay a task by themselves at most."""


class Clock(Scheduler):
    """Celery's own wakes ten milliseconds early and asks without a pause until it is time.

    And where the system's clock is set back, that one sends nothing until the old time has come
    once more; here intervals begin anew.
    """

    _looked: datetime | None = None

    def adjust(self, n: Any, drift: float = 0.0) -> float:
        """Seconds until a task is due, to sleep for: all of them."""
        return super().adjust(n, drift)

    def tick(self, *given: Any, **named: Any) -> float:
        """Sends one task that is due; returns for how many seconds none is."""
        now = self.app.now()
        if self._looked is not None and now < self._looked - _SET_BACK:
            for entry in self.schedule.values():
                if entry.last_run_at is None or entry.last_run_at > now:
                    entry.last_run_at = now
            self._heap = None  # the order of what is due, by the clock as it was
        self._looked = now
        return super().tick(*given, **named)
