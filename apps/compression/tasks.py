"""Celery shells of compression. What they do stands in `actions/`."""

from __future__ import annotations

from typing import Final

from celery import shared_task

from apps.compression.actions import compress_blobs as compressing
from apps.compression.actions import remove_originals as removing

_SECONDS: Final = 3.0


@shared_task(name="apps.compression.tasks.compress_blobs", expires=5)
def compress_blobs() -> None:
    """For a bounded time; then others have the worker for a moment."""
    compressing.compress_blobs(_SECONDS)


@shared_task(name="apps.compression.tasks.remove_originals", expires=30)
def remove_originals() -> None:
    """What compression has put out of use, after its time."""
    removing.remove_originals(_SECONDS)
