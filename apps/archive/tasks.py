"""Celery shells of the archive. What they do stands in `actions/`."""

from __future__ import annotations

from celery import shared_task

from apps.archive.actions import collect_private_values as collecting

_SECONDS = 2.0


@shared_task(name="apps.archive.tasks.collect_private_values", expires=5)
def collect_private_values() -> None:
    """For a bounded time; then others have the worker for a moment."""
    collecting.collect_private_values(_SECONDS)
