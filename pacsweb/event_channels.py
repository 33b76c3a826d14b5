"""The process of the event channels: `python -m pacsweb.event_channels`."""

from __future__ import annotations

import asyncio
import logging.config
import os
import sys

import django

NAME = "events"


def main() -> int:
    """Serves until SIGTERM; 1 and one sentence where the port cannot be opened."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacsweb.settings")
    django.setup()
    from django.conf import settings

    from apps.dicomweb.event_channels.server import EventChannels
    from pacsweb.heartbeat import beat_in_background
    from pacsweb.launch import NAME_VARIABLE

    logging.config.dictConfig(settings.LOGGING)
    process = os.environ.get(NAME_VARIABLE, NAME)
    try:
        asyncio.run(EventChannels().run(started=lambda: beat_in_background(process)))
    except OSError as problem:
        port = settings.PACSWEB.event_port
        sys.stderr.write(f"The event port {port} cannot be opened: {problem.strerror}.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
