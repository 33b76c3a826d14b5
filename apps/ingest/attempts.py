"""Which files a worker held when it died, so that one that kills workers cannot stop the inbox.

Before files are scanned their names are written to a file of `attempts/`, locked while the worker
lives and removed when the batch is done. An unlocked one tells of a worker that died: its files
are then tried one by one, and one that was alone in several dead attempts is not scanned again.
Nothing here needs to survive a loss of power.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from apps.ingest import spool
from apps.ingest.spool import SpoolFile

MOST_DEATHS: Final = 3


class Attempt:
    """The files of one batch, remembered as they are claimed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def noting(self, groups: Iterable[list[SpoolFile]]) -> Iterator[list[SpoolFile]]:
        """The same groups, each remembered before it is handed on."""
        for files in groups:
            os.write(self._descriptor, "".join(f"{file.name}\n" for file in files).encode())
            yield files


@contextmanager
def attempt() -> Iterator[Attempt]:
    """Remembers files until the block is left in any way but by the worker's death."""
    path = spool.folder("attempts") / secrets.token_hex(8)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Attempt(descriptor)
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def suspects() -> dict[str, int]:
    """Names a dying worker held, each with how often it died over that file alone."""
    deaths: Counter[str] = Counter()
    for path in list(spool.folder("attempts").iterdir()):
        names = _names_of_the_dead(path)
        waiting = [name for name in names if spool.is_waiting(name)]
        if names and not waiting:
            path.unlink(missing_ok=True)
        for name in waiting:
            deaths[name] += len(names) == 1
    return dict(deaths)


def _names_of_the_dead(path: Path) -> list[str]:
    """The names in an attempt nobody holds any more; none where its worker lives."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return []
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return path.read_text().split()
    except (BlockingIOError, FileNotFoundError):
        return []
    finally:
        os.close(descriptor)
