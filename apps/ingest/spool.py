"""The inbox on disk: the truth about what was acknowledged and is not yet indexed.

`writing/` holds what is being received, `ready/` what was acknowledged, `provenance/` how those
few objects came whose bytes could carry no File Meta of ours. A file is whole and has its name for
`ready/` already before it is synced, so that after a loss of power both folders together tell what
was acknowledged. Other modules keep what need not
survive beside them. A file in `ready/` is never changed;
it is removed once the database has committed what became of it. Writers and claimers hold a lock
(flock) on the file itself, so a killed process leaves nothing locked and nothing to clean up but
its half-written files.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Final

from django.conf import settings

from apps.ingest.crash_points import crash_point
from apps.storage.durable import make_folder, names_follow_files, sync_folder, write_fully

CLAIM: Final = "claim-"
"""How the names in `writing/` begin that are second ones, see `apps.ingest.acknowledged`."""
AWAKE: Final = "awake"
"""The folder where the indexer shows that it is awake, and where it is asked to hurry."""

_NAME_PARTS: Final = 4
_FOLDERS: dict[tuple[Path, str], Path] = {}


class Waiter(Enum):
    """Who waits for what becomes of a file; the value begins a part of its name."""

    NOBODY = ""
    LATER = "l"
    """A request that has more to send, or to wait for."""
    NOW = "w"
    """A request that is held open for this file, which is not held back therefore."""
    ANSWERED = "p"
    """Nobody any more: a request was answered for it, and what it becomes is certain."""

    @property
    def waits(self) -> bool:
        """Whether somebody wants to be told."""
        return self in (Waiter.LATER, Waiter.NOW)


@dataclass(frozen=True, slots=True, order=True)
class SpoolName:
    """What a spool file's name says. Names sort by time of arrival."""

    received_ns: int
    random: str
    size: int
    dataset_sha256: str

    @classmethod
    def mint(cls, size: int, dataset_sha256: str, *, waiter: Waiter = Waiter.NOBODY) -> SpoolName:
        """The name of a file that is complete now. `size` counts the whole file, in bytes."""
        return cls(time.time_ns(), waiter.value + secrets.token_hex(4), size, dataset_sha256)

    @classmethod
    def parse(cls, text: str) -> SpoolName:
        """Raises ValueError for a name that is not one of ours."""
        parts = text.split("-")
        if len(parts) != _NAME_PARTS:
            raise ValueError(f"not a spool name: {text!r}")
        bytes.fromhex(parts[3])
        return cls(int(parts[0]), parts[1], int(parts[2]), parts[3])

    def __str__(self) -> str:
        return f"{self.arrival}-{self.size}-{self.dataset_sha256}"

    @property
    def arrival(self) -> str:
        """What the name begins with, which no other name does."""
        return f"{self.received_ns:020d}-{self.random}"

    def for_waiter(self, waiter: Waiter) -> SpoolName:
        """The same file's name, with somebody else waiting for it."""
        return replace(self, random=waiter.value + self.random.removeprefix(self.waiter.value))

    @property
    def waiter(self) -> Waiter:
        """Who waits for what becomes of the file."""
        # Hexadecimal digits follow, none of which is one of the letters.
        return _WAITERS.get(self.random[:1], Waiter.NOBODY)

    @property
    def received_at(self) -> datetime:
        """When the last byte was durable, UTC."""
        return datetime.fromtimestamp(self.received_ns / 1e9, UTC)

    def blob_key(self, kind: str) -> str:
        """Where the bytes go: `kind/day/hour-and-minute/name`.

        It follows from the name alone, so a second run after a crash writes to the same place;
        and by time, so that a batch touches one folder and a backup finds what is new.
        """
        return f"{kind}/{self.received_at:%Y%m%d/%H%M}/{self}"


_WAITERS: Final = {each.value: each for each in Waiter}


@dataclass(slots=True)
class SpoolFile:
    """A claimed file: open for reading and locked against other claimers until released."""

    name: SpoolName
    path: str
    descriptor: int

    @property
    def number(self) -> int:
        """Of the file on its disk; no other name of it tells another."""
        return os.fstat(self.descriptor).st_ino

    def release(self) -> None:
        """Lets go without settling; the file is claimed again later. Twice is harmless."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def folder(name: str) -> Path:
    """`writing`, `ready` and what stands beside them, made when first asked for."""
    inbox: Path = settings.PACSWEB.inbox
    path = _FOLDERS.get((inbox, name))
    if path is None:
        path = inbox / name
        make_folder(path)
        _FOLDERS[inbox, name] = path
    return path


def open_for_writing() -> tuple[Path, int]:
    """A new locked file in `writing/`."""
    path = folder("writing") / f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(8)}"
    try:
        descriptor = _create(path)
    except FileNotFoundError:
        # Somebody removed the inbox under us; it is made again rather than refused for ever.
        _FOLDERS.clear()
        folder("writing")
        descriptor = _create(path)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return path, descriptor


def _create(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)


def name_whole(path: Path, name: SpoolName) -> Path:
    """Gives a file in `writing/` the name it will have, which tells whether its bytes are whole."""
    whole = folder("writing") / str(name)
    os.rename(path, whole)  # noqa: PTH104 - a Path takes as long again
    return whole


def sync(descriptor: int) -> None:
    """Brings a file in `writing/` to disk."""
    os.fsync(descriptor)
    crash_point("synced")


def make_ready(files: Iterable[tuple[Path, SpoolName]]) -> None:
    """Whole and synced files into `ready/`. Durable and visible when this returns.

    Where a name in `writing/` became durable with its file, nothing more need be synced: after a
    loss of power `apps.ingest.leftovers` finds the file by that name and puts it back.
    """
    ready = folder("ready")
    for path, name in files:
        os.rename(path, f"{ready}/{name}")  # noqa: PTH104 - as above
        crash_point("renamed")
    if not names_follow_files(ready):
        sync_folder(ready)


def take_back(chunks: Iterable[bytes], name: SpoolName, provenance: str = "") -> None:
    """Makes the bytes of a blob wait under the name; durable when this returns.

    `provenance` is for bytes that have no File Meta of ours.
    """
    path, descriptor = open_for_writing()
    try:
        write_fully(descriptor, chunks)
        if provenance:
            write_provenance(name, provenance)
        path = name_whole(path, name)
        sync(descriptor)
        make_ready([(path, name)])
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def waiting(*, but: Collection[str] = ()) -> list[SpoolName]:
    """Everything in `ready/`, oldest first, without the names in `but`. About 2 µs a file."""
    names = []
    there = os.listdir(folder("ready"))  # noqa: PTH208 - names, not paths
    for entry in sorted(entry for entry in there if entry not in but):
        with suppress(ValueError):
            names.append(SpoolName.parse(entry))
    return names


def is_anything_waiting() -> bool:
    """As cheap as it can be had, for who looks often."""
    return bool(os.listdir(folder("ready")))  # noqa: PTH208 - names, not paths


def receiving() -> bool:
    """True while instances are arriving or waiting to be indexed. Two looks into folders."""
    for name in ("writing", "ready"):
        with os.scandir(folder(name)) as entries:
            if next(entries, None) is not None:
                return True
    return False


def hurry() -> None:
    """Asks the indexer to commit what it has in hand and to gather no more before: a hint."""
    with suppress(OSError):
        os.close(os.open(f"{folder(AWAKE)}/hurry", os.O_WRONLY | os.O_CREAT, 0o640))


def is_hurried() -> bool:
    """Whether somebody asked since the last time."""
    try:
        os.unlink(f"{folder(AWAKE)}/hurry")  # noqa: PTH108 - a Path takes as long again
    except OSError:
        return False
    return True


def waiting_by_number() -> dict[int, str]:
    """The names of all that waits, by their files' numbers. About 1 µs a file."""
    with os.scandir(folder("ready")) as entries:
        return {each.inode(): each.name for each in entries}


def is_claim(name: str) -> bool:
    """Whether a name in `writing/` is a second one of a file."""
    return name.startswith(CLAIM)


def is_waiting(name: str) -> bool:
    """Whether the file still waits to be indexed."""
    return os.access(f"{folder('ready')}/{name}", os.F_OK)


def claim(name: SpoolName) -> SpoolFile | None:
    """Opens and locks one file; None when another worker has it or has settled it."""
    # As text: a Path costs as much as claiming the file.
    path = f"{folder('ready')}/{name}"
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if not os.access(path, os.F_OK):
        # Settled between our opening and our locking it.
        os.close(descriptor)
        return None
    return SpoolFile(name, path, descriptor)


def settle(files: Iterable[SpoolFile]) -> None:
    """Removes files whose fate is committed to the database, then lets them go."""
    for file in files:
        with suppress(FileNotFoundError):
            os.unlink(file.path)  # noqa: PTH108 - as above
        crash_point("settling")
        file.release()


def write_provenance(name: SpoolName, text: str) -> None:
    """Durably remembers how an object came that cannot say so itself."""
    path = folder("provenance") / str(name)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def read_provenance(name: SpoolName) -> str:
    """What `write_provenance` kept, or empty."""
    try:
        return (folder("provenance") / str(name)).read_text()
    except FileNotFoundError:
        return ""


def forget_provenance(names: Iterable[SpoolName]) -> None:
    """Once the database has it. One look at a folder that is nearly always empty."""
    kept = {path.name for path in folder("provenance").iterdir()}
    for name in kept.intersection(map(str, names)) if kept else ():
        (folder("provenance") / name).unlink(missing_ok=True)
