"""Celery shells of the write path. What they do stands in `actions/`."""

from __future__ import annotations

import logging
from typing import Final

from celery import shared_task
from django.core.cache import cache

from apps.errors import PacsError
from apps.ingest import acknowledged, spool
from apps.ingest.actions.complete_studies import complete_studies as complete_studies_action
from apps.ingest.actions.drain_inbox import LINGER_SECONDS, drain_inbox
from apps.ingest.actions.learn_expected_sizes import (
    learn_expected_sizes as learn_expected_sizes_action,
)
from apps.ingest.actions.reject_wrong_entries import (
    reject_wrong_entries as reject_wrong_entries_action,
)
from apps.ingest.actions.sweep_strays import sweep_strays as sweep_strays_action
from apps.ingest.answers import forget_old
from apps.ingest.doorbell import awake
from apps.ingest.leftovers import clean_provenance, clean_writing

logger = logging.getLogger(__name__)

_ASKED: Final = "ingest-doorbell"
_ASKED_SECONDS: Final = 5
_DRAIN_SECONDS: Final = 30.0


def request_indexing() -> None:
    """Queues `index_inbox`, unless one is queued already.

    A dead broker is no error here: whoever comes next, or the sweep, finds what waits.
    """
    try:
        if cache.add(_ASKED, 1, timeout=_ASKED_SECONDS):
            index_inbox.apply_async(retry=False)
    except Exception as error:  # noqa: BLE001 - kombu and redis have a dozen; none may pass
        logger.warning("The doorbell could not be rung: %s", type(error).__name__)


def _stop_asking() -> None:
    try:
        cache.delete(_ASKED)
    except Exception as error:  # noqa: BLE001 - as above
        logger.warning("The doorbell could not be silenced: %s", type(error).__name__)


@shared_task(name="apps.ingest.tasks.index_inbox")
def index_inbox() -> None:
    """Works the inbox off, for a bounded time; then lets others have the worker for a moment."""
    _stop_asking()  # whoever rings from now on may have put something behind what we list
    try:
        with awake():
            result = drain_inbox(_DRAIN_SECONDS, linger=LINGER_SECONDS)
    except PacsError as error:
        logger.warning("Indexing waits: %s", error.message)
        return  # the sweep rings again
    if result.stored or result.quarantined:
        logger.info(
            "Indexed %d instances, %d were known, %d quarantined",
            result.stored,
            result.already_stored,
            result.quarantined,
        )
    # Who found us awake did not ring.
    if spool.waiting():
        request_indexing()


@shared_task(name="apps.ingest.tasks.sweep_inbox", expires=2)
def sweep_inbox() -> None:
    """Rings for what waits although nobody rang: after a crash, a flush or an outage."""
    clean_writing()
    clean_provenance()
    forget_old()
    acknowledged.sweep()
    if spool.waiting():
        request_indexing()


@shared_task(name="apps.ingest.tasks.complete_studies", expires=5)
def complete_studies() -> None:
    """Studies that were quiet long enough are complete."""
    complete_studies_action()


@shared_task(name="apps.ingest.tasks.sweep_strays", expires=3600)
def sweep_strays() -> None:
    """Blobs without a row go back to the inbox."""
    taken = sweep_strays_action()
    if taken:
        logger.warning("%d blobs without a row were taken back to the inbox", taken)
        request_indexing()


@shared_task(name="apps.ingest.tasks.learn_expected_sizes", expires=600)
def learn_expected_sizes() -> None:
    """How much each sender usually sends."""
    learn_expected_sizes_action()


@shared_task(name="apps.ingest.tasks.reject_wrong_entries", expires=5)
def reject_wrong_entries() -> None:
    """Images made under a wrong worklist entry leave the archive."""
    while reject_wrong_entries_action():
        pass
