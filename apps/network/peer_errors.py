"""What can go wrong with a peer we call."""

from __future__ import annotations

from apps.errors import PacsError, Unavailable


class PeerUnreachable(Unavailable):
    """No connection, no answer, or the association was lost on the way."""


class AssociationRejected(PacsError):
    """The peer answered A-ASSOCIATE-RJ; `transient` says that it may accept later.

    `answer` has Result, Source and Reason (PS3.8 table 9-21).
    """

    def __init__(self, message: str, *, transient: bool, answer: tuple[int, int, int]) -> None:
        super().__init__(message)
        self.transient = transient
        self.answer = answer
