"""The web process: granian serving the WSGI application."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

from django.conf import settings
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import mp

from pacsweb.settings.environment import ENVIRONMENT, PROJECT_ROOT
from pacsweb.turns import in_turns


def main() -> None:
    """Serves until SIGTERM or SIGINT, then lets requests under way finish for five seconds."""
    # WhiteNoise warns about a folder that is not there, and there may be nothing to collect.
    ENVIRONMENT.static_dir.mkdir(parents=True, exist_ok=True)
    # Beside this private name the server has no place where one could stand behind an answer.
    mp._wsgi_call_wrap = in_turns(mp._wsgi_call_wrap)  # type: ignore[attr-defined]  # not exported
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
        log_dictconfig=deepcopy(settings.LOGGING),
        respawn_failed_workers=True,
        respawn_interval=1.0,
        workers_kill_timeout=5,
        working_dir=Path(PROJECT_ROOT),
    ).serve()


if __name__ == "__main__":
    main()
