"""TABLE: what an error means on the wire as a DIMSE status (PS3.7 C, PS3.4 B.2.3)."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from apps.errors import (
    IdentityConflict,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    OutOfResources,
    PacsError,
    Unavailable,
    UnreadableInstance,
)

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
SOP_CLASS_NOT_SUPPORTED = 0x0122
NOT_AUTHORIZED = 0x0124
OUT_OF_RESOURCES = 0xA700
DATA_SET_DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

TABLE: tuple[tuple[type[PacsError], int], ...] = (
    # first match wins
    (OutOfResources, OUT_OF_RESOURCES),
    (Unavailable, OUT_OF_RESOURCES),
    (NotPermitted, NOT_AUTHORIZED),
    (NotAuthenticated, NOT_AUTHORIZED),
    (IdentityConflict, DATA_SET_DOES_NOT_MATCH),
    (UnreadableInstance, CANNOT_UNDERSTAND),
    (InvalidRequest, CANNOT_UNDERSTAND),
    (NotFound, 0x0112),
    (PacsError, PROCESSING_FAILURE),
)

# The disk or the process has no more room; every other fault of the system is our failure.
_NO_ROOM = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EFBIG}
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status for the response, and the Error Comment (0000,0902), at most 64 characters."""

    status: int
    comment: str = ""


def answer_for(error: Exception) -> Answer:
    """The answer that tells a peer of `error`; no detail of ours, no patient data."""
    if isinstance(error, PacsError):
        for kind, status in TABLE:
            if isinstance(error, kind):
                return Answer(status, error.message[:64])
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return Answer(OUT_OF_RESOURCES, "No room to store")
    return Answer(PROCESSING_FAILURE, "Internal failure")
