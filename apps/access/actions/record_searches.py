"""record_searches: what was searched for becomes events, without what was typed on the way."""

from __future__ import annotations

import hashlib
import json

from django.core.cache import cache
from django.utils import timezone

from apps.access.audit import QUIET_SECONDS
from apps.access.searches import (
    TYPING_SECONDS,
    Search,
    passing,
    settle_searches,
    waiting_searches,
)
from apps.events.log import record

_RUNNING = "recording-searches"
_RUNNING_SECONDS = 30


def record_searches() -> int:
    """Records what has waited long enough for its typing to be over; how many events.

    The same search by the same principal from the same place is one event in five minutes. They
    leave the queue after the commit: a crash in between records some twice, and loses none.
    """
    if not cache.add(_RUNNING, 1, _RUNNING_SECONDS):
        return 0
    try:
        searches = waiting_searches()
        over = timezone.now().timestamp() - TYPING_SECONDS
        due = next((i for i, each in enumerate(searches) if each.at > over), len(searches))
        dropped = passing(searches)
        kept = [each for place, each in enumerate(searches[:due]) if place not in dropped]
        fresh = [each for each in kept if cache.add(_key(each), 1, QUIET_SECONDS)]
        try:
            record([each.event() for each in fresh])
        except BaseException:
            cache.delete_many([_key(each) for each in fresh])
            raise
        settle_searches(due)
        return len(fresh)
    finally:
        cache.delete(_RUNNING)


def _key(search: Search) -> str:
    said = json.dumps([search.actor.kind, search.actor.name, search.actor.address,
                       search.actor.door, search.resource, search.query])  # fmt: skip
    return f"searched:{hashlib.sha256(said.encode()).hexdigest()}"
