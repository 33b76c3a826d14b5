"""Celery shells of sign-in and audit. What they do stands in `actions/`."""

from __future__ import annotations

import logging

from celery import shared_task
from redis.exceptions import RedisError

from apps.access.actions.record_searches import record_searches as record_searches_action

logger = logging.getLogger(__name__)


@shared_task(name="apps.access.tasks.record_searches", expires=5)
def record_searches() -> None:
    """Searches become events."""
    try:
        record_searches_action()
    except RedisError as error:
        logger.warning("Searches wait for Redis: %s", type(error).__name__)
