"""catch_up(): whoever reads after an answer sees what was answered for.

A Store request may be answered before its instances are indexed (`apps.ingest.acknowledged`), so
every door calls this before it reads the archive. Where nothing is on its way, as nearly always, it
is one look into a folder of what is just being received.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from apps.ingest import acknowledged, spool
from apps.ingest.doorbell import ring

LONGEST_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.001
_given_up: Final[deque[str]] = deque(maxlen=64)
"""What this process has waited for in vain: while the indexer is away not every page takes so long.
"""


def on_their_way() -> list[str]:
    """Inbox names of what was answered for and is not indexed yet."""
    try:
        return acknowledged.unsettled()
    except OSError:
        return []  # where there is no inbox, nothing was answered for


def catch_up(names: Sequence[str] | None = None) -> bool:
    """Waits until these names, or all on their way now, are indexed; False where some are not yet.

    What comes later is not waited for, so a stream of senders does not keep a reader waiting.
    """
    names = on_their_way() if names is None else names
    if not names:
        return True
    spool.hurry()
    ring()
    # The inbox is worked off in order: where one was waited for in vain, the others come later.
    in_vain = any(name in _given_up for name in names)
    deadline = time.monotonic() + (0.0 if in_vain else LONGEST_SECONDS)
    for name in names:
        while spool.is_waiting(name):
            if time.monotonic() >= deadline:
                _given_up.append(name)
                return False
            time.sleep(_LOOK_SECONDS)
    return True
