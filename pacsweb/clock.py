"""Beat's scheduler: in memory, and asleep until something is due."""

from __future__ import annotations

from typing import Any

from celery.beat import Scheduler


class Clock(Scheduler):
    """Celery's own wakes ten milliseconds early and asks without a pause until it is time."""

    def adjust(self, n: Any, drift: float = 0.0) -> float:
        """Seconds until a task is due, to sleep for: all of them."""
        return super().adjust(n, drift)
