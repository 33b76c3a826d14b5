"""One open event channel: reports are read, sent, and counted as taken when the client shows it.

A pong tells that everything sent before its ping was read (RFC 6455 5.5.3). So at most one batch is
under way, a slow client holds no memory, and what was not shown to be read is sent again when the
client comes back: at least once, in order.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import orjson
from django.db import Error as DatabaseError
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from apps.dicom import ups
from apps.dicom.data_sets import Document
from apps.dicomweb.event_channels.admission import Admission, Opening, check_again
from apps.errors import PacsError
from apps.worklist.actions.event_channels import take_reports
from apps.worklist.event_reports import reports_after
from apps.worklist.work_item_events import STATUS_CHANGE

T = TypeVar("T")
InThread = Callable[..., Awaitable[Any]]
"""Runs a function that may wait for the database; on a thread of its own."""

LOOK_SECONDS: Final = 5.0
"""How often one looks without having been rung for: what a lost ring costs."""

_KEEP_SECONDS: Final = 2.0
_SEEN_SECONDS: Final = 600.0
_SLOW_SECONDS: Final = 30.0
_CHECK_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 2.0
# Close codes of RFC 6455 7.4.1.
_POLICY: Final = 1008
_N_EVENT_REPORT_RQ: Final = 0x0100
_DATA_SET_PRESENT: Final = 0
_MESSAGE_IDS: Final = 1 << 16
_log = logging.getLogger(__name__)


def message(number: int, sop_instance_uid: str, event_type: int, document: Document) -> str:
    """An Event Report as DICOM JSON, command elements first (PS3.18 8.10.5, PS3.7 10.3.1)."""
    head = {
        "00000002": {"vr": "UI", "Value": [ups.PUSH]},
        "00000100": {"vr": "US", "Value": [_N_EVENT_REPORT_RQ]},
        "00000110": {"vr": "US", "Value": [number % _MESSAGE_IDS]},
        "00000800": {"vr": "US", "Value": [_DATA_SET_PRESENT]},
        "00001000": {"vr": "UI", "Value": [sop_instance_uid]},
        "00001002": {"vr": "US", "Value": [event_type]},
    }
    return orjson.dumps({**head, **document}).decode()


class Listener:
    """A client that was let in, from its first report to its last."""

    def __init__(
        self,
        socket: ServerConnection,
        opening: Opening,
        admission: Admission,
        in_thread: InThread,
    ) -> None:
        self.receiver = admission.channel.receiver
        self.user_id = admission.principal.user_id
        self._socket = socket
        self._opening = opening
        self._admission = admission
        self._in_thread = in_thread
        self._bell = asyncio.Event()
        self._position = admission.channel.position
        self._kept = self._position
        self._kept_at = self._checked_at = time.monotonic()

    def ring(self) -> None:
        """Something waits for this AE title."""
        self._bell.set()

    async def announce(self, status: Document) -> None:
        """An SCP Status Change, at once (PS3.4 CC.2.4, event type 4)."""
        text = message(0, ups.GLOBAL_SUBSCRIPTION, STATUS_CHANGE, status)
        await self._sent(self._socket.send(text))

    async def run(self) -> None:
        """Until the client is gone, too slow, or not permitted any more."""
        tasks = {asyncio.create_task(self._tell()), asyncio.create_task(self._hear())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
        except ConnectionClosed:
            pass  # gone: the rest waits until it comes back
        except TimeoutError:
            await self._socket.close(_POLICY, "Too slow: the rest waits for the next connection.")
        except PacsError as failure:
            await self._socket.close(_POLICY, failure.message)
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._keep()

    async def _hear(self) -> None:
        """Clients have nothing to say here; what they send is read and dropped."""
        async for _ in self._socket:
            pass

    async def _tell(self) -> None:
        while True:
            self._bell.clear()
            try:
                told = await self._tell_batch()
            except DatabaseError as failure:
                _log.warning("The database does not answer: %s", type(failure).__name__)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if not told:
                await self._wait()

    async def _tell_batch(self) -> bool:
        """Sends what waits, a bounded part of it; True when there was anything."""
        reports = await self._in_thread(reports_after, self.receiver, self._position)
        await self._check_again(now=bool(reports))
        for each in reports:
            text = message(each.pk, each.sop_instance_uid, each.event_type, each.document)
            await self._sent(self._socket.send(text))
        if reports:
            await self._sent(await self._sent(self._socket.ping()))
            self._position = reports[-1].pk
        if self._is_keeping_due():
            await self._keep()
        return bool(reports)

    async def _sent(self, step: Awaitable[T]) -> T:
        async with asyncio.timeout(_SLOW_SECONDS):
            return await step

    def _is_keeping_due(self) -> bool:
        """Soon after a report was taken, and else now and then: that somebody still listens."""
        elapsed = time.monotonic() - self._kept_at
        return elapsed > (_KEEP_SECONDS if self._position > self._kept else _SEEN_SECONDS)

    async def _wait(self) -> None:
        behind = self._position > self._kept
        try:
            async with asyncio.timeout(_KEEP_SECONDS if behind else LOOK_SECONDS):
                await self._bell.wait()
        except TimeoutError:
            return

    async def _keep(self) -> None:
        """Notes how far the client is, and that it is there; not after every report."""
        self._kept_at = time.monotonic()
        try:
            await self._in_thread(take_reports, self._admission.channel, self._position)
            self._kept = self._position
        except DatabaseError as failure:
            _log.warning("A position was not kept: %s", type(failure).__name__)

    async def _check_again(self, *, now: bool) -> None:
        """Whoever may not listen any more is told nothing, and let go within a minute."""
        if now or time.monotonic() - self._checked_at > _CHECK_SECONDS:
            await self._in_thread(check_again, self._opening, self._admission)
            self._checked_at = time.monotonic()
