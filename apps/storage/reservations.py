"""Room that is promised and not used yet, in one small file on the inbox's disk.

Every process of this machine that receives sees the same promises and makes its own under one
lock, so two senders never get the same room. The database is not needed for it: receiving has to
go on without. A promise ends by itself, so nothing is held for a process that died.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from django.conf import settings

from apps.errors import NotFound, OutOfResources
from apps.storage.capacity import capacity
from apps.storage.durable import as_pacs_error, make_folder

MOST: Final = 1024
_SLOT = struct.Struct("<16sqd16s?7x")
_FILE_BYTES: Final = MOST * _SLOT.size


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room for `bytes` more, held for an AE title or a user until `expires_at` (Unix time).

    An announced one was asked for before anything was sent; the next association of the same AE
    title takes it over.
    """

    identifier: str
    bytes: int
    expires_at: float
    holder: str
    announced: bool = False


class _Table:
    """The slots, while the file is locked."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        raw = os.pread(descriptor, _FILE_BYTES, 0)
        self._raw = raw[: len(raw) - len(raw) % _SLOT.size]

    def live(self) -> Iterator[tuple[int, Reservation]]:
        now = time.time()
        for number, (name, held, until, holder, announced) in enumerate(
            _SLOT.iter_unpack(self._raw)
        ):
            if until > now:
                title = holder.rstrip(b"\0").decode("utf-8", "replace")
                yield number, Reservation(name.hex(), held, until, title, announced)

    def free_slot(self) -> int | None:
        taken = {number for number, _ in self.live()}
        return next((number for number in range(MOST) if number not in taken), None)

    def write(self, number: int, reservation: Reservation) -> None:
        packed = _SLOT.pack(
            bytes.fromhex(reservation.identifier),
            reservation.bytes,
            reservation.expires_at,
            _holder(reservation.holder),
            reservation.announced,
        )
        os.pwrite(self._descriptor, packed, number * _SLOT.size)


def _holder(name: str) -> bytes:
    return name.encode()[:16]


def _path() -> Path:
    inbox: Path = settings.PACSWEB.inbox
    return inbox / "reservations"


@contextmanager
def _table() -> Iterator[_Table]:
    """The locked table; the lock goes with the descriptor, however this process ends."""
    with as_pacs_error("reserving room"):
        path = _path()
        make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield _Table(descriptor)
        finally:
            os.close(descriptor)


def reserved_bytes() -> int:
    """All that is promised and not used, in bytes."""
    with _table() as table:
        return sum(each.bytes for _, each in table.live())


def reserve(
    amount: int,
    holder: str,
    seconds: float,
    *,
    announced: bool = False,
    instances: bool = False,
) -> Reservation:
    """Holds `amount` bytes for `seconds`. Raises OutOfResources where there is no room for them.

    Without `announced`, what the holder announced before is taken over instead, with its size.
    `instances` are held against the lower watermark, at which nothing more is taken.
    """
    with _table() as table:
        promised = list(table.live())
        until = time.time() + seconds
        if not announced:
            wanted = _holder(holder)
            for number, each in promised:
                if each.announced and _holder(each.holder) == wanted:
                    taken = replace(each, announced=False, expires_at=until)
                    table.write(number, taken)
                    return taken
        total = sum(each.bytes for _, each in promised) + amount
        slot = table.free_slot()
        if slot is None or not capacity().has_room_for(total, instances=instances):
            raise OutOfResources("There is not enough room left for so much.")
        made = Reservation(secrets.token_hex(16), amount, until, holder, announced)
        table.write(slot, made)
        return made


def renew(identifier: str, amount: int, seconds: float) -> None:
    """What is still to come, and for how long; nothing for a reservation that has ended."""
    with _table() as table:
        for number, each in table.live():
            if each.identifier == identifier:
                table.write(number, replace(each, bytes=amount, expires_at=time.time() + seconds))


def release(identifier: str, holder: str | None = None) -> Reservation:
    """Ends a reservation, if it is `holder`'s; raises NotFound where there is none."""
    with _table() as table:
        for number, each in table.live():
            mine = holder is None or _holder(each.holder) == _holder(holder)
            if each.identifier == identifier and mine:
                table.write(number, replace(each, bytes=0, expires_at=0.0))
                return each
    raise NotFound("There is no such reservation.")
