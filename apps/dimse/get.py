"""C-GET SCP (PS3.4 C.4.3): instances sent back on the association that asked for them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from apps.dicom.sub_operations import MOST, NOT_CORRECTED, SubOperations
from apps.dimse import status
from apps.dimse.retrieval import final, pending, wanted_keys
from apps.dimse.service import Request, Response, Session
from apps.errors import NotAcceptable, PacsError
from apps.ingest import inbox
from apps.network.receive_buffer import ConnectionLostError
from apps.network.selectors import sends_corrections
from apps.network.store_writer import ChunkSource, SourceEndedError, StoreCommand, StoreWriter
from apps.polarity.states import SYNTAXES, State, corrections_of, state_of
from apps.rendering.correcting_state import STATE_CLASS
from apps.retrieve.coercion import coerced, rules_for_destination
from apps.retrieve.datasets import OutgoingDataset, outgoing, outgoing_syntax
from apps.retrieve.locations import Location, locations_by_key
from apps.storage.blobs import BlobMissing

logger = logging.getLogger(__name__)

# A client that hears nothing for longer may think we are gone (rule MOV-12).
_TELL_SECONDS: Final = 1.0
_REPLY_SECONDS: Final = 60.0


def handle_c_get(request: Request) -> Iterator[Response]:
    """One C-STORE at a time, pending responses in between, then how it went."""
    inbox.catch_up()
    keys = wanted_keys(request)
    sender = _Sender(request)
    corrected = list(islice(sender.corrected(keys), MOST - len(keys)))
    counts = SubOperations(len(keys) + len(corrected))
    told = time.monotonic()
    for send, location in sender.in_order(keys, corrected):
        if request.cancelled:
            break
        counts.note(location.sop_instance_uid, send(location))
        if counts.remaining and time.monotonic() - told >= _TELL_SECONDS:
            told = time.monotonic()
            yield pending(counts)
    cancelled = request.cancelled
    if not cancelled and counts.remaining:
        # Removed since they were counted: they cannot be named any more, but they did not come.
        counts.failed += counts.remaining
    yield final(request, counts, cancelled=cancelled)


class _Sender:
    """Sends instances to the peer that asked, in its contexts where it is SCP (rule MOV-10)."""

    def __init__(self, request: Request) -> None:
        self._session = request.session
        self._peer = request.session.peer
        self._note = request.session.note
        self._writer = StoreWriter(self._peer.send, self._peer.maximum)
        self._contexts = storage_contexts(request.session)
        self._rules = rules_for_destination(request.session.calling_ae_title)

    def corrected(self, keys: Sequence[int]) -> Iterator[int]:
        """Images whose Presentation States go along: the requestor must have proposed to take them.

        Whom its application entity's policy says no to gets none.
        """
        title = self._session.calling_ae_title
        if STATE_CLASS in self._contexts and sends_corrections(title):
            yield from (key for key, _ in corrections_of(keys))

    def in_order(
        self, keys: Sequence[int], corrected: Sequence[int]
    ) -> Iterator[tuple[Callable[[Location], int], Location]]:
        """All images, then the states of those that are corrected."""
        yield from ((self.send, each) for each in locations_by_key(keys))
        yield from ((self.correct, each) for each in locations_by_key(corrected))

    def correct(self, location: Location) -> int:
        """The C-STORE status of the state that shows the image right."""
        contexts = self._contexts[STATE_CLASS]
        syntax = next((uid for uid in SYNTAXES if uid in contexts), None)
        if syntax is None:
            return NOT_CORRECTED
        try:
            state = state_of(location, self._rules)
            data = state.dataset(syntax)
            dataset = OutgoingDataset(syntax, len(data), ChunkSource(iter((data,))))
            return self._exchange(contexts[syntax], state, dataset)
        except (BlobMissing, PacsError) as error:
            logger.warning("A state could not be sent by C-GET: %s", type(error).__name__)
            return NOT_CORRECTED

    def send(self, location: Location) -> int:
        """The C-STORE status; a failure of ours is one too, and the association lives."""
        try:
            return self._store(location)
        except (BlobMissing, PacsError) as error:
            logger.warning("An instance could not be sent by C-GET: %s", type(error).__name__)
            return status.answer_for(error).status

    def _store(self, location: Location) -> int:
        contexts = self._contexts.get(location.sop_class_uid)
        if contexts is None:
            raise NotAcceptable("The peer takes no instances of this class")
        syntax = outgoing_syntax(location, contexts.keys())
        with outgoing(coerced(location, self._rules), syntax) as dataset:
            return self._exchange(contexts[syntax], location, dataset)

    def _exchange(self, context_id: int, sent: Location | State, dataset: OutgoingDataset) -> int:
        """One C-STORE and its status. A connection that is lost ends the association."""
        number = self._peer.new_message_id()
        command = StoreCommand(number, sent.sop_class_uid, sent.sop_instance_uid)
        try:
            self._writer.write(context_id, command, dataset.source, dataset.length)
        except SourceEndedError:
            self._peer.abort()
            raise
        self._note.sent_bytes += dataset.length
        try:
            reply = self._peer.reply(number, _REPLY_SECONDS)
        except ConnectionLostError:
            self._peer.abort()
            raise
        self._note.count("C-STORE sent", reply.status)
        return reply.status


def storage_contexts(session: Session) -> dict[str, dict[str, int]]:
    """Context ids by SOP Class and Transfer Syntax, where the requestor is SCP."""
    found: dict[str, dict[str, int]] = {}
    for each in session.contexts.values():
        if each.role.scp:
            by_syntax = found.setdefault(each.abstract_syntax, {})
            by_syntax.setdefault(each.transfer_syntax, each.context_id)
    return found
