"""Celery shells of the network's housekeeping."""

from __future__ import annotations

import logging

from celery import shared_task

from apps.network.actions.forget_associations import forget_associations as forget_action

logger = logging.getLogger(__name__)


@shared_task(name="apps.network.tasks.forget_associations", expires=3000)
def forget_associations() -> None:
    """Keeps the association records within the policy's bounds."""
    forgotten = forget_action()
    if forgotten:
        logger.info("%d association records were forgotten", forgotten)
