"""Instances sent on to another archive as they arrive: by C-STORE, each with the peer's word."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Final, Self

from django.core.exceptions import ValidationError

from apps.errors import NotPermitted, PacsError, Unavailable
from apps.network.associate_items import ProposedContext
from apps.network.association import (
    MOST_CONTEXTS,
    OpenContext,
    OutgoingAssociation,
    Timeouts,
)
from apps.network.models import ApplicationEntity
from apps.network.peer_errors import PeerUnreachable
from apps.network.rule_lists import forbidden_transfer_syntax_uids
from apps.network.store_writer import ChunkSource, StoreCommand, StoreWriter
from apps.retrieve.coercion import rules_for_destination
from apps.transfers.gateway_peers import address_of

NOT_TAKEN: Final = 0x0122
"""SOP Class not supported: also where it is not taken in the Transfer Syntax it has."""
LOST: Final = 0x0110
_TIMEOUTS: Final = Timeouts(connect=5.0, negotiate=15.0, message=120.0)
_CHUNK: Final = 1 << 20
_AT_ONCE: Final = 3  # of the threads of each web process

_places = threading.BoundedSemaphore(_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Parcel:
    """An instance in a file of its own: what it is, and where its data set lies."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    file: IO[bytes]
    offset: int
    length: int

    @property
    def kind(self) -> tuple[str, str]:
        """What a presentation context is negotiated for."""
        return self.sop_class_uid, self.transfer_syntax_uid

    def chunks(self) -> Iterator[bytes]:
        """The data set."""
        self.file.seek(self.offset)
        while chunk := self.file.read(_CHUNK):
            yield chunk


class Relay:
    """One association for as long as it serves; another where an instance of a new kind comes."""

    def __init__(self, peer: ApplicationEntity) -> None:
        """Raises NotPermitted, Unavailable."""
        if peer.gateway != ApplicationEntity.Gateway.KEEP:
            raise NotPermitted(f"{peer.title} is open for searches only: nothing is sent to it.")
        if rules_for_destination(peer.title):
            raise NotPermitted(
                f"Rules change what is sent to {peer.title}: store it here and send it from here."
            )
        self._remote = address_of(peer)
        self._forbidden = _forbidden(peer)
        self._kinds: dict[tuple[str, str], None] = {}
        self._association: OutgoingAssociation | None = None
        self._writer: StoreWriter | None = None
        self._gone = ""

    def __enter__(self) -> Self:
        """Raises Unavailable where too many are under way."""
        if not _places.acquire(blocking=False):
            raise Unavailable("Too many send to other archives just now: try again in a moment.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        _places.release()
        self._leave(in_order=kind is None)

    def send(self, parcel: Parcel) -> tuple[int, str]:
        """The peer's status, and a comment or a sentence of ours.

        Raises PeerUnreachable and AssociationRejected where it cannot be called at all.
        """
        if self._gone:
            return LOST, self._gone
        if parcel.transfer_syntax_uid in self._forbidden:
            return NOT_TAKEN, "Rules of this archive forbid that Transfer Syntax for it."
        context = self._context(parcel)
        if context is None:
            return NOT_TAKEN, "The other archive does not take this kind of object as it is coded."
        try:
            return self._sent(context, parcel)
        except PeerUnreachable as error:
            self._leave(in_order=False)
            return LOST, error.message

    def _sent(self, context: OpenContext, parcel: Parcel) -> tuple[int, str]:
        assert self._association is not None
        assert self._writer is not None
        command = StoreCommand(
            self._association.new_message_id(), parcel.sop_class_uid, parcel.sop_instance_uid
        )
        source = ChunkSource(parcel.chunks())
        self._writer.write(context.context_id, command, source, parcel.length)
        reply = self._association.receive()
        return reply.status, reply.comment

    def _context(self, parcel: Parcel) -> OpenContext | None:
        if self._association is None or parcel.kind not in self._kinds:
            self._open(parcel.kind)
        assert self._association is not None
        found = self._association.contexts
        return next(
            (e for e in found if (e.abstract_syntax, e.transfer_syntax) == parcel.kind), None
        )

    def _open(self, kind: tuple[str, str]) -> None:
        """With all kinds so far, so that their coming in turns costs one association."""
        self._leave(in_order=True)
        if len(self._kinds) >= MOST_CONTEXTS:
            self._kinds.clear()
        self._kinds[kind] = None
        proposed = [ProposedContext(sop_class, (syntax,)) for sop_class, syntax in self._kinds]
        try:
            self._association = OutgoingAssociation.open(self._remote, proposed, timeouts=_TIMEOUTS)
        except PacsError as error:
            self._gone = error.message
            raise
        self._writer = self._association.writer()

    def _leave(self, *, in_order: bool) -> None:
        association, self._association, self._writer = self._association, None, None
        if association is not None and in_order:
            association.release()
        elif association is not None:
            association.abort()


def _forbidden(peer: ApplicationEntity) -> frozenset[str]:
    try:
        return forbidden_transfer_syntax_uids(peer.forbidden_transfer_syntaxes)
    except ValidationError as error:
        raise NotPermitted("The rules of the other archive cannot be read.") from error
