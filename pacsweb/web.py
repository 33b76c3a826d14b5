"""The web process: granian serving the WSGI application."""

from __future__ import annotations

import ctypes
from copy import deepcopy
from pathlib import Path

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from pacsweb.settings import LOGGING
from pacsweb.settings.environment import ENVIRONMENT, PROJECT_ROOT

# glibc's names for what `mallopt` sets.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 16 << 20
_REUSED_BELOW = 4 << 20


def _reuse_memory() -> None:
    """Keeps memory of the size of a frame in place of giving it back after every answer.

    glibc maps such blocks anew each time, and the system clears every page of them: that took
    longer than the copying.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        tune(_M_MMAP_THRESHOLD, _REUSED_BELOW)
        tune(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def main() -> None:
    """Serves until SIGTERM or SIGINT, then lets requests under way finish for five seconds."""
    _reuse_memory()
    # WhiteNoise warns about a folder that is not there, and there may be nothing to collect.
    ENVIRONMENT.static_dir.mkdir(parents=True, exist_ok=True)
    Granian(
        "pacsweb.wsgi:application",
        address=ENVIRONMENT.bind,
        port=ENVIRONMENT.http_port,
        interface=Interfaces.WSGI,
        workers=ENVIRONMENT.web_workers,
        blocking_threads=ENVIRONMENT.web_threads,
        backlog=1024,
        # Connections one worker holds at once; more wait in the backlog instead of in memory.
        backpressure=256,
        websockets=False,
        log_level=LogLevels.error,
        log_dictconfig=deepcopy(LOGGING),
        respawn_failed_workers=True,
        respawn_interval=1.0,
        workers_kill_timeout=5,
        working_dir=Path(PROJECT_ROOT),
    ).serve()


if __name__ == "__main__":
    main()
