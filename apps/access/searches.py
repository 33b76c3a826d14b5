"""Who searched for what: noted at the door for a tenth of a millisecond, recorded a little later.

Every search is an audit event (PS3.15 A.5.3.10, Query). A list that searches as one types asks
eight times for one name, so searches first wait in Redis for a moment; what was only typed on the
way to the next is then left out. Without Redis each is recorded at once: rather too many events
than none.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

import redis
from django.conf import settings
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import Principal
from apps.events.log import Actor, NewEvent, record

_logger = logging.getLogger(__name__)
_WAITING: Final = "pacsweb:searches"
_AT_ONCE: Final = 2_000
_LONGEST_VALUE: Final = 512
_MOST_KEYS: Final = 64
# Letters that follow each other faster than this belong to one search.
TYPING_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Search:
    """One search: `resource` is studies, series, ...; `query` what was asked of it."""

    actor: Actor
    resource: str
    query: dict[str, str]
    at: float

    def event(self) -> NewEvent:
        """As the event log keeps it."""
        moment = datetime.fromtimestamp(self.at, tz=timezone.get_default_timezone())
        payload = {
            "resource": self.resource,
            "query": self.query,
            "searched_at": moment.isoformat(timespec="seconds"),
        }
        return NewEvent("ArchiveSearched", self.actor, payload=payload)


def note_search(principal: Principal, resource: str, query: Mapping[str, str]) -> None:
    """Notes that `principal` searched; never raises for want of Redis, and never waits long."""
    asked = {
        name[:_LONGEST_VALUE]: value[:_LONGEST_VALUE]
        for name, value in sorted(query.items())[:_MOST_KEYS]
        if value
    }
    search = Search(actor_of(principal), resource, asked, timezone.now().timestamp())
    try:
        _client().rpush(_WAITING, json.dumps(asdict(search)))
    except (redis.RedisError, OSError):
        _logger.warning("Redis does not answer; a search is recorded at once.")
        record([search.event()])


def waiting_searches() -> list[Search]:
    """What waits, in the order it was asked; at most 2,000."""
    rows = _client().lrange(_WAITING, 0, _AT_ONCE - 1)
    made = (json.loads(row) for row in rows)
    return [Search(Actor(**each.pop("actor")), **each) for each in made]


def settle_searches(count: int) -> None:
    """The first `count` are recorded, or were only typed on the way."""
    _client().ltrim(_WAITING, count, -1)


def passing(searches: Sequence[Search]) -> set[int]:
    """Which of them, by place, were only typed on the way: grown into the next, or left of one."""
    found: set[int] = set()
    latest: dict[tuple[Actor, str], int] = {}
    for place, search in enumerate(searches):
        hand = (search.actor, search.resource)
        earlier = latest.get(hand)
        latest[hand] = place
        if earlier is None or search.at - searches[earlier].at > TYPING_SECONDS:
            continue
        if _typed_on(searches[earlier].query, search.query):
            found.add(earlier)
        elif _typed_on(search.query, searches[earlier].query):
            found.add(place)
    return found


def _typed_on(short: Mapping[str, str], long: Mapping[str, str]) -> bool:
    """`long` asks what `short` asks with letters added to it, and nothing else."""
    return short != long and all(
        long.get(name, "").startswith(value) for name, value in short.items()
    )


@functools.cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.PACSWEB.redis_url, socket_timeout=1.0)
