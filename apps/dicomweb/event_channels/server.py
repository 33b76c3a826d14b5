"""The WebSocket server: opening requests, the listeners there are, the doorbell in Redis."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Final
from weakref import WeakKeyDictionary

import redis.asyncio
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.utils import timezone
from redis.exceptions import RedisError
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from apps.dicomweb.event_channels.admission import Admission, Opening, admit
from apps.dicomweb.event_channels.listener import Listener
from apps.dicomweb.status import sentence_of, status_of
from apps.errors import NotAuthenticated, PacsError, Unavailable
from apps.worklist.event_reports import DOORBELL
from apps.worklist.work_item_events import going_down, restarted

MOST_OF_A_USER: Final = 16
MOST: Final = 400
"""Channels open at once, of one user and of all; each holds a socket and little else."""

_THREADS: Final = 4
_LONGEST_MESSAGE: Final = 4096
_REDIS_SECONDS: Final = 2.0
_CLOSE_SECONDS: Final = 2.0
_log = logging.getLogger(__name__)


class EventChannels:
    """Every channel that is open in this process."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="event-channel")
        self._listeners: set[Listener] = set()
        # Weak: a client may be gone between its request and its channel.
        self._admitted: WeakKeyDictionary[ServerConnection, tuple[Opening, Admission]] = (
            WeakKeyDictionary()
        )
        self._started_at = timezone.now()
        self._greeted: set[int] = set()

    async def run(self, started: Callable[[], None]) -> None:
        """Serves until SIGTERM or SIGINT; `started` is called when the port is open."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        server = await serve(
            self._serve,
            settings.PACSWEB.bind,
            settings.PACSWEB.event_port,
            process_request=self._open,
            compression=None,
            server_header=None,
            max_size=_LONGEST_MESSAGE,
            max_queue=1,
            close_timeout=_CLOSE_SECONDS,
        )
        doorbell = asyncio.create_task(self._hear_doorbell())
        started()
        await stop.wait()
        doorbell.cancel()
        await self._end(server)

    async def _end(self, server: Server) -> None:
        """Says good-bye to everybody (PS3.4 CC.2.4: GOING DOWN), and waits a moment for them."""
        farewells = [each.announce(going_down()) for each in self._listeners]
        await asyncio.wait(
            {asyncio.ensure_future(asyncio.gather(*farewells, return_exceptions=True))},
            timeout=_CLOSE_SECONDS,
        )
        server.close()
        await server.wait_closed()
        self._pool.shutdown()

    async def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Runs what may wait for the database beside the event loop."""

        def call() -> Any:
            close_old_connections()
            try:
                return function(*arguments)
            finally:
                close_old_connections()

        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    async def _open(self, socket: ServerConnection, request: Request) -> Response | None:
        """The answer to a request that is refused, None for one that is let in."""
        if request.path == "/livez":
            return _answer(200, "ok")
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return _answer(426, "Events come by WebSocket.", Upgrade="websocket")
        address = str(socket.remote_address[0]) if socket.remote_address else ""
        opening = Opening(request.path, tuple(request.headers.raw_items()), address)
        try:
            admission = await self.in_thread(admit, opening)
        except PacsError as failure:
            return _refusal(failure)
        except DatabaseError as failure:
            _log.warning("The database does not answer: %s", type(failure).__name__)
            return _refusal(Unavailable("The database does not answer just now."))
        if self._is_full(admission):
            return _answer(429, "Too many event channels are open.", **{"Retry-After": "30"})
        self._admitted[socket] = (opening, admission)
        return None

    def _is_full(self, admission: Admission) -> bool:
        user_id = admission.principal.user_id
        own = sum(each.user_id == user_id for each in self._listeners)
        return own >= MOST_OF_A_USER or len(self._listeners) >= MOST

    async def _serve(self, socket: ServerConnection) -> None:
        opening, admission = self._admitted.pop(socket)
        listener = Listener(socket, opening, admission, self.in_thread)
        self._listeners.add(listener)
        try:
            if self._is_new_to(admission):
                await listener.announce(restarted())
            await listener.run()
        except (ConnectionClosed, TimeoutError):
            _log.debug("A client was gone before its first report.")
        finally:
            self._listeners.discard(listener)

    def _is_new_to(self, admission: Admission) -> bool:
        """True for a channel that was there before this process, the first time it is opened."""
        channel = admission.channel
        first = channel.pk not in self._greeted
        self._greeted.add(channel.pk)
        return first and channel.created_at < self._started_at

    async def _hear_doorbell(self) -> None:
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as failure:
                _log.warning("Redis does not answer: %s", type(failure).__name__)
            await asyncio.sleep(_REDIS_SECONDS)

    async def _listen(self) -> None:
        url = settings.PACSWEB.redis_url
        async with (
            redis.asyncio.Redis.from_url(url, socket_connect_timeout=_REDIS_SECONDS) as client,
            client.pubsub(ignore_subscribe_messages=True) as bell,
        ):
            await bell.subscribe(DOORBELL)
            # What was rung for before is not heard again.
            self._ring(None)
            async for rung in bell.listen():
                self._ring(set(json.loads(rung["data"])))

    def _ring(self, receivers: set[str] | None) -> None:
        for each in self._listeners:
            if receivers is None or each.receiver in receivers:
                each.ring()


def _refusal(failure: PacsError) -> Response:
    fields = {}
    if isinstance(failure, NotAuthenticated):
        fields["WWW-Authenticate"] = 'Basic realm="pacsweb", charset="UTF-8"'
    return _answer(status_of(failure), sentence_of(failure), **fields)


def _answer(status: int, sentence: str, **fields: str) -> Response:
    body = f"{sentence}\n".encode()
    headers = Headers(
        {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Connection": "close",
            **fields,
        }
    )
    return Response(status, HTTPStatus(status).phrase, headers, body)
