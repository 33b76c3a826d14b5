"""Instances answered for before they are indexed: who spoke first for a SOP Instance UID.

A claim is one more name of the inbox file that was (or is just being) answered for: a hard link in
`writing/`, named by a hash of the UID. So it costs no file of its own, whose making and removing
took ten times as long on some file systems, and who owns it is told by the file's number. While
both stand, the claim and the file in `ready/`, no other file of that UID is indexed, and whoever
reads waits for it (`apps.ingest.catching_up`).

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
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from apps.ingest import spool
from apps.ingest.spool import SpoolFile, SpoolName, Waiter

IN_HAND: Final = "indexing"

MAKING_SECONDS: Final = 2.0
"""So long a claim stands whose file is not in the inbox yet; who made it needs milliseconds."""
_LEFT_BEHIND_SECONDS: Final = 60.0
_LONGEST_BATCH_SECONDS: Final = 3600.0
"""Two gigabytes may have to go to a distant store before a batch is out of the indexer's hand."""


def claim(sop_instance_uid: str, file: Path) -> bool:
    """Speaks for the UID; False where somebody else does, or the disk refuses.

    The file lies in `writing/`: with one folder for both names, the sync of a file is sure to bring
    its name to disk (`spool.make_ready`).
    """
    try:
        os.link(file, _path(sop_instance_uid))
    except OSError:
        return False
    return True


def is_claimed_by(sop_instance_uid: str, number: int) -> bool:
    """Whether it is this file that is spoken for, by its number on the disk (`st_ino`)."""
    try:
        return os.lstat(_path(sop_instance_uid)).st_ino == number
    except OSError:
        return False


def withdraw(sop_instance_uid: str, number: int) -> None:
    """Takes the file's claim back: it was not answered for, or is settled."""
    if is_claimed_by(sop_instance_uid, number):
        _remove(_path(sop_instance_uid))


def claims() -> dict[str, int]:
    """The numbers of the files that are spoken for, by their claims' names."""
    with os.scandir(spool.folder("writing")) as entries:
        return {each.name: each.inode() for each in entries if spool.is_claim(each.name)}


def in_hand(sop_instance_uids: Iterable[str]) -> set[str]:
    """Those of the UIDs of which an indexer has another file in hand."""
    lists = _in_hand_lists()
    if not lists:
        return set()
    said: set[str] = set()
    for each in lists:
        with suppress(OSError):
            said.update((spool.folder(IN_HAND) / each).read_text().split())
    return {uid for uid in sop_instance_uids if _digest(uid) in said}


@contextmanager
def indexing(files: Iterable[tuple[SpoolFile, str]]) -> Iterator[Collection[SpoolName]]:
    """While it lasts, these files, each with its SOP Instance UID, are in the indexer's hand.

    Gives the names of those that must wait, because another file of their UID is answered for.
    """
    others = {
        file.name: uid
        for file, uid in files
        if uid and not (file.name.waiter is Waiter.ANSWERED and is_claimed_by(uid, file.number))
    }
    if not others:
        yield ()
        return
    path = spool.folder(IN_HAND) / secrets.token_hex(8)
    digests = {name: _digest(uid) for name, uid in others.items()}
    try:
        path.write_text("\n".join(digests.values()))
        claimed = claims()
        yield {
            name
            for name, each in digests.items()
            if (entry := spool.CLAIM + each) in claimed and _stands(entry, claimed[entry], name)
        }
    finally:
        path.unlink(missing_ok=True)


def _stands(entry: str, number: int, asking: SpoolName) -> bool:
    """Whether a claim keeps another file waiting; one left behind does not, and is removed."""
    path = f"{spool.folder('writing')}/{entry}"
    owner = spool.waiting_by_number().get(number)
    if owner is not None:
        return owner != str(asking)
    if _age(path) < MAKING_SECONDS:
        return True
    _remove(path)
    owner = spool.waiting_by_number().get(number)
    if owner is None or owner == str(asking):
        return False
    # Whoever made it was only very slow; it asks whether its claim stands before it answers.
    with suppress(OSError):
        os.link(f"{spool.folder('ready')}/{owner}", path)
    return True


def unsettled() -> list[str]:
    """Names of inbox files that were answered for and are not indexed yet."""
    # Listed after the claims were read: what was answered before is there, or is indexed.
    numbers = claims().values()
    if not numbers:
        return []
    waiting = spool.waiting_by_number()
    return [waiting[number] for number in numbers if number in waiting]


def sweep(older_than: float = _LEFT_BEHIND_SECONDS) -> int:
    """Removes what killed processes left behind; how many."""
    claimed = claims()
    waiting = spool.waiting_by_number() if claimed else {}
    unheld = [each for each, number in claimed.items() if number not in waiting]
    limits = {f"{spool.folder('writing')}/{each}": older_than for each in unheld}
    longest = max(older_than, _LONGEST_BATCH_SECONDS)
    limits |= {f"{spool.folder(IN_HAND)}/{each}": longest for each in _in_hand_lists()}
    old = [path for path, limit in limits.items() if _age(path) > limit]
    for path in old:
        _remove(path)
    return len(old)


def _digest(uid: str) -> str:
    return hashlib.blake2b(uid.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _path(uid: str) -> str:
    return f"{spool.folder('writing')}/{spool.CLAIM}{_digest(uid)}"


def _age(path: str) -> float:
    """Since it was made, in seconds; of what is gone, none.

    What is of the future is old: the clock was set back.
    """
    try:
        # A link is no change of the file's content, but of what is known of it.
        return abs(time.time() - os.lstat(path).st_ctime)
    except OSError:
        return 0.0


def _remove(path: str) -> None:
    with suppress(OSError):  # gone already; or it ages where it is, and nobody believes it
        os.unlink(path)  # noqa: PTH108 - as above


def _in_hand_lists() -> list[str]:
    try:
        return os.listdir(spool.folder(IN_HAND))  # noqa: PTH208 - names, not paths
    except FileNotFoundError:
        return []  # somebody removed the inbox under us
