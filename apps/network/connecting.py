"""The connection under an association we open: plain, or TLS where the peer is called so."""

from __future__ import annotations

import socket

from apps.errors import NotAcceptable
from apps.network.associate_items import Remote
from apps.network.association_note import Ending
from apps.network.outgoing_note import OutgoingNote
from apps.network.peer_errors import PeerUnreachable
from apps.network.tls import TlsNotReady, failure_words
from apps.network.tls_connection import Connection, TlsConnection


def connected(remote: Remote, seconds: float, note: OutgoingNote) -> Connection:
    """Raises PeerUnreachable, and NotAcceptable where our own TLS settings are not ready."""
    try:
        plain = socket.create_connection((remote.host, remote.port), seconds)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection = _secured(remote, plain, note) if remote.use_tls else plain
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "no answer"
        note.ended(Ending.UNREACHABLE, reason)
        raise PeerUnreachable(f"{remote.words} cannot be reached: {reason}.") from error
    note.connected(connection)
    return connection


def _secured(remote: Remote, plain: socket.socket, note: OutgoingNote) -> Connection:
    try:
        return TlsConnection.open(plain, remote.host)
    except TlsNotReady as error:
        plain.close()
        raise NotAcceptable(str(error)) from error
    except OSError as error:
        plain.close()
        words = failure_words(error)
        note.ended(Ending.TLS, words)
        raise PeerUnreachable(f"{remote.words}: the TLS handshake failed: {words}.") from error
