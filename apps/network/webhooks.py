"""Webhooks: who is told of changes over HTTP, and how one call is made and signed.

The body is JSON. `X-Pacsweb-Signature` is `sha256=` and the HMAC-SHA-256, in hexadecimal, of the
timestamp in `X-Pacsweb-Timestamp`, a dot and the body, under the webhook's secret.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, Final
from urllib.parse import urlsplit

from apps.events.models import Event
from apps.network.receivers import NOT_ALLOWED, ForbiddenAddress, connect

CHANGES: Final = (
    "StudyCreated",
    "InstancesStored",
    "StudyCompleted",
    "StudyReopened",
    "StudyDeleted",
    "InstanceReplaced",
    "InstancesRejected",
    "InstancesRestored",
    "InstancesPurged",
)
"""Events that change what the archive holds: what the change feed and webhooks tell of."""

TIMEOUT_SECONDS: Final = 10.0
_OK: Final = range(200, 300)


class DeliveryFailed(Exception):
    """The receiver did not take it; the text says why, without what was sent."""


def change_of(event: Event) -> dict[str, Any]:
    """An event as the change feed gives it: UIDs and numbers, nothing of the patient."""
    return {
        "sequence": event.sequence,
        "kind": event.kind,
        "occurred_at": event.occurred_at.isoformat(),
        "study": event.study_instance_uid,
        "series": event.series_instance_uid,
        "instance": event.sop_instance_uid,
        # Of what was received it is called otherwise.
        "count": event.payload.get("count", event.payload.get("instances")),
    }


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What a receiver computes to know that a call is ours."""
    message = timestamp.encode("ascii") + b"." + body
    return "sha256=" + hmac.new(secret.encode("utf-8"), message, hashlib.sha256).hexdigest()


def call(url: str, secret: str, events: Sequence[Event]) -> None:
    """Delivers the events in one POST. Redirects are not followed. Raises DeliveryFailed."""
    body = json.dumps({"changes": [change_of(each) for each in events]}).encode()
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "pacsweb",
        "X-Pacsweb-Timestamp": timestamp,
        "X-Pacsweb-Signature": signature(secret, timestamp, body),
    }
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection = _connection(parts.scheme, parts.hostname or "", parts.port)
        connection.connect()
        with closing(connection), _ended_after(connection.sock, TIMEOUT_SECONDS):
            connection.request("POST", path, body, headers)
            status = connection.getresponse().status
    except ForbiddenAddress:
        raise DeliveryFailed(NOT_ALLOWED) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DeliveryFailed(f"The receiver cannot be reached ({type(error).__name__}).") from error
    if status not in _OK:
        raise DeliveryFailed(f"The receiver answered {status}.")


@contextmanager
def _ended_after(connection: socket.socket, seconds: float) -> Iterator[None]:
    """A socket's own time-out begins anew with every byte; this one does not."""
    own = connection.dup()
    timer = threading.Timer(seconds, _shut, (own,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        own.close()


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Plain(http.client.HTTPConnection):
    """Looks at the address it connects to: a name may lead elsewhere each time it is asked."""

    def connect(self) -> None:
        """Raises OSError, ForbiddenAddress among them."""
        self.sock = connect(self.host, self.port, TIMEOUT_SECONDS)


class _Secured(http.client.HTTPSConnection):
    """The same over TLS, with the certificate of the name."""

    def connect(self) -> None:
        """Raises OSError, ForbiddenAddress among them."""
        plain = connect(self.host, self.port, TIMEOUT_SECONDS)
        try:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    kind = _Secured if scheme == "https" else _Plain
    return kind(host, port, timeout=TIMEOUT_SECONDS)
