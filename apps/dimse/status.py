"""TABLE: what an error means on the wire as a DIMSE status (PS3.7 C, PS3.4 B.2.3)."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from typing import Final

from django.db import Error as DatabaseError

from apps.dicom import command_set
from apps.errors import (
    AlreadyExists,
    IdentityConflict,
    InvalidRequest,
    InvalidValue,
    MissingAttribute,
    MissingValue,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    OutOfResources,
    PacsError,
    Unavailable,
    UnreadableInstance,
)

SUCCESS = 0x0000
PENDING = 0xFF00
PENDING_WITHOUT_OPTIONAL_KEYS = 0xFF01
CANCEL = 0xFE00
UNRECOGNIZED_OPERATION = 0x0211
NOT_ALL_ATTRIBUTES = 0x0001
ATTRIBUTE_LIST_ERROR = 0x0107
INVALID_ATTRIBUTE_VALUE = 0x0106
DUPLICATE_SOP_INSTANCE = 0x0111
MISSING_ATTRIBUTE = 0x0120
MISSING_ATTRIBUTE_VALUE = 0x0121
INVALID_ARGUMENT = 0x0115
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

# What some requests say otherwise (PS3.4 tables C.4-1 to C.4-3; PS3.7 C for DIMSE-N).
_QUERY = ((InvalidRequest, DATA_SET_DOES_NOT_MATCH), (NotFound, CANNOT_UNDERSTAND))
_NORMALIZED = (
    (MissingAttribute, MISSING_ATTRIBUTE),
    (MissingValue, MISSING_ATTRIBUTE_VALUE),
    (InvalidValue, INVALID_ATTRIBUTE_VALUE),
    (AlreadyExists, DUPLICATE_SOP_INSTANCE),
    (InvalidRequest, INVALID_ARGUMENT),
    (OutOfResources, 0x0213),
    (Unavailable, 0x0213),
)
BY_REQUEST: dict[int, tuple[tuple[type[PacsError], int], ...]] = {
    command_set.C_FIND_RQ: _QUERY,
    command_set.C_GET_RQ: (*_QUERY, (OutOfResources, 0xA701), (Unavailable, 0xA701)),
    command_set.C_MOVE_RQ: (*_QUERY, (OutOfResources, 0xA701), (Unavailable, 0xA701)),
    **dict.fromkeys(
        (
            command_set.N_EVENT_REPORT_RQ,
            command_set.N_GET_RQ,
            command_set.N_SET_RQ,
            command_set.N_ACTION_RQ,
            command_set.N_CREATE_RQ,
            command_set.N_DELETE_RQ,
        ),
        _NORMALIZED,
    ),
}

_LONGEST_COMMENT: Final = command_set.LONGEST_COMMENT
_TAG: Final = re.compile(r"^[0-9A-Fa-f]{8}$")

# The disk or the process has no more room; every other fault of the system is our failure.
_NO_ROOM = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EFBIG}
)


class Refused(PacsError):
    """A failure whose status the handler knows itself; `offending` are tags as numbers."""

    def __init__(self, status: int, message: str, *, offending: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.offending = offending


@dataclass(frozen=True, slots=True)
class Answer:
    """A status for the response, and the Error Comment (0000,0902), at most 64 characters.

    `offending` is for Offending Element (0000,0901). Not `expected` is a fault of ours.
    """

    status: int
    comment: str = ""
    offending: tuple[int, ...] = ()
    expected: bool = True


def answer_for(error: Exception, command_field: int = command_set.C_STORE_RQ) -> Answer:
    """The answer that tells a peer of `error`; no detail of ours, no patient data."""
    if isinstance(error, Refused):
        return Answer(error.status, error.message[:_LONGEST_COMMENT], error.offending)
    if isinstance(error, PacsError):
        for kind, status in (*BY_REQUEST.get(command_field, ()), *TABLE):
            if isinstance(error, kind):
                return Answer(status, error.message[:_LONGEST_COMMENT], _offending(error))
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return Answer(OUT_OF_RESOURCES, "No room to store")
    if isinstance(error, DatabaseError):
        return answer_for(Unavailable("The database does not answer"), command_field)
    return Answer(PROCESSING_FAILURE, "Internal failure", expected=False)


def _offending(error: PacsError) -> tuple[int, ...]:
    """Tags the error names; parameters of other doors are no tags."""
    named = error.offending if isinstance(error, InvalidRequest) else ()
    return tuple(int(name, 16) for name in named if _TAG.match(name))
