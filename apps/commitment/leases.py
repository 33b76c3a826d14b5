"""Leases: who works on a row, so that two workers never do and a dead one does not for long."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Q, QuerySet
from django.utils import timezone

LEASE: Final = timedelta(seconds=90)
"""A worker that has not renewed its lease for so long is taken for dead."""

_STEPS: Final = (10, 30, 60, 120, 300, 600, 1800)
_AT_MOST: Final = 3600


def free(now: datetime) -> Q:
    """Rows nobody works on."""
    return Q(leased_until=None) | Q(leased_until__lt=now)


def due(now: datetime) -> Q:
    """Rows whose next attempt has come."""
    return Q(next_attempt_at=None) | Q(next_attempt_at__lte=now)


def take(rows: QuerySet[Any]) -> bool:
    """Takes the one row that `rows` selects; False when somebody else has it."""
    now = timezone.now()
    return rows.filter(free(now)).update(leased_until=now + LEASE) == 1


def back_off(attempts: int) -> timedelta:
    """How long to wait after so many attempts that failed: ten seconds at first, then an hour."""
    seconds = _STEPS[attempts - 1] if 0 < attempts <= len(_STEPS) else _AT_MOST
    return timedelta(seconds=seconds)
