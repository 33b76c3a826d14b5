"""What can go wrong with a peer we call."""

from __future__ import annotations

from apps.errors import PacsError, Unavailable


class PeerUnreachable(Unavailable):
    """No connection, no answer, or the association was lost on the way."""


class AssociationRejected(PacsError):
    """The peer answered A-ASSOCIATE-RJ; `transient` says that it may accept later."""

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient
