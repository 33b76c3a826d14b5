"""What processes that are gone left in the inbox: half-written files, and whole ones.

A whole file has its name for `ready/` before it is synced (`apps.ingest.spool`), with its size and
hash. Where a loss of power took away that it was moved into `ready/`, it is moved there again.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from apps.dicom.part10 import HEAD_LENGTH, read_file_meta
from apps.errors import UnreadableInstance
from apps.ingest import spool
from apps.ingest.spool import SpoolName
from apps.storage.durable import sync_folder

logger = logging.getLogger(__name__)

_CHUNK: Final = 1 << 20


def clean_writing(older_than: float = 60.0) -> int:
    """Removes half-written files of processes that are gone; how many. None was acknowledged.

    What is whole may have been acknowledged before a loss of power, and goes into `ready/`.
    A living writer holds the lock; the age only covers the moment between making and locking.
    """
    removed = 0
    limit = time.time() - older_than
    for path in list(spool.folder("writing").iterdir()):
        if spool.is_claim(path.name):
            continue
        try:
            removed += _clean_one(path, limit)
        except (BlockingIOError, FileNotFoundError):
            continue
        except OSError as error:
            # One that cannot be read, or moved, keeps nobody from the others and what waits.
            logger.warning("What was left behind in writing/ stays: %s", type(error).__name__)
    return removed


def clean_provenance(older_than: float = 3600.0) -> int:
    """Removes how objects came that came no further, or are settled; how many.

    It is written before its object has the same name; the age covers the moment between.
    """
    limit = time.time() - older_than
    old = {path for path in spool.folder("provenance").iterdir() if _is_older(path, limit)}
    if not old:
        return 0
    # In this order: an object that is moved meanwhile is seen in one of the two.
    needed = {each.name for name in ("writing", "ready") for each in spool.folder(name).iterdir()}
    lost = [path for path in old if path.name not in needed]
    for path in lost:
        path.unlink(missing_ok=True)
    return len(lost)


def _is_older(path: Path, limit: float) -> bool:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime < limit
    return False


def _clean_one(path: Path, limit: float) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return _clean(path, descriptor, limit)
    finally:
        os.close(descriptor)


def _clean(path: Path, descriptor: int, limit: float) -> bool:
    """Whether a file in `writing/` was half written, and is removed. Raises OSError."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        return False
    name = _named_whole(path.name, found.st_size)
    if name is None and found.st_mtime >= limit:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if not path.exists():
        return False  # its writer moved it just now: two gigabytes need not be hashed to see that
    if name is None or not _is_whole(descriptor, name):
        path.unlink(missing_ok=True)
        return True
    os.fsync(descriptor)
    spool.make_ready([(path, name)])
    sync_folder(spool.folder("ready"))
    logger.warning("An object that a process which is gone left behind complete is indexed.")
    return False


def _named_whole(text: str, size: int) -> SpoolName | None:
    """The name, where it is that of a file of this size."""
    try:
        name = SpoolName.parse(text)
    except ValueError:
        return None
    return name if name.size == size else None


def _is_whole(descriptor: int, name: SpoolName) -> bool:
    """Whether these are the bytes that were received; the hash is of the data set alone, or all."""
    try:
        meta = read_file_meta(os.pread(descriptor, HEAD_LENGTH, 0))
    except UnreadableInstance:
        offsets = {0}
    else:
        offsets = {meta.dataset_offset, 0}
    return any(_sha256(descriptor, offset) == name.dataset_sha256 for offset in offsets)


def _sha256(descriptor: int, offset: int) -> str:
    digest = hashlib.sha256()
    while chunk := os.pread(descriptor, _CHUNK, offset):
        digest.update(chunk)
        offset += len(chunk)
    return digest.hexdigest()
