"""Reading a file from the disk itself, past what the system remembers of it, which stays as it was.

A check that made the system forget a file first would have to read it again for whoever looks at
it next, and what just arrived is looked at soon. Read from disk again, it would lie in single
pages, which take twice as long to copy as the large ones of a file that was just written.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterator
from itertools import chain
from typing import Final

from apps.storage.durable import as_pacs_error

# Offset, length and memory must be multiples of the disk's block; memory of its own begins a page.
_AT_ONCE: Final = 640 << 10
# Linux's; the file system may not have it, or only say so when it is asked to read.
_DIRECT: Final = getattr(os, "O_DIRECT", 0)


def open_medium(path: str) -> int | None:
    """A descriptor for `chunks_of_medium`; None where there is no reading past the memory.

    Raises OSError.
    """
    if not _DIRECT:
        return None
    try:
        return os.open(path, os.O_RDONLY | _DIRECT)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise


def chunks_of_medium(descriptor: int) -> Iterator[bytes] | None:
    """The file's bytes in chunks of at most 640 KiB; None where these cannot be read so.

    Takes the descriptor over. Raises Unavailable.
    """
    try:
        first = next(chunks := _chunks(descriptor), b"")
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        with as_pacs_error("reading a blob"):
            raise
    return chain((first,), _said_as_ours(chunks)) if first else iter(())


def _said_as_ours(chunks: Iterator[bytes]) -> Iterator[bytes]:
    with as_pacs_error("reading a blob"):
        yield from chunks


def _chunks(descriptor: int) -> Iterator[bytes]:
    try:
        size = os.fstat(descriptor).st_size
        with mmap.mmap(-1, _AT_ONCE) as memory:
            offset = 0
            while offset < size:
                count = os.preadv(descriptor, [memory], offset)
                if not count:
                    return
                yield memory[:count]
                offset += count
    finally:
        os.close(descriptor)
