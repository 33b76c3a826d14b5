"""What an association we open tells the recorder of this process."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Sequence
from typing import Final

from django.utils import timezone

from apps.dicom import command_set
from apps.network.associate_items import ProposedContext, Remote
from apps.network.association_note import AssociationNote, ContextNote, Ending
from apps.network.explanation import Why
from apps.network.models import AssociationRecord
from apps.network.recorder import PROCESS_RECORDER
from apps.network.tls_connection import Connection, TlsConnection

_numbers = itertools.count(1)
_WHY: Final = {0: Why.ACCEPTED, 3: Why.PEER_NOT_OFFERED, 4: Why.PEER_SYNTAXES}


class OutgoingNote:
    """Filled in by the association's one thread; handed in once, at the end."""

    def __init__(self, remote: Remote) -> None:
        now = timezone.now()
        self._note = AssociationNote(
            name=f"out-{os.getpid()}-{next(_numbers)}@{int(now.timestamp() * 1000)}",
            started_at=now,
            direction=AssociationRecord.Direction.OUT,
            address=remote.host,
            port=remote.port,
            calling_ae_title=remote.own_title,
            called_ae_title=remote.title,
        )
        self._over = False

    def connected(self, connection: Connection) -> None:
        """Over TLS or not, and to which address the name led."""
        if isinstance(connection, TlsConnection) and connection.secured is not None:
            self._note.tls = connection.secured.description
            self._note.certificate = connection.secured.subject
        elif isinstance(connection, socket.socket):
            self._note.address = str(connection.getpeername()[0])

    def negotiated(
        self, proposed: Sequence[ProposedContext], accepted: dict[int, str], results: dict[int, int]
    ) -> None:
        """What the peer answered: Transfer Syntax and result by place in what was proposed."""
        self._note.contexts = tuple(
            ContextNote(
                context_id=2 * place + 1,
                abstract_syntax=each.abstract_syntax,
                proposed=each.transfer_syntaxes,
                result=results.get(place, 2),
                why=_WHY.get(results.get(place, 2), Why.PEER_REFUSED),
                transfer_syntax=accepted.get(place, ""),
                roles_proposed="SCU SCP" if each.as_scp else "",
            )
            for place, each in enumerate(proposed)
        )

    def sent(self, size: int) -> None:
        """So many bytes went out."""
        self._note.sent_bytes += size

    def received(self, command_field: int, status: int | None, size: int) -> None:
        """A message came: a response with its status, or a request of the peer's."""
        self._note.received_bytes += size
        if command_field & command_set.RESPONSE and status is not None:
            field = command_field & ~command_set.RESPONSE
            self._note.count(command_set.COMMAND_NAMES.get(field, "unknown command"), status)

    def ended(self, ending: Ending, reason: str = "") -> None:
        """Over; what is told first is the truth."""
        if self._over:
            return
        self._over = True
        self._note.end(ending, timezone.now(), reason)
        PROCESS_RECORDER.ended(self._note)
