"""How much room is left, against the two watermarks an administrator set."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from apps.storage.models import StoragePolicy

_CACHED_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Capacity:
    """Room on the fullest disk that an instance has to pass (inbox, local blob folder)."""

    total_bytes: int
    free_bytes: int
    free_percent: float
    accepts_associations: bool
    accepts_instances: bool
    message: str
    refuse_associations_below: float = 0.0
    refuse_instances_below: float = 0.0

    def has_room_for(self, amount: int, *, instances: bool = False) -> bool:
        """Whether `amount` more bytes stay above the watermark for new senders, or instances."""
        left = 100.0 * (self.free_bytes - amount) / self.total_bytes
        if instances:
            return self.accepts_instances and left >= self.refuse_instances_below
        return self.accepts_associations and left >= self.refuse_associations_below


class _Watch:
    """The last measurement and the last watermarks that could be read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._measured: Capacity | None = None
        self._at = 0.0
        self._reading: threading.Thread | None = None
        self._watermarks = (
            StoragePolicy._meta.get_field("refuse_associations_below").default,
            StoragePolicy._meta.get_field("refuse_instances_below").default,
        )

    def capacity(self) -> Capacity:
        with self._lock:
            now = time.monotonic()
            if self._measured is None or now - self._at >= _CACHED_SECONDS:
                self._measured = self._measure()
                self._at = now
            return self._measured

    def forget(self) -> None:
        with self._lock:
            self._measured = None

    def _measure(self) -> Capacity:
        self._read_watermarks()
        total, free = min(map(_room, _folders()), key=lambda room: room[1] / room[0])
        percent = 100.0 * free / total
        associations_below, instances_below = self._watermarks
        accepts_instances = percent >= instances_below
        accepts_associations = accepts_instances and percent >= associations_below
        if not accepts_instances:
            message = f"Only {percent:.1f} % of the disk is free; no instance is accepted."
        elif not accepts_associations:
            message = f"Only {percent:.1f} % of the disk is free; new senders are refused."
        else:
            message = f"{percent:.1f} % of the disk is free."
        return Capacity(
            total,
            free,
            percent,
            accepts_associations,
            accepts_instances,
            message,
            associations_below,
            instances_below,
        )

    def _read_watermarks(self) -> None:
        """Receiving must go on while the database is away: then the last known values hold.

        A database that does not answer may take its time to say so, hence the thread, which is
        waited for only a moment.
        """
        if connection.in_atomic_block:
            self._read_row()
        elif self._reading is None or not self._reading.is_alive():
            self._reading = threading.Thread(
                target=self._read_and_close, name="watermarks", daemon=True
            )
            self._reading.start()
            self._reading.join(_PATIENCE_SECONDS)

    def _read_row(self) -> None:
        try:
            row = StoragePolicy.objects.filter(pk=1).first()
        except DatabaseError:
            return
        if row is not None:
            self._watermarks = (row.refuse_associations_below, row.refuse_instances_below)

    def _read_and_close(self) -> None:
        try:
            self._read_row()
        finally:
            connection.close()


def _folders() -> list[Path]:
    folders = [settings.PACSWEB.inbox]
    url = urlsplit(settings.PACSWEB.storage_url)
    if url.scheme == "file":
        folders.append(Path(unquote(url.path)))
    return folders


def _room(folder: Path) -> tuple[int, int]:
    """Bytes in total and free to us, of the disk the folder is on or will be on."""
    while not folder.exists():
        folder = folder.parent
    status = os.statvfs(folder)
    return max(status.f_blocks * status.f_frsize, 1), status.f_bavail * status.f_frsize


_watch = _Watch()


def capacity() -> Capacity:
    """The current capacity, at most a second old."""
    return _watch.capacity()


def forget() -> None:
    """Makes the next `capacity()` measure again: for whoever just changed the watermarks."""
    _watch.forget()
