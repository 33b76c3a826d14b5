"""Celery shells of the photometric guard. What they do stands in `actions/`."""

from __future__ import annotations

import logging
from typing import Final

from celery import shared_task

from apps.ingest.spool import receiving
from apps.polarity.actions.observe_images import observe_images as observe_action

logger = logging.getLogger(__name__)

_SECONDS: Final = 3.0
_SECONDS_WHILE_RECEIVING: Final = 0.5


@shared_task(name="apps.polarity.tasks.observe_images", expires=5)
def observe_images() -> None:
    """Radiographs that arrived are looked at, fewer while others arrive."""
    seen = observe_action(_SECONDS_WHILE_RECEIVING if receiving() else _SECONDS)
    if seen:
        logger.info("%d radiographs were looked at", seen)
