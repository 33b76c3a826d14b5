"""Celery shells of storage commitment and the scrub. What they do stands in `actions/`."""

from __future__ import annotations

import logging
from typing import Final

from celery import shared_task
from django.core.cache import cache

from apps.access.principals import system_principal
from apps.commitment.actions import (
    ask_peers as asking,
)
from apps.commitment.actions import (
    deliver_reports as delivery,
)
from apps.commitment.actions import (
    forget_commitments as forgetting,
)
from apps.commitment.actions import (
    scrub_blobs as scrubbing,
)
from apps.commitment.actions import (
    verify_requests as verification,
)
from apps.commitment.selectors import commitment_policy

logger = logging.getLogger(__name__)

_ASKED: Final = "commitment-doorbell"
_ASKED_SECONDS: Final = 5
_SLICE_SECONDS: Final = 20.0
SCRUB_EVERY_SECONDS: Final = 10.0
_SCRUB_SECONDS: Final = 4.0


def request_verification() -> None:
    """Queues `verify_requests`, unless one is queued already. Only a hint: beat asks as well."""
    try:
        if cache.add(_ASKED, 1, timeout=_ASKED_SECONDS):
            verify_requests.apply_async(retry=False)
    except Exception as error:  # noqa: BLE001 - kombu and redis have a dozen; none may pass
        logger.warning("Verification could not be asked for: %s", type(error).__name__)


@shared_task(name="apps.commitment.tasks.verify_requests", expires=30)
def verify_requests() -> None:
    """For a bounded time; then others have the worker for a moment."""
    try:
        cache.delete(_ASKED)
    except Exception as error:  # noqa: BLE001 - as above
        logger.warning("The doorbell could not be silenced: %s", type(error).__name__)
    more = verification.verify_requests(_SLICE_SECONDS)
    delivery.deliver_reports()
    if more:
        request_verification()


@shared_task(name="apps.commitment.tasks.ask_peers", expires=5)
def ask_peers() -> None:
    """Peers are asked for storage commitment of what we sent them."""
    asking.ask_peers()


@shared_task(name="apps.commitment.tasks.scrub_blobs", expires=5)
def scrub_blobs() -> None:
    """Begins the regular check when it is due, and goes on with the one under way."""
    scrubbing.begin_when_due(system_principal("scrub"))
    # Faster while it runs, so that on average it keeps the pace and the worker is free between.
    rate = commitment_policy().scrub_rate * SCRUB_EVERY_SECONDS / _SCRUB_SECONDS
    scrubbing.check_new_blobs(_SCRUB_SECONDS / 2, rate=rate)
    scrubbing.scrub_blobs(_SCRUB_SECONDS / 2, rate=rate)


@shared_task(name="apps.commitment.tasks.forget_commitments", expires=3600)
def forget_commitments() -> None:
    """Old finished requests."""
    forgetting.forget_commitments()
