"""C-GET as SCU (PS3.4 C.4.3): instances come back on the association that asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from apps.dicom import command_set, sop_classes, transfer_syntaxes
from apps.dicom.identifiers import AnswerWriter
from apps.dicom.sub_operations import PENDING
from apps.network.associate_items import ProposedContext, Remote
from apps.network.association import (
    MOST_CONTEXTS,
    OpenContext,
    OutgoingAssociation,
    Received,
    Timeouts,
)
from apps.network.peer_errors import PeerUnreachable
from apps.network.scu import PLAIN, Progress, ended, progress_of, responses

STUDY_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
_SILENCE_SECONDS: Final = 900.0
# Images first: one association has room for 127 classes beside the retrieval's own.
_KINDS_FIRST: Final = ("image", "report", "presentation")


@dataclass(frozen=True, slots=True)
class Arriving:
    """What a C-STORE-RQ of the peer's says about the instance that follows."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


class Receiver(Protocol):
    """Takes instances one after another; `write` and `finish` never raise for the disk."""

    def begin(self, arriving: Arriving) -> None: ...
    def write(self, chunk: memoryview) -> None: ...
    def finish(self) -> int:
        """The C-STORE status; success means durable."""


def get(
    remote: Remote,
    level: str,
    keys: Mapping[int, str],
    receiver: Receiver,
    told: Callable[[Progress | None], bool],
) -> Progress:
    """A Study Root C-GET to its end; the last response.

    `told` hears of every response, and of nothing (None) every second and after every instance; it
    returns True to cancel. Raises PeerUnreachable, AssociationRejected, PeerRefused.
    """
    proposed = [ProposedContext(STUDY_ROOT_GET, PLAIN), *_storage()]
    timeouts = Timeouts(message=_SILENCE_SECONDS)
    with OutgoingAssociation.open(remote, proposed, timeouts=timeouts) as association:
        context = association.context_for(STUDY_ROOT_GET)
        number = _ask(association, context, {**keys, 0x00080052: level})
        cancelled = False
        arrivals = _Arrivals(association, receiver)
        for message in responses(association, arrivals.begin):
            progress = None
            if message is not None and message.command_field == command_set.C_STORE_RQ:
                arrivals.answer(message)
            elif message is not None:
                progress = progress_of(message)
            if told(progress) and not cancelled:
                cancelled = True
                association.cancel(context, number)
            if progress is not None and message is not None and progress.status != PENDING:
                return ended(remote, progress, message)
    raise PeerUnreachable(f"{remote.words} said nothing for too long.")


def _ask(association: OutgoingAssociation, context: OpenContext, keys: Mapping[int, str]) -> int:
    """Sends the C-GET-RQ; its Message ID."""
    number = association.new_message_id()
    association.request(
        context,
        {
            command_set.AFFECTED_SOP_CLASS_UID: STUDY_ROOT_GET,
            command_set.COMMAND_FIELD: command_set.C_GET_RQ,
            command_set.MESSAGE_ID: number,
            command_set.PRIORITY: 0,
        },
        AnswerWriter(context.transfer_syntax, ()).write(keys, {}),
    )
    return number


class _Arrivals:
    """C-STORE requests of the peer, answered once the receiver has each."""

    def __init__(self, association: OutgoingAssociation, receiver: Receiver) -> None:
        self._association = association
        self._receiver = receiver
        self._contexts = {each.context_id: each for each in association.contexts}

    def begin(self, request: Received) -> Callable[[memoryview], None]:
        context = self._contexts.get(request.context_id)
        if context is None:
            raise PeerUnreachable("The peer sent in a context that was not agreed on.")
        self._receiver.begin(
            Arriving(
                command_set.text(request.elements, command_set.AFFECTED_SOP_CLASS_UID),
                command_set.text(request.elements, command_set.AFFECTED_SOP_INSTANCE_UID),
                context.transfer_syntax,
            )
        )
        return self._receiver.write

    def answer(self, request: Received) -> None:
        stored = command_set.store_request(request.elements)
        status = self._receiver.finish()
        self._association.send_command(
            request.context_id, command_set.store_response(stored, status, "")
        )


def _storage() -> list[ProposedContext]:
    """Contexts in which we are SCP, with every Transfer Syntax we keep."""
    rows = [row for row in sop_classes.TABLE if row.storage and not row.retired]
    rows.sort(key=lambda row: (row.kind not in _KINDS_FIRST, row.uid))
    syntaxes = (
        *PLAIN,
        *(row.uid for row in transfer_syntaxes.TABLE if row.encapsulated and not row.retired),
    )
    return [ProposedContext(row.uid, syntaxes, as_scp=True) for row in rows[: MOST_CONTEXTS - 1]]
