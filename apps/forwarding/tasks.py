"""Celery shells of forwarding."""

from __future__ import annotations

import logging

from celery import shared_task

from apps.forwarding.actions.follow_completed_studies import (
    follow_completed_studies as follow_action,
)
from apps.forwarding.actions.follow_patients import follow_patients as follow_patients_action
from apps.forwarding.actions.run_prefetch import run_due_prefetches

logger = logging.getLogger(__name__)


@shared_task(name="apps.forwarding.tasks.follow_completed_studies", expires=5)
def follow_completed_studies() -> None:
    """Sends complete studies where the rules say; the transfers' own sweep runs them."""
    asked = follow_action()
    if asked:
        logger.info("%d transfers were asked for by forwarding rules", asked)


@shared_task(name="apps.forwarding.tasks.follow_patients", expires=10)
def follow_patients() -> None:
    """Notes patients whose earlier studies are wanted, and asks the peers for them."""
    follow_patients_action()
    fetched = run_due_prefetches()
    if fetched:
        logger.info("%d earlier studies will be fetched", fetched)
