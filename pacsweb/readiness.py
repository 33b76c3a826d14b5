"""`/readyz` and `/livez`: does every part serve? Answered before any other middleware.

Load balancers and supervisors ask by IP address and without credentials, so the host name is not
checked here and the answer names parts, never details.
"""

from __future__ import annotations

import json
import logging
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from redis.exceptions import RedisError

from apps.errors import PacsError
from apps.ingest.inbox import depth
from apps.storage.blobs import BlobMissing
from apps.storage.capacity import capacity
from apps.storage.stores import blob_store
from pacsweb import heartbeat

_log = logging.getLogger(__name__)
_REMEMBER_SECONDS = 1.0
_CONNECT_SECONDS = 0.5
# Far longer than any batch takes: whatever waits so long, nobody works on.
_LATE_SECONDS = 600.0
_PROBE_KEY = "readiness-probe"
_WORKERS = ("events", "worker-index", "worker-transfer", "worker", "beat")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the product: whether it serves, and a word on why not."""

    name: str
    serves: bool
    state: str


def _database() -> list[Part]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return [Part("database", serves=False, state="no answer")]
    return [Part("database", serves=True, state="ok")]


def _redis_and_workers() -> list[Part]:
    try:
        alive = heartbeat.alive(_WORKERS)
    except (RedisError, OSError):
        return [
            Part("redis", serves=False, state="no answer"),
            *(Part(each, serves=False, state="unknown") for each in _WORKERS),
        ]
    return [
        Part("redis", serves=True, state="ok"),
        *(Part(name, found, "ok" if found else "no sign of life") for name, found in alive.items()),
    ]


def _dimse() -> list[Part]:
    environment = settings.PACSWEB
    address = environment.dicom_host or environment.bind
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - a comparison
    try:
        socket.create_connection((address, environment.dicom_port), _CONNECT_SECONDS).close()
    except OSError:
        return [Part("dimse", serves=False, state="no answer")]
    return [Part("dimse", serves=True, state="ok")]


def _blobs() -> list[Part]:
    try:
        blob_store().size(_PROBE_KEY)
    except BlobMissing:
        pass  # the expected answer of a store that works
    except PacsError:
        return [Part("blobs", serves=False, state="no answer")]
    return [Part("blobs", serves=True, state="ok")]


def _inbox() -> list[Part]:
    try:
        with tempfile.TemporaryFile(dir=settings.PACSWEB.inbox) as probe:
            probe.write(b"pacsweb")
            probe.flush()
        waiting = depth()
    except OSError:
        return [Part("inbox", serves=False, state="not writable")]
    if waiting.oldest_seconds > _LATE_SECONDS:
        return [Part("inbox", serves=False, state="late")]
    return [Part("inbox", serves=True, state="ok")]


def _space() -> list[Part]:
    room = capacity()
    if not room.accepts_instances:
        return [Part("space", serves=False, state="full")]
    if not room.accepts_associations:
        return [Part("space", serves=False, state="low")]
    return [Part("space", serves=True, state="ok")]


_CHECKS: tuple[tuple[str, Callable[[], list[Part]]], ...] = (
    ("database", _database),
    ("redis", _redis_and_workers),
    ("dimse", _dimse),
    ("blobs", _blobs),
    ("inbox", _inbox),
    ("space", _space),
)


def _ask(name: str, check: Callable[[], list[Part]]) -> list[Part]:
    """The check's parts; a failure nobody foresaw is a part that does not serve."""
    try:
        return check()
    except Exception:  # noqa: BLE001 - it is logged, and told as a part that does not serve
        _log.exception("The readiness check of %s failed.", name)
        return [Part(name, serves=False, state="failed")]


class _Remembered:
    """The last good answer, for a second: many probes cost what one costs.

    A bad one is asked again: otherwise one web process would still say no after another said yes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._parts: list[Part] = []

    def parts(self) -> list[Part]:
        """Asks every part, at most once a second per process."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._parts = [part for name, check in _CHECKS for part in _ask(name, check)]
                if all(part.serves for part in self._parts):
                    self._until = time.monotonic() + _REMEMBER_SECONDS
            return self._parts


_remembered = _Remembered()


def parts() -> list[Part]:
    """Every part of the product and whether it serves; at most a second old."""
    return _remembered.parts()


def readiness() -> HttpResponse:
    """200 only when every part serves, else 503; the body names each part."""
    found = parts()
    ready = all(part.serves for part in found)
    body = {"ready": ready, "parts": {part.name: part.state for part in found}}
    response = HttpResponse(
        json.dumps(body), status=200 if ready else 503, content_type="application/json"
    )
    # A probe is no failed request; without this every 503 would be an error in the log.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


class ReadinessMiddleware:
    """Answers `/readyz` and `/livez`, passes everything else on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info == "/readyz":
            return readiness()
        if request.path_info == "/livez":
            return HttpResponse("ok\n", content_type="text/plain")
        return self._get_response(request)
