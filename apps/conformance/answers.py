"""TABLE: the statuses each service answers with, in the words of those who read a statement.

Failures common to all come from `apps.dimse.status`, so that a new error shows here by itself; its
words are the ones below, or its own description.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from apps import errors
from apps.conformance.document import Claim, Row, Table
from apps.conformance.provocations import BY_KEY
from apps.dicom import command_set, ups
from apps.dicom.command_set import (
    C_ECHO_RQ,
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    N_ACTION_RQ,
    N_CREATE_RQ,
    N_EVENT_REPORT_RQ,
    N_GET_RQ,
    N_SET_RQ,
)
from apps.dimse import status
from apps.dimse.service import Service
from apps.network.explanation import words_of
from apps.network.peers import Right

_DONE: Final = (0x0000, "What was asked for is done.")
_FIND: Final = (
    (0x0000, "All matches were sent."),
    (0xFF00, "A match follows; all keys of the request are supported."),
    (0xFF01, "A match follows; one or more optional keys are not supported."),
    (0xFE00, "The caller cancelled; no further match is sent."),
)
_RETRIEVE: Final = (
    (0x0000, "Every instance was sent; with nothing to send too."),
    (0xFF00, "Sub-operations go on; sent about once a second with all four counters."),
    (0xB000, "Some instances failed, or some or all ended with a warning."),
    (0xA702, "No instance could be sent."),
    (0xFE00, "The caller cancelled; no further instance is sent."),
)
_GET: Final = (_DONE, (0x0001, "Some of the attributes asked for are not there."))

# By the right a service needs and the Command Field of the request.
OWN: Final[dict[tuple[Right | None, int], tuple[tuple[int, str], ...]]] = {
    (None, C_ECHO_RQ): ((0x0000, "We are here."),),
    (Right.QUERY, C_FIND_RQ): _FIND,
    (Right.QUERY, C_GET_RQ): _RETRIEVE,
    (Right.QUERY, C_MOVE_RQ): (
        *_RETRIEVE,
        (0xA801, "The move destination is no known, enabled AE with host and port, nor archive."),
    ),
    (Right.COMMIT, N_ACTION_RQ): (
        (0x0000, "The request is kept; the promise itself comes as N-EVENT-REPORT."),
        (0x0112, "The Requested SOP Instance is not the well-known one."),
        (0x0123, "Action Type ID is not 1."),
        (0x0131, "The Transaction UID was used before."),
    ),
    (Right.COMMIT, N_EVENT_REPORT_RQ): (
        (0x0000, "The outcome is noted."),
        (0x0112, "The Affected SOP Instance is not the well-known one."),
        (0x0113, "Event Type ID is neither 1 nor 2."),
        (0x0115, "The Transaction UID is none of ours."),
    ),
    (Right.WORKLIST, C_FIND_RQ): _FIND,
    (Right.MPPS, N_CREATE_RQ): ((0x0000, "The step is IN PROGRESS; its UID is returned."),),
    (Right.MPPS, N_SET_RQ): (
        _DONE,
        (0x0107, "Attributes that were not created stay as they are; they are listed."),
        (
            0x0110,
            "With Error ID A710: the step has ended and may no longer be updated.",
        ),
    ),
    (Right.MPPS, N_GET_RQ): _GET,
    (Right.UPS, C_FIND_RQ): _FIND,
    (Right.UPS, N_CREATE_RQ): ((0x0000, "The work item is SCHEDULED; its UID is returned."),),
    (Right.UPS, N_SET_RQ): (_DONE,),
    (Right.UPS, N_GET_RQ): _GET,
    (Right.UPS, N_ACTION_RQ): (_DONE, (0x0123, "This SOP Class does not have that action.")),
}

CAUSES: Final[dict[type[Exception], str]] = {
    errors.InvalidRequest: "The request breaks a rule; elements at fault are named.",
    errors.InvalidValue: "An attribute has a value it may not have here.",
    errors.MissingAttribute: "A required attribute is missing.",
    errors.MissingValue: "A required attribute has no value.",
    errors.AlreadyExists: "There is an object with that UID already.",
    errors.NotFound: "There is no such object, or the caller may not know of it.",
    errors.NotPermitted: "The caller may not do this.",
    errors.NotAuthenticated: "The caller is not known.",
    errors.OutOfResources: "There is no room or no capacity; a later attempt may succeed.",
    errors.Unavailable: "Database or storage do not answer; a later attempt may succeed.",
    errors.UnreadableInstance: "The data set cannot be read.",
    errors.IdentityConflict: "The data set contradicts the command, or what is stored.",
    errors.PacsError: "Any other failure; the log of this installation has the details.",
}


def answer_tables(service: Service) -> Iterator[Table]:
    """One table for each request of the service: every status it can be answered with."""
    for field in sorted(service.handlers):
        name = command_set.COMMAND_NAMES.get(field, f"{field:04X}")
        yield Table(
            f"{name} response status",
            ("status", "meaning", "when"),
            tuple(
                Row((f"{code:04X}", _meaning(code), when), _claim(service, name, code))
                for code, when in _answers(service.right, field).items()
            ),
        )
    if service.right is Right.UPS:
        yield Table(
            "Failures and warnings of the UPS",
            ("status", "meaning"),
            tuple(Row((f"{fault:04X}", ups.WORDS[fault])) for fault in ups.Fault),
        )


def _claim(service: Service, name: str, code: int) -> Claim | None:
    """Where a request can show it without changing anything; of several classes the first."""
    keys = (f"{uid}:{name}:{code:04X}" for uid in service.abstract_syntaxes)
    return next((BY_KEY[key].claim for key in keys if key in BY_KEY), None)


def _meaning(code: int) -> str:
    return words_of(f"{code:04X}")


def _answers(right: Right | None, field: int) -> dict[int, str]:
    """The service's own first, then failures; what has one status shares a row."""
    found = dict(OWN.get((right, field), ()))
    for code, cause in _failures(field):
        found[code] = f"{found[code]} {cause}" if code in found else cause
    return found


def _failures(field: int) -> Iterator[tuple[int, str]]:
    """The first row that fits wins, as in `answer_for`."""
    seen = set()
    for kind, code in (*status.BY_REQUEST.get(field, ()), *status.TABLE):
        if kind not in seen:
            seen.add(kind)
            yield code, CAUSES.get(kind) or " ".join((kind.__doc__ or kind.__name__).split())
    yield status.UNRECOGNIZED_OPERATION, "The presentation context is not for this operation."
