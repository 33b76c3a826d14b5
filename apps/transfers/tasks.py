"""Celery shells of transfers. What they do stands in `running` and in `actions/`."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from apps.transfers.actions.claim_transfer import due
from apps.transfers.models import Transfer
from apps.transfers.running import run_due_transfers

logger = logging.getLogger(__name__)


def request_work() -> None:
    """Asks a worker to look for transfers that are due.

    A dead broker is no error here: the sweep finds what waits.
    """
    try:
        run_transfers.apply_async(retry=False)
    except Exception as error:  # noqa: BLE001 - kombu and redis have a dozen; none may pass
        logger.warning("No worker could be asked for: %s", type(error).__name__)


@shared_task(name="apps.transfers.tasks.run_transfers")
def run_transfers() -> None:
    """Runs what is due. Several may run at once: each claims transfers of its own."""
    run_due_transfers()


@shared_task(name="apps.transfers.tasks.sweep_transfers", expires=5)
def sweep_transfers() -> None:
    """Asks for workers where transfers are due: second attempts, lost messages, dead workers."""
    waiting = Transfer.objects.filter(due(timezone.now())).count()
    for _ in range(min(waiting, 8)):
        request_work()
