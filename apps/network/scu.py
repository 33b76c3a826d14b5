"""Services we ask of peers: C-ECHO, C-FIND and C-MOVE as SCU (PS3.4 A, C.4.1, C.4.2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from apps.dicom import command_set
from apps.dicom.command_set import CommandSetError
from apps.dicom.identifiers import AnswerWriter, Identifier, read_identifier
from apps.dicom.sub_operations import PENDING, SOME_FAILED, SUCCESS
from apps.dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from apps.errors import InvalidRequest, PacsError, Unavailable
from apps.network.associate_items import ProposedContext, Remote
from apps.network.association import (
    Into,
    OpenContext,
    OutgoingAssociation,
    Received,
    Timeouts,
)
from apps.network.peer_errors import PeerUnreachable

VERIFICATION: Final = "1.2.840.10008.1.1"
STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
PLAIN: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
_QUERY_RETRIEVE_LEVEL: Final = 0x00080052
_PENDING_STATUSES: Final = frozenset({0xFF00, 0xFF01})
# A peer that fetches from tape, or sends slowly, may say nothing for this long.
_SILENCE_SECONDS: Final = 900.0
_LOOK_SECONDS: Final = 1.0
_FIND_SECONDS: Final = 60.0
# Somebody waits for the answers of a C-FIND.
_FIND_TIMEOUTS: Final = Timeouts(connect=5.0, negotiate=15.0)
_GIVE_UP_SECONDS: Final = 3.0


class PeerRefused(PacsError):
    """The peer answered a request with a failure; `status` is its own."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Progress:
    """Counters of a C-MOVE response; None where the peer left one out."""

    status: int
    remaining: int | None
    completed: int | None
    failed: int | None
    warning: int | None
    comment: str


def echo(remote: Remote) -> int:
    """Status of a C-ECHO. Raises PeerUnreachable, AssociationRejected."""
    with OutgoingAssociation.open(remote, [ProposedContext(VERIFICATION, PLAIN)]) as association:
        context = association.context_for(VERIFICATION)
        association.request(
            context,
            {
                command_set.AFFECTED_SOP_CLASS_UID: VERIFICATION,
                command_set.COMMAND_FIELD: command_set.C_ECHO_RQ,
                command_set.MESSAGE_ID: association.new_message_id(),
            },
            None,
        )
        return _status(association.receive())


def find(
    remote: Remote,
    level: str,
    keys: Mapping[int, str],
    most: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Identifier]:
    """Up to `most` answers of a Study Root C-FIND; the peer is told to stop after that.

    `keys` are by tag, `""` to have it returned. Text goes out as UTF-8 where it has to. `stopped`
    is asked every second and with every answer; True ends the answers. Raises PeerUnreachable,
    AssociationRejected, PeerRefused.
    """
    proposed = [ProposedContext(STUDY_ROOT_FIND, PLAIN)]
    with OutgoingAssociation.open(remote, proposed, timeouts=_FIND_TIMEOUTS) as association:
        context = association.context_for(STUDY_ROOT_FIND)
        number = _request_find(association, context, {**keys, _QUERY_RETRIEVE_LEVEL: level})
        given = 0
        for answer in responses(association, patience=_FIND_SECONDS):
            status = None if answer is None else _status(answer)
            over = status is not None and status not in _PENDING_STATUSES
            if stopped():
                if not over:
                    _give_up(association, context, number)
                return
            if answer is None:
                continue
            if over:
                if status != SUCCESS and given <= most:
                    raise _refused(remote, answer)
                return
            if given < most:
                yield _identifier(remote, answer, context)
            elif given == most:
                association.cancel(context, number)
            given += 1
    raise PeerUnreachable(f"{remote.words} said nothing for too long.")


def _request_find(
    association: OutgoingAssociation, context: OpenContext, keys: Mapping[int, str]
) -> int:
    """Sends the C-FIND-RQ; its Message ID."""
    number = association.new_message_id()
    association.request(
        context,
        {
            command_set.AFFECTED_SOP_CLASS_UID: STUDY_ROOT_FIND,
            command_set.COMMAND_FIELD: command_set.C_FIND_RQ,
            command_set.MESSAGE_ID: number,
            command_set.PRIORITY: 0,
        },
        AnswerWriter(context.transfer_syntax, ()).write(keys, {}),
    )
    return number


def _give_up(association: OutgoingAssociation, context: OpenContext, number: int) -> None:
    """C-CANCEL, and a moment for the answer, so that the association ends in good order."""
    association.cancel(context, number)
    until = time.monotonic() + _GIVE_UP_SECONDS
    while time.monotonic() < until and association.waits(_LOOK_SECONDS):
        if _status(association.receive()) not in _PENDING_STATUSES:
            return
    association.abort()


def move(
    remote: Remote,
    destination: str,
    level: str,
    keys: Mapping[int, str],
    told: Callable[[Progress | None], bool],
) -> Progress:
    """A Study Root C-MOVE to its end; the last response.

    `told` hears of every response, and of nothing (None) every second; it returns True to cancel.
    Raises PeerUnreachable, AssociationRejected, PeerRefused.
    """
    proposed = [ProposedContext(STUDY_ROOT_MOVE, PLAIN)]
    timeouts = Timeouts(message=_SILENCE_SECONDS)
    with OutgoingAssociation.open(remote, proposed, timeouts=timeouts) as association:
        context = association.context_for(STUDY_ROOT_MOVE)
        writer = AnswerWriter(context.transfer_syntax, ())
        number = association.new_message_id()
        association.request(
            context,
            {
                command_set.AFFECTED_SOP_CLASS_UID: STUDY_ROOT_MOVE,
                command_set.COMMAND_FIELD: command_set.C_MOVE_RQ,
                command_set.MESSAGE_ID: number,
                command_set.PRIORITY: 0,
                command_set.MOVE_DESTINATION: destination,
            },
            writer.write({**keys, _QUERY_RETRIEVE_LEVEL: level}, {}),
        )
        cancelled = False
        for answer in responses(association):
            progress = None if answer is None else progress_of(answer)
            if told(progress) and not cancelled:
                cancelled = True
                association.cancel(context, number)
            if progress is not None and answer is not None and progress.status != PENDING:
                return ended(remote, progress, answer)
    raise PeerUnreachable(f"{remote.words} said nothing for too long.")


def responses(
    association: OutgoingAssociation,
    into: Into | None = None,
    *,
    patience: float = _SILENCE_SECONDS,
) -> Iterator[Received | None]:
    """Messages as they come; None for each second without one, up to so many on end."""
    silent = 0.0
    while silent < patience:
        if association.waits(_LOOK_SECONDS):
            silent = 0.0
            yield association.receive(into)
        else:
            silent += _LOOK_SECONDS
            yield None


def ended(remote: Remote, progress: Progress, answer: Received) -> Progress:
    """The progress of a last response. Raises PeerRefused where it is a failure of all."""
    if progress.status in {SUCCESS, SOME_FAILED, 0xFE00} or progress.completed:
        return progress
    raise _refused(remote, answer)


def progress_of(answer: Received) -> Progress:
    """Status and counters of a response to C-MOVE or C-GET."""

    def number(element: int) -> int | None:
        try:
            return command_set.number(answer.elements, element)
        except CommandSetError:
            return None

    return Progress(
        _status(answer),
        number(command_set.NUMBER_OF_REMAINING),
        number(command_set.NUMBER_OF_COMPLETED),
        number(command_set.NUMBER_OF_FAILED),
        number(command_set.NUMBER_OF_WARNING),
        answer.comment,
    )


def _status(answer: Received) -> int:
    try:
        return answer.status
    except CommandSetError as error:
        raise PeerUnreachable("The peer's response has no status.") from error


# TABLE: what a status of C-FIND, C-MOVE or C-GET asks of whoever reads it (PS3.4 C.4).
_REFUSALS: Final = {
    0x0122: "it does not offer this service",
    0x0124: "we may not do this there",
    0xA700: "it is out of resources, or would have to answer too much",
    0xA701: "it cannot tell how much that is; ask for less at a time",
    0xA702: "it could not send anything",
    0xA801: "it does not know where to send: {own} has to be entered there with host and port",
    0xA900: "it does not take these keys together",
}


def _identifier(remote: Remote, answer: Received, context: OpenContext) -> Identifier:
    """What the peer found; one that cannot be read is its fault, not that of who asked."""
    try:
        return read_identifier(answer.data, context.transfer_syntax)
    except InvalidRequest as error:
        raise Unavailable(f"{remote.title} sent an answer that cannot be read.") from error


def _refused(remote: Remote, answer: Received) -> PeerRefused:
    words = _REFUSALS.get(answer.status, "it could not do what we asked")
    comment = f" ({answer.comment})" if answer.comment else ""
    return PeerRefused(
        f"{remote.title} answered {answer.status:04X}: "
        f"{words.format(own=remote.own_title)}{comment}.",
        answer.status,
    )
