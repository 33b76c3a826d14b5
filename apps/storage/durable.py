"""Files and folders that survive a loss of power, and what the system's errors mean to us."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final, cast

from apps.errors import OutOfResources, PacsError, Unavailable

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE})


_WRITE: Final = 2  # SYNC_FILE_RANGE_WRITE


def start_writing_out(descriptor: int) -> None:
    """Asks the system to begin bringing the file to disk; a hint, `os.fsync` is the promise.

    Files that were all begun first are then synced with few commits of the file system's journal
    in place of one each.
    """
    if _sync_file_range is not None:
        _sync_file_range(descriptor, 0, 0, _WRITE)


def _system_call() -> Callable[[int, int, int, int], int] | None:
    """sync_file_range(2), which Linux alone has and Python does not offer."""
    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is None:
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    call.restype = ctypes.c_int
    return cast("Callable[[int, int, int, int], int]", call)


_sync_file_range: Final = _system_call()


def sync_folder(folder: Path | str) -> None:
    """Makes the folder's entries (new names, renames, removals) durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_MOUNTS: Final = Path("/proc/self/mountinfo")
_SYSTEM: Final = Path("/sys")


def names_follow_files(folder: Path) -> bool:
    """Whether of a file that was synced under a name, one name at least outlasts a loss of power.

    So it is where the file system writes what was changed to a log, in order: `fsync` of a file
    then brings to disk that it was named before, and no later move takes the old name from the disk
    before the new one is there. POSIX does not promise it; of what is not known to do so, and where
    the system does not tell, nothing is assumed.
    """
    return _has_log(folder.stat().st_dev)


@cache
def _has_log(device: int) -> bool:
    kind = _kind_of(device)
    return kind in {"ext3", "xfs"} or (kind == "ext4" and _has_journal(device))


def _has_journal(device: int) -> bool:
    """Whether an ext4 has one, which can be left out. Without it folders are written in any order.

    A file that is moved may then have lost its old name on disk and not have got its new one.
    """
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        name = (_SYSTEM / "dev/block" / number).resolve(strict=True).name
        task = (_SYSTEM / "fs/ext4" / name / "journal_task").read_text()
    except OSError:
        return False
    return task.strip() not in {"", "<none>"}


def _kind_of(device: int) -> str:
    """The kind of the file system on a device; empty where the system does not tell."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = _MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        mount, _, kind = line.partition(" - ")
        if mount.split(" ")[2:3] == [wanted]:
            return kind.partition(" ")[0]
    return ""


def make_folder(folder: Path) -> None:
    """Makes the folder and its parents, each new name durable in its parent."""
    missing: list[Path] = []
    at = folder
    while not at.is_dir():
        missing.append(at)
        at = at.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_folder(each.parent)


def write_fully(descriptor: int, chunks: Iterable[bytes | bytearray | memoryview]) -> int:
    """Writes every byte, however the system cuts the writes; how many."""
    total = 0
    for chunk in chunks:
        written = os.write(descriptor, chunk) if chunk else 0
        total += written
        if written < len(chunk):
            total += write_fully(descriptor, [memoryview(chunk)[written:]])
    return total


def write_together(descriptor: int, chunks: Sequence[bytes | bytearray | memoryview]) -> None:
    """The same with one call of the system, for a few chunks that are there already."""
    written = os.writev(descriptor, chunks)
    for each in chunks:
        if written < len(each):
            write_fully(descriptor, [memoryview(each)[written:]])
        written = max(written - len(each), 0)


def pacs_error_of(error: OSError, doing: str) -> PacsError:
    """What the system's error means: no space is OutOfResources, the rest Unavailable."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _NO_SPACE:
        return OutOfResources(f"There is no room for {doing}: {reason}.")
    return Unavailable(f"The disk failed while {doing}: {reason}.")


@contextmanager
def as_pacs_error(doing: str) -> Iterator[None]:
    """Turns the system's errors into ours, see `pacs_error_of`."""
    try:
        yield
    except OSError as error:
        raise pacs_error_of(error, doing) from error
