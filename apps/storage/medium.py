"""Reading a file from the disk itself, past what the system remembers of it, which stays as it was.

A check that made the system forget a file first would have to read it again for whoever looks at
it next, and what just arrived is looked at soon. Read from disk again, it would lie in single
pages, which take twice as long to copy as the large ones of a file that was just written.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from apps.storage.durable import as_pacs_error

# Offset, length and memory must be multiples of the disk's block; memory of its own begins a page.
_AT_ONCE: Final = 640 << 10
_BLOCK: Final = 4096
_DIRECT: Final = getattr(os, "O_DIRECT", 0)
# statx(2) of Linux 6.1, which Python does not offer: what a file asks of direct reading.
_statx: Final[Any] = getattr(ctypes.CDLL(None), "statx", None)
_AT_EMPTY_PATH: Final = 0x1000
_STATX_DIOALIGN: Final = 0x2000
_STATX_BYTES: Final = 256
_ALIGNMENTS: Final = struct.Struct("=I148x2I")


def open_medium(path: str) -> int | None:
    """A descriptor for `chunks_of_medium`; None where there is no reading past the memory.

    Raises OSError.
    """
    if not _DIRECT or _statx is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | _DIRECT)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise
    if _is_direct(descriptor):
        return descriptor
    os.close(descriptor)
    return None


def _is_direct(descriptor: int) -> bool:
    """Whether the file system says how it reads this file directly.

    Some take the flag and read by their memory all the same, as btrfs does for what it compresses.
    """
    found = ctypes.create_string_buffer(_STATX_BYTES)
    if _statx(descriptor, b"", _AT_EMPTY_PATH, _STATX_DIOALIGN, found):
        return False
    mask, memory, offset = _ALIGNMENTS.unpack_from(found)
    return bool(mask & _STATX_DIOALIGN and 0 < memory <= _BLOCK and 0 < offset <= _BLOCK)


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
