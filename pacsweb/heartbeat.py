"""Signs of life: each worker writes a short-lived key into Redis, `/readyz` reads them."""

from __future__ import annotations

import logging
import threading
import time

from django.core.cache import cache
from redis.exceptions import RedisError

INTERVAL_SECONDS = 3.0
# Longer than a restart of Redis, shorter than anybody's patience.
LIFETIME_SECONDS = 15

_log = logging.getLogger(__name__)


def _key(process: str) -> str:
    return f"alive:{process}"


def beat_in_background(process: str) -> None:
    """Starts a daemon thread that renews the key as long as this process lives."""
    threading.Thread(target=_beat, args=(process,), name="heartbeat", daemon=True).start()


def _beat(process: str) -> None:
    lost = False
    while True:
        try:
            cache.set(_key(process), int(time.time()), LIFETIME_SECONDS)
            lost = False
        except (RedisError, OSError):
            if not lost:
                _log.warning("Redis does not answer; trying again every few seconds.")
            lost = True
        time.sleep(INTERVAL_SECONDS)


def alive(processes: tuple[str, ...]) -> dict[str, bool]:
    """Which of the processes gave a sign of life lately. Raises RedisError without Redis."""
    found = cache.get_many([_key(each) for each in processes])
    return {each: _key(each) in found for each in processes}
