"""Room reserved for the associations of one process, by what their senders usually send."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from apps.errors import NotFound, OutOfResources, PacsError
from apps.storage.reservations import Reservation, release, renew, reserve

logger = logging.getLogger(__name__)

# Renewed every two seconds; a process that died holds its room no longer than this.
_SECONDS: Final = 120.0


@dataclass(slots=True)
class _Booking:
    reservation: Reservation
    received: Callable[[], int]
    left: int


class Bookings:
    """One for each association that may store, from its request to its end. Any thread."""

    def __init__(self) -> None:
        self.expected: Mapping[str, int] = {}
        """Average bytes of an association by AE title, "" for everybody; empty books nothing."""
        self._lock = threading.Lock()
        self._bookings: dict[str, _Booking] = {}
        self._refused: set[str] = set()

    def book(self, association: str, calling: str, received: Callable[[], int]) -> bool:
        """False when others have been promised the room; `received` tells what has come so far.

        A disk that cannot even note the promise is the watermark's matter, not the sender's.
        """
        if not self.expected:
            return True
        expected = self.expected.get(calling, self.expected.get("", 0))
        try:
            made = reserve(expected, calling, _SECONDS)
        except OutOfResources:
            with self._lock:
                self._refused.add(association)
            return False
        except PacsError as error:
            logger.warning("Room could not be reserved: %s", error.message)
            return True
        with self._lock:
            self._bookings[association] = _Booking(made, received, made.bytes)
        return True

    def has_room(self, association: str) -> bool:
        """Whether the association got what it needs, or needs nothing."""
        return association not in self._refused

    def end(self, association: str) -> None:
        """The association is over, or never began."""
        with self._lock:
            self._refused.discard(association)
            booking = self._bookings.pop(association, None)
        if booking is not None:
            try:
                release(booking.reservation.identifier)
            except NotFound:
                logger.debug("A reservation had ended before its association.")
            except PacsError as error:
                logger.warning("Room could not be given back: %s", error.message)

    def renew_all(self) -> None:
        """What has arrived is no longer to come."""
        with self._lock:
            bookings = list(self._bookings.values())
        for each in bookings:
            each.left = max(each.reservation.bytes - each.received(), 0)
            try:
                renew(each.reservation.identifier, each.left, _SECONDS)
            except PacsError as error:
                logger.warning("A reservation could not be renewed: %s", error.message)
                return
