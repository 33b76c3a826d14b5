"""ring(): tells the indexer that something waits. Only a hint; the inbox is the truth."""

from __future__ import annotations

import os
import threading
import time
from typing import Final

_QUIET_SECONDS: Final = 0.02


class _Doorbell:
    """Rings from a thread of its own, so that a slow or dead broker never delays an answer."""

    def __init__(self) -> None:
        self._process = 0
        self._pressed = threading.Event()
        self._starting = threading.Lock()

    def ring(self) -> None:
        if self._process != os.getpid():
            self._start()
        self._pressed.set()

    def _start(self) -> None:
        with self._starting:
            if self._process == os.getpid():
                return
            self._pressed = threading.Event()
            threading.Thread(target=self._run, name="doorbell", daemon=True).start()
            self._process = os.getpid()

    def _run(self) -> None:
        from apps.ingest.tasks import request_indexing

        pressed = self._pressed
        while True:
            pressed.wait()
            pressed.clear()
            request_indexing()
            time.sleep(_QUIET_SECONDS)


_doorbell = _Doorbell()


def ring() -> None:
    """Asks for indexing soon. Returns at once; many rings become one; never raises."""
    _doorbell.ring()
