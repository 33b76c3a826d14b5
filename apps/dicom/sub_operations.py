"""Counting C-STORE sub-operations, and what their outcome is called (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from apps.dicom import command_set

SUCCESS: Final = 0x0000
PENDING: Final = 0xFF00
CANCELLED: Final = 0xFE00
SOME_FAILED: Final = 0xB000
ALL_FAILED: Final = 0xA702
# What is written down for an instance that got no response, in the range of failures (C000).
OUR_FAILURE: Final = 0xC001
CANNOT_SEND: Final = 0xC002
PEER_ENDED: Final = 0xC003
# A Presentation State that could not go along with an image that arrived: a warning.
NOT_CORRECTED: Final = 0xB001
MOST: Final = 65535
"""The counters are US: more cannot be told (PS3.7 E.1)."""

# Statuses of C-STORE that are no failure (PS3.4 B.2.3); 0111 says the peer has the object already.
_WARNINGS: Final = frozenset({0x0001, 0x0107, 0x0111, 0x0116})
_WARNING_CLASS: Final = 0xB


_RESOURCES_CLASS: Final = 0xA7
_RESOURCE_LIMITATION: Final = 0x0213


def is_passing(status: int) -> bool:
    """True for a failure that may be none later: out of resources (PS3.4 B.2.3, PS3.7 C.5.20)."""
    return status >> 8 == _RESOURCES_CLASS or status == _RESOURCE_LIMITATION


def is_warning(status: int) -> bool:
    """True for a C-STORE status that says: taken, but."""
    return status in _WARNINGS or status >> 12 == _WARNING_CLASS


@dataclass(slots=True)
class SubOperations:
    """completed + failed + warning + remaining = total, at every moment (rule MOV-04)."""

    total: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    failed_uids: list[str] = field(default_factory=list)

    @property
    def remaining(self) -> int:
        """Those not begun, or under way."""
        return self.total - self.completed - self.failed - self.warning

    def note(self, sop_instance_uid: str, status: int) -> None:
        """One sub-operation has ended with the C-STORE status."""
        if status == SUCCESS:
            self.completed += 1
        elif is_warning(status):
            self.warning += 1
        else:
            self.failed += 1
            self.failed_uids.append(sop_instance_uid)

    def final_status(self, *, cancelled: bool) -> int:
        """Success only without a failure and without a warning (table C.4-2, rule MOV-02)."""
        if cancelled:
            return CANCELLED
        if not self.failed and not self.warning:
            return SUCCESS
        return ALL_FAILED if self.failed == self.total else SOME_FAILED

    def counters(self, status: int) -> Mapping[int, int]:
        """Command elements of a response: Remaining in pending and cancel alone (rule MOV-01)."""
        values = {
            command_set.NUMBER_OF_COMPLETED: self.completed,
            command_set.NUMBER_OF_FAILED: self.failed,
            command_set.NUMBER_OF_WARNING: self.warning,
        }
        if status in {PENDING, CANCELLED}:
            values[command_set.NUMBER_OF_REMAINING] = self.remaining
        return values
