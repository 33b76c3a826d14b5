"""Celery shells of the workflow. What they do stands in `actions/`."""

from __future__ import annotations

import logging

from celery import shared_task

from apps.worklist.actions.announce_images import announce_images as announce_images_action
from apps.worklist.actions.deliver import deliver as deliver_action
from apps.worklist.actions.event_channels import forget_channels as forget_channels_action
from apps.worklist.actions.follow_events import follow_events as follow_events_action

logger = logging.getLogger(__name__)


@shared_task(name="apps.worklist.tasks.follow_events", expires=5)
def follow_events() -> None:
    """Studies that are complete look for their orders."""
    while follow_events_action():
        pass


@shared_task(name="apps.worklist.tasks.announce_images", expires=5)
def announce_images() -> None:
    """Steps whose images are all here are announced."""
    announce_images_action()


@shared_task(name="apps.worklist.tasks.deliver", expires=5)
def deliver() -> None:
    """What other systems are to be told is sent."""
    arrived = deliver_action()
    if arrived:
        logger.info("%d workflow messages reached other systems", arrived)


@shared_task(name="apps.worklist.tasks.forget_channels", expires=60)
def forget_channels() -> None:
    """Event channels nobody comes back to are ended."""
    forget_channels_action()
