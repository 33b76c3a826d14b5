"""Sends the instances of a transfer: one association for many, each with its own outcome."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from django.core.exceptions import ValidationError

from apps.archive.models import Instance
from apps.dicom.sub_operations import (
    CANNOT_SEND,
    NOT_CORRECTED,
    OUR_FAILURE,
    PEER_ENDED,
    is_passing,
)
from apps.errors import NotAcceptable, NotFound, PacsError, Unavailable
from apps.network.associate_items import ProposedContext, Remote
from apps.network.association import MOST_CONTEXTS, OutgoingAssociation
from apps.network.peer_errors import PeerUnreachable
from apps.network.rule_lists import forbidden_transfer_syntax_uids
from apps.network.store_writer import ChunkSource, SourceEndedError, StoreCommand, StoreWriter
from apps.polarity.states import SYNTAXES, State, state_of
from apps.rendering.correcting_state import STATE_CLASS
from apps.retrieve.coercion import coerced, rules_for_destination
from apps.retrieve.datasets import (
    REWRITTEN_TO,
    OutgoingDataset,
    outgoing,
    outgoing_syntax,
)
from apps.retrieve.locations import Location, locations_by_key
from apps.storage.blobs import BlobMissing
from apps.transfers.actions.note_progress import Outcome, note_outcomes
from apps.transfers.models import Transfer, TransferInstance
from apps.transfers.remote import remote_for

logger = logging.getLogger(__name__)

_WRITE_SECONDS: Final = 0.5
_WRITE_OUTCOMES: Final = 200
_KIB: Final = 1024
_LONGEST_NAP: Final = 0.5
_REPLY_SECONDS: Final = 120.0
# So many refusals one after another say that the peer has no room for the next one either.
_FULL_AFTER: Final = 5


class Cancelled(Exception):
    """Somebody cancelled the transfer."""


class PeerBusy(Unavailable):
    """The peer answered some instances that it has no room for them now."""


def remote_of(transfer: Transfer) -> Remote:
    """Where the peer of a transfer listens now."""
    peer = transfer.peer
    if peer is None:
        raise NotAcceptable(f"It is not known any more where {transfer.peer_title} listens.")
    return remote_for(peer)


def send(transfer: Transfer, holder: str) -> None:
    """All that waits. Raises PeerUnreachable, AssociationRejected, PeerBusy, Cancelled, LeaseLost.

    What has been sent is written down twice a second, whatever ends the run.
    """
    ledger = Ledger(transfer, holder)
    try:
        for contexts, rows in _batches(transfer):
            _Batch(transfer, ledger, contexts).send(rows)
    finally:
        ledger.write()
    ledger.demand_room()


# Primary key of the row and of the instance, SOP Instance UID, and whether to correct the instance.
Row = tuple[int, int, str, bool]


class Ledger:
    """Outcomes not written yet, and the pace of what is sent."""

    def __init__(self, transfer: Transfer, holder: str) -> None:
        self._transfer = transfer.pk
        self._holder = holder
        self._outcomes: list[Outcome] = []
        self._bytes = 0
        self._written = time.monotonic()
        limit = transfer.peer.send_limit_kib if transfer.peer else 0
        self._bytes_per_second = limit * _KIB
        self._free_at = time.monotonic()
        self._title = transfer.peer_title
        self._postponed = 0
        self._in_a_row = 0
        self._status = 0

    def note(self, outcome: Outcome) -> None:
        """One instance is settled, or postponed. Raises Cancelled, LeaseLost, PeerBusy."""
        self._outcomes.append(outcome)
        self._postponed += outcome.postponed
        self._in_a_row = self._in_a_row + 1 if outcome.postponed else 0
        self._status = outcome.status if outcome.postponed else self._status
        if self._in_a_row >= _FULL_AFTER:
            self.demand_room()
        self.look()

    def demand_room(self) -> None:
        """Raises PeerBusy where instances wait because the peer had no room for them."""
        if self._postponed:
            raise PeerBusy(
                f"{self._title} is out of resources: it answered {self._postponed} of the "
                f"instances with {self._status:04X}."
            )

    def look(self) -> None:
        """Writes when it is time, also inside a long instance: somebody may have cancelled."""
        late = time.monotonic() - self._written >= _WRITE_SECONDS
        if late or len(self._outcomes) >= _WRITE_OUTCOMES:
            self.write()

    def write(self) -> None:
        """Writes now."""
        outcomes, self._outcomes = self._outcomes, []
        sent, self._bytes = self._bytes, 0
        self._written = time.monotonic()
        if note_outcomes(self._transfer, self._holder, outcomes, sent):
            raise Cancelled

    def passed(self, length: int) -> None:
        """So many bytes have gone out; waits where the peer may get only so many a second."""
        self._bytes += length
        if self._bytes_per_second:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + length / self._bytes_per_second
            while (left := self._free_at - time.monotonic()) > 0:
                time.sleep(min(left, _LONGEST_NAP))
                self.look()
        self.look()


class _Batch:
    """Instances whose presentation contexts fit into one association."""

    def __init__(
        self, transfer: Transfer, ledger: Ledger, contexts: Sequence[ProposedContext]
    ) -> None:
        self._transfer = transfer
        self._ledger = ledger
        self._contexts = contexts
        self._rules = rules_for_destination(transfer.peer_title)
        self._association: OutgoingAssociation | None = None
        self._writer: StoreWriter | None = None
        self._lost_at = 0

    def send(self, rows: Iterable[Row]) -> None:
        """Each row once, a row at which the association was lost once more."""
        try:
            for row, location in located(rows):
                self._ledger.note(self._outcome(row, location))
        except PeerBusy:
            self._release()
            raise
        except BaseException:
            if self._association is not None:
                self._association.abort()
            raise
        self._release()

    def _release(self) -> None:
        if self._association is not None:
            self._association.release()

    def _outcome(self, row: Row, location: Location | None) -> Outcome:
        if location is None:
            return Outcome(row[0], OUR_FAILURE, "The instance is not in the archive any more.")
        try:
            status, comment = self._correct(location) if row[3] else self._store(location)
            return Outcome(row[0], status, comment, postponed=is_passing(status))
        except (BlobMissing, PacsError) as error:
            if isinstance(error, PeerUnreachable):
                return self._after_loss(row, location, error)
            if self._association is None:
                raise
            words = error.message if isinstance(error, PacsError) else "Its bytes are missing."
            return Outcome(row[0], CANNOT_SEND, words)

    def _after_loss(self, row: Row, location: Location, error: PeerUnreachable) -> Outcome:
        """A second loss at the same instance is that instance's fault; the others go on."""
        if self._association is None:
            raise error
        self._association = None
        if self._lost_at == row[0]:
            return Outcome(row[0], PEER_ENDED, error.message)
        self._lost_at = row[0]
        return self._outcome(row, location)

    def _store(self, location: Location) -> tuple[int, str]:
        ids = self._context_ids(location.sop_class_uid)
        if not ids:
            raise NotAcceptable("The peer takes no instances of this class.")
        syntax = outgoing_syntax(location, ids.keys())
        with outgoing(coerced(location, self._rules), syntax) as dataset:
            self._write(ids[syntax], location, dataset)
        return self._answer()

    def _correct(self, location: Location) -> tuple[int, str]:
        """Sends the state that shows the image right; a warning where that cannot be."""
        ids = self._context_ids(STATE_CLASS)
        if not ids:
            return NOT_CORRECTED, "The peer takes no presentation states: it may show it inverted."
        try:
            state = state_of(location, self._rules)
        except NotFound as error:
            return NOT_CORRECTED, error.message
        syntax = next(uid for uid in SYNTAXES if uid in ids)
        data = state.dataset(syntax)
        dataset = OutgoingDataset(syntax, len(data), ChunkSource(iter((data,))))
        self._write(ids[syntax], state, dataset)
        return self._answer()

    def _context_ids(self, sop_class_uid: str) -> dict[str, int]:
        """Presentation contexts of the class by their Transfer Syntax; opens the association."""
        return {
            each.transfer_syntax: each.context_id
            for each in self._opened().contexts
            if each.abstract_syntax == sop_class_uid
        }

    def _write(self, context_id: int, sent: Location | State, dataset: OutgoingDataset) -> None:
        association = self._opened()
        assert self._writer is not None
        command = StoreCommand(
            association.new_message_id(),
            sent.sop_class_uid,
            sent.sop_instance_uid,
            self._transfer.move_originator,
            self._transfer.move_message_id,
        )
        try:
            self._writer.write(context_id, command, dataset.source, dataset.length)
        except SourceEndedError as error:
            association.abort()
            raise PeerUnreachable("The stored object is cut off.") from error

    def _answer(self) -> tuple[int, str]:
        association = self._opened()
        waited = 0.0
        while not association.waits(_LONGEST_NAP) and waited < _REPLY_SECONDS:
            waited += _LONGEST_NAP
            self._ledger.look()
        reply = association.receive()
        return reply.status, reply.comment

    def _opened(self) -> OutgoingAssociation:
        if self._association is None:
            opened = OutgoingAssociation.open(remote_of(self._transfer), self._contexts)

            def paced(chunk: memoryview) -> None:
                opened.send(chunk)
                self._ledger.passed(len(chunk))

            self._association = opened
            self._writer = opened.writer(paced)
        return self._association


def located(rows: Iterable[Row]) -> Iterator[tuple[Row, Location | None]]:
    """Rows with where their instance lies; None where it is gone. In chunks, in order."""
    waiting: list[Row] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == _WRITE_OUTCOMES:
            yield from _with_locations(waiting)
            waiting = []
    yield from _with_locations(waiting)


def _with_locations(rows: list[Row]) -> Iterator[tuple[Row, Location | None]]:
    found = {each.key: each for each in locations_by_key([row[1] for row in rows])}
    yield from ((row, found.get(row[1])) for row in rows)


def _batches(transfer: Transfer) -> Iterator[tuple[list[ProposedContext], Iterable[Row]]]:
    """The waiting instances by associations: as many SOP Classes in each as have room."""
    waiting = transfer.instances.filter(state=TransferInstance.State.WAITING)
    images = waiting.filter(corrects=False)
    kinds = Instance.objects.filter(pk__in=images.values("instance_key")).values_list(
        "sop_class_uid", "transfer_syntax_uid"
    )
    forbidden = _forbidden(transfer)
    by_class: dict[str, set[str]] = {}
    if waiting.filter(corrects=True).exists():
        by_class[STATE_CLASS] = set(SYNTAXES)
    for sop_class, syntax in kinds.distinct():
        by_class.setdefault(sop_class, set()).add(syntax)
    groups: list[tuple[list[str], list[ProposedContext]]] = [([], [])]
    for sop_class in sorted(by_class):
        contexts = _contexts(sop_class, by_class[sop_class], forbidden)
        if len(groups[-1][1]) + len(contexts) > MOST_CONTEXTS:
            groups.append(([], []))
        groups[-1][0].append(sop_class)
        groups[-1][1].extend(contexts)
    for classes, contexts in groups:
        rows = waiting
        if len(groups) > 1:
            of_classes = Instance.objects.filter(sop_class_uid__in=classes).values("pk")
            rows = images.filter(instance_key__in=of_classes)
            if STATE_CLASS in classes:
                rows |= waiting.filter(corrects=True)
        fields = ("pk", "instance_key", "sop_instance_uid", "corrects")
        yield contexts, list(rows.order_by("position").values_list(*fields))


def _contexts(
    sop_class: str, stored: set[str], forbidden: Collection[str]
) -> list[ProposedContext]:
    """One context for each syntax, so that the peer can accept several: what is stored first.

    What the rules for the peer forbid is not proposed.
    """
    syntaxes = [*sorted(stored), *(uid for uid in REWRITTEN_TO if uid not in stored)]
    return [ProposedContext(sop_class, (uid,)) for uid in syntaxes if uid not in forbidden]


def _forbidden(transfer: Transfer) -> frozenset[str]:
    """Transfer Syntaxes that the rules for the peer forbid. Raises NotAcceptable."""
    written = transfer.peer.forbidden_transfer_syntaxes if transfer.peer else ""
    try:
        return forbidden_transfer_syntax_uids(written)
    except ValidationError as error:
        raise NotAcceptable(f"The rules of the peer cannot be read: {error.messages[0]}") from error
