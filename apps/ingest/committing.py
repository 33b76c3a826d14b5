"""Several complete objects made durable at once, for doors that answer them together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from apps.errors import OutOfResources, PacsError, Unavailable
from apps.ingest import spool
from apps.ingest.crash_points import crash_point
from apps.ingest.receiving import Incoming
from apps.ingest.spool import SpoolName, Waiter
from apps.storage.durable import as_pacs_error, start_writing_out

T = TypeVar("T")


def commit_together(
    objects: Sequence[Incoming], waiter: Waiter = Waiter.NOBODY
) -> list[str | PacsError]:
    """What `Incoming.commit` does, for a fraction of the disk's time: a name or failure of each.

    One that the disk refuses takes none of the others with it. What failed is aborted.
    """
    outcomes: dict[Incoming, SpoolName | PacsError] = {
        each: _attempt(partial(each.write_out, waiter=waiter)) for each in objects
    }
    written = _kept(outcomes)
    for each in written:
        start_writing_out(each.descriptor)
    for each, name in written.items():
        outcomes[each] = _attempt(partial(spool.synced, each.descriptor, name))
    ready = _kept(outcomes)
    moved = _attempt(lambda: spool.make_ready_together([(e.path, n) for e, n in ready.items()]))
    if isinstance(moved, PacsError):
        outcomes.update(dict.fromkeys(ready, moved))
    for each, outcome in outcomes.items():
        each.abort() if isinstance(outcome, PacsError) else each.close()
    crash_point("committed")
    return [each if isinstance(each, PacsError) else str(each) for each in outcomes.values()]


def _kept(outcomes: dict[Incoming, SpoolName | PacsError]) -> dict[Incoming, SpoolName]:
    return {each: name for each, name in outcomes.items() if isinstance(name, SpoolName)}


def _attempt(step: Callable[[], T]) -> T | PacsError:
    try:
        with as_pacs_error("receiving an instance"):
            return step()
    except (OutOfResources, Unavailable) as failure:
        return failure
