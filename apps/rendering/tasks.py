"""Celery shells of rendering. What they do stands in `actions/`."""

from __future__ import annotations

import logging

from celery import shared_task

from apps.rendering.actions.make_thumbnails import make_thumbnails as make_action

logger = logging.getLogger(__name__)


@shared_task(name="apps.rendering.tasks.make_thumbnails", expires=5)
def make_thumbnails() -> None:
    """The pictures of complete studies that lists will ask for."""
    made = make_action()
    if made:
        logger.info("%d thumbnails were made", made)
