"""Numbered places where a crash test kills the process. Inert unless the test asks for one.

`PACSWEB_TEST_CRASH_AT=placed` kills this process with SIGKILL when it first passes that point,
`placed:3` when it passes the third time. It is read once, here, and is no setting of the product:
nobody but `tests/crash` sets it.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import Final

POINTS: Final = (
    "writing",  # 1 the receiver has written some of the data set
    "synced",  # 2 the file is durable, but not yet in ready/
    "renamed",  # 3 the file is in ready/, the folder not yet synced, nothing answered
    "committed",  # 4 durable in ready/, the answer not yet sent
    "foretold",  # 5 between 2 and 3: its UID is claimed by a request that will not wait
    "claimed",  # 6 the worker holds its batch
    "scanning",  # 7 the worker is about to scan a file
    "placed",  # 8 blobs are placed, no row points to them
    "recorded",  # 9 all rows written, the transaction not committed
    "indexed",  # 10 committed, the inbox not yet settled
    "settling",  # 11 one file of the batch is settled
)
COMPRESSION_POINTS: Final = (
    "compression-written",  # 1 the compressed blob is placed, not yet compared
    "compressed",  # 2 compared, others of its batch are still being made
    "compression-proved",  # 3 the whole batch is compared, nothing points to it
    "compression-recorded",  # 4 all rows written, the transaction not committed
    "compression-switched",  # 5 committed
    "original-removing",  # 6 an original is about to go, nobody can bring it back any more
    "original-removed",  # 7 its blob is gone, its row does not say so
)

_AT, _, _TIMES = os.environ.get("PACSWEB_TEST_CRASH_AT", "").partition(":")  # noqa: TID251 - see above
_passed: Counter[str] = Counter()


def crash_point(name: str) -> None:
    """Does nothing, except in a crash test that named this point."""
    if not _AT or name != _AT:
        return
    _passed[name] += 1
    if _passed[name] >= int(_TIMES or 1):
        os.kill(os.getpid(), signal.SIGKILL)
