"""Celery shells of the write path."""

from __future__ import annotations

import logging
from typing import Final

from celery import shared_task
from django.core.cache import cache

logger = logging.getLogger(__name__)

_ASKED: Final = "ingest-doorbell"
_ASKED_SECONDS: Final = 5


def request_indexing() -> None:
    """Queues `index_inbox`, unless one is queued already. A dead broker is no error here:
    whoever comes next, or the sweep, finds what waits.
    """
    try:
        if cache.add(_ASKED, 1, timeout=_ASKED_SECONDS):
            index_inbox.apply_async(retry=False)
    except Exception as error:  # noqa: BLE001 - kombu and redis have a dozen; none may pass
        logger.warning("The doorbell could not be rung: %s", type(error).__name__)


@shared_task(name="apps.ingest.tasks.index_inbox")
def index_inbox() -> None:
    cache.delete(_ASKED)
