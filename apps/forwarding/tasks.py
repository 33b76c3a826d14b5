"""Celery shells of forwarding."""

from __future__ import annotations

import logging

from celery import shared_task

from apps.forwarding.actions.follow_completed_studies import (
    follow_completed_studies as follow_action,
)

logger = logging.getLogger(__name__)


@shared_task(name="apps.forwarding.tasks.follow_completed_studies", expires=5)
def follow_completed_studies() -> None:
    """Sends complete studies where the rules say; the transfers' own sweep runs them."""
    asked = follow_action()
    if asked:
        logger.info("%d transfers were asked for by forwarding rules", asked)
