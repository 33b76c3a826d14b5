"""Every view of a patient's data is an event: who, what, when, from where."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from typing import Any, Final

from django.core.cache import cache
from redis.exceptions import RedisError

from apps.access.principals import Principal
from apps.events.log import Actor, NewEvent, record

_logger = logging.getLogger(__name__)
# Reading one study makes thousands of requests; they are one reading.
QUIET_SECONDS = 300
ANSWER_CUT_OFF: Final = "AnswerCutOff"
"""Kind of the event that says that an answer failed after it had begun."""

_MOST_REMEMBERED = 10_000
_recent: dict[tuple[str, ...], float] = {}
_lock = threading.Lock()


def actor_of(principal: Principal) -> Actor:
    """The principal in the plain values that the event log keeps."""
    return Actor(
        kind=principal.kind.value,
        name=principal.name,
        address=principal.address,
        door=principal.door,
    )


def _seen_here(key: tuple[str, ...]) -> bool:
    """True when this process has recorded the same reading lately."""
    now = time.monotonic()
    if _recent.get(key, 0.0) > now:  # without waiting for a turn: frame after frame asks this
        return True
    with _lock:
        if _recent.get(key, 0.0) > now:
            return True
        if len(_recent) > _MOST_REMEMBERED:
            for old in [each for each, until in _recent.items() if until <= now]:
                del _recent[old]
        _recent[key] = now + QUIET_SECONDS
    return False


def forget_views() -> None:
    """For tests: what this process and Redis know of readings."""
    with _lock:
        _recent.clear()
    cache.clear()


def _seen_elsewhere(key: tuple[str, ...]) -> bool:
    """True when another process has; without Redis we rather record twice than not at all."""
    try:
        digest = hashlib.sha256("\x1f".join(key).encode()).hexdigest()
        return not cache.add(f"viewed:{digest}", 1, QUIET_SECONDS)
    except (RedisError, OSError):
        _logger.warning("Redis does not answer; a reading may be recorded more than once.")
        return False


def view_event(
    principal: Principal,
    kind: str,
    study_instance_uid: str,
    *,
    sop_instance_uid: str = "",
    payload: dict[str, Any] | None = None,
) -> None:
    """Records `kind` (`StudyViewed`, `StudyRetrieved`, …), at most once in five minutes.

    The same principal reading the same study from the same address by the same door is one event.
    """
    key = (
        principal.kind.value,
        principal.name,
        principal.address,
        principal.door,
        kind,
        study_instance_uid,
        sop_instance_uid,
    )
    if _seen_here(key) or _seen_elsewhere(key):
        return
    event = NewEvent(
        kind,
        actor_of(principal),
        study_instance_uid,
        sop_instance_uid=sop_instance_uid,
        payload=payload or {},
    )
    record([event])
