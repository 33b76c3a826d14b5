"""Instances answered for before they are indexed: who spoke first for a SOP Instance UID.

An entry of `acknowledged/` is a symbolic link, named by a hash of the UID, to the beginning of the
name of the inbox file that was (or is just being) answered for: a short link needs no block of the
disk. While both stand, no other file of that UID is indexed, and whoever reads waits for it
(`apps.ingest.catching_up`).

Request and indexer may meet over one UID, so each says what it is about to do before it looks what
the other said:

- A request claims the UID; looks whether the indexer has another file of it in hand; asks the
  database; only then the file becomes one that is answered for.
- The indexer says in `indexing/` which UIDs it has in hand; looks which of them are claimed, and
  leaves those files for later; asks the database; commits; takes back what it said.

So either the indexer sees the claim, or the request sees the indexer or what it committed. Nothing
here needs to survive a loss of power; what a killed process leaves behind is swept, and until then
only makes answers wait for the index.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Final

from apps.ingest import spool
from apps.ingest.spool import SpoolName, Waiter

CLAIMS: Final = "acknowledged"
IN_HAND: Final = "indexing"

MAKING_SECONDS: Final = 2.0
"""So long a claim stands whose file is not in the inbox yet; who made it needs milliseconds."""
_LEFT_BEHIND_SECONDS: Final = 60.0
_LONGEST_BATCH_SECONDS: Final = 3600.0
"""Two gigabytes may have to go to a distant store before a batch is out of the indexer's hand."""


def claim(sop_instance_uid: str, name: SpoolName) -> bool:
    """Speaks for the UID; False where somebody else does, or the disk refuses."""
    try:
        os.symlink(name.arrival, _path(sop_instance_uid))  # noqa: PTH211 - a Path takes as long again
    except OSError:
        return False
    return True


def is_claimed_by(sop_instance_uid: str, name: SpoolName) -> bool:
    """Whether it is this file that is spoken for."""
    return _owner(_path(sop_instance_uid)) == name.arrival


def withdraw(sop_instance_uid: str, name: SpoolName) -> None:
    """Takes the file's claim back: it was not answered for, or is settled."""
    if is_claimed_by(sop_instance_uid, name):
        _remove(_path(sop_instance_uid))


def in_hand(sop_instance_uids: Iterable[str]) -> set[str]:
    """Those of the UIDs of which an indexer has another file in hand."""
    lists = _entries(IN_HAND)
    if not lists:
        return set()
    said: set[str] = set()
    for each in lists:
        with suppress(OSError):
            said.update((spool.folder(IN_HAND) / each).read_text().split())
    return {uid for uid in sop_instance_uids if _digest(uid) in said}


@contextmanager
def indexing(files: Mapping[SpoolName, str]) -> Iterator[Collection[SpoolName]]:
    """While it lasts, these files, each with its SOP Instance UID, are in the indexer's hand.

    Gives those that must wait, because another file of their UID is answered for.
    """
    others = {
        name: uid
        for name, uid in files.items()
        if uid and not (name.waiter is Waiter.ANSWERED and is_claimed_by(uid, name))
    }
    if not others:
        yield ()
        return
    path = spool.folder(IN_HAND) / secrets.token_hex(8)
    digests = {name: _digest(uid) for name, uid in others.items()}
    try:
        path.write_text("\n".join(digests.values()))
        claimed = set(_entries(CLAIMS))
        yield {name for name, each in digests.items() if each in claimed and _stands(each, name)}
    finally:
        path.unlink(missing_ok=True)


def _stands(entry: str, asking: SpoolName) -> bool:
    """Whether a claim keeps another file waiting; one left behind does not, and is removed."""
    path = f"{spool.folder(CLAIMS)}/{entry}"
    owner = _owner(path)
    if not owner or owner == asking.arrival:
        return False
    if owner in spool.waiting_by_arrival() or _age(path) < MAKING_SECONDS:
        return True
    _remove(path)
    if owner not in spool.waiting_by_arrival():
        return False
    # Whoever made it was only very slow; it asks whether its claim stands before it answers.
    with suppress(OSError):
        os.symlink(owner, path)  # noqa: PTH211 - as above
    return True


def unsettled() -> list[str]:
    """Names of inbox files that were answered for and are not indexed yet."""
    folder = spool.folder(CLAIMS)
    # Listed after the claims were read: what was answered before is there, or is indexed.
    owners = [_owner(f"{folder}/{entry}") for entry in _entries(CLAIMS)]
    if not owners:
        return []
    waiting = spool.waiting_by_arrival()
    return [waiting[owner] for owner in owners if owner in waiting]


def sweep(older_than: float = _LEFT_BEHIND_SECONDS) -> int:
    """Removes what killed processes left behind; how many."""
    removed = 0
    waiting = spool.waiting_by_arrival()
    for folder, limit in ((CLAIMS, older_than), (IN_HAND, max(older_than, _LONGEST_BATCH_SECONDS))):
        for entry in _entries(folder):
            path = f"{spool.folder(folder)}/{entry}"
            owner = _owner(path) if folder == CLAIMS else ""
            if _age(path) > limit and owner not in waiting:
                _remove(path)
                removed += 1
    return removed


@lru_cache(maxsize=4096)
def _digest(uid: str) -> str:
    return hashlib.blake2b(uid.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _path(uid: str) -> str:
    return f"{spool.folder(CLAIMS)}/{_digest(uid)}"


def _owner(path: str) -> str:
    """What the name of the file that is spoken for begins with; empty where nobody speaks."""
    try:
        # Claims that were made before an update have the whole name.
        return spool.arrival_of(os.readlink(path))  # noqa: PTH115 - a Path takes as long again
    except OSError:
        return ""


def _age(path: str) -> float:
    """In seconds; of what is gone, none. What is of the future is old: the clock was set back."""
    try:
        return abs(time.time() - os.lstat(path).st_mtime)
    except OSError:
        return 0.0


def _remove(path: str) -> None:
    with suppress(OSError):  # gone already; or it ages where it is, and nobody believes it
        os.unlink(path)  # noqa: PTH108 - as above


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(spool.folder(folder))  # noqa: PTH208 - names, not paths
    except FileNotFoundError:
        return []  # somebody removed the inbox under us
