"""Celery shells of the network's housekeeping."""

from __future__ import annotations

import logging
from typing import Final

from celery import shared_task
from django.core.cache import cache

from apps.network.actions.deliver_webhooks import deliver_webhooks as deliver_action
from apps.network.actions.forget_associations import forget_associations as forget_action

_DELIVERING: Final = "delivering-webhooks"
_LONGEST_RUN: Final = 600

logger = logging.getLogger(__name__)


@shared_task(name="apps.network.tasks.forget_associations", expires=3000)
def forget_associations() -> None:
    """Keeps the association records within the policy's bounds."""
    forgotten = forget_action()
    if forgotten:
        logger.info("%d association records were forgotten", forgotten)


@shared_task(name="apps.network.tasks.deliver_webhooks", expires=4)
def deliver_webhooks() -> None:
    """One run at a time: a slow receiver must not be called twice at once."""
    if not cache.add(_DELIVERING, 1, timeout=_LONGEST_RUN):
        return
    try:
        delivered = deliver_action()
    finally:
        cache.delete(_DELIVERING)
    if delivered:
        logger.info("%d changes were delivered to webhooks", delivered)
