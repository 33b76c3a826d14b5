"""Redis connections of the cache, shared by the threads of a process.

Django's cache has a client, and with it connections, for each thread. To open one takes some three
milliseconds, most of them for the library's look at its own version: the first answer of every
thread that asks the cache would wait for them.
"""

from __future__ import annotations

import functools
from typing import Any

from redis import ConnectionPool


class SharedPool:
    """What Django takes for a class of pools; those know by themselves when they were forked."""

    @staticmethod
    def from_url(url: str, **options: Any) -> ConnectionPool:
        """This process's pool for the address and the options."""
        return _pool(url, tuple(options.items()))


@functools.cache
def _pool(url: str, options: tuple[tuple[str, Any], ...]) -> ConnectionPool:
    return ConnectionPool.from_url(url, **dict(options))
