"""Event Reports for those who listen over WebSocket: queued, announced, read in order.

The rows are the truth; what goes through Redis is a doorbell, so that nobody has to poll often.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Collection, Iterable
from typing import Final

import redis
from django.conf import settings
from django.db import transaction

from apps.dicom.data_sets import Document
from apps.events.log import commit_in_order
from apps.worklist.models import EventChannel, EventReport

DOORBELL: Final = "pacsweb:event-reports"
"""The Redis channel on which the AE titles that have something waiting are named, as JSON."""

_AT_ONCE: Final = 50
_MOST_TEXT: Final = 256 << 10
_log = logging.getLogger(__name__)


def queue_reports(
    sop_instance_uid: str, events: Iterable[tuple[int, Document]], receivers: Iterable[object]
) -> None:
    """In the caller's transaction: a report for each receiver that listens, or did lately."""
    channels = EventChannel.objects.filter(receiver__in=receivers)
    listening = sorted(set(channels.values_list("receiver", flat=True)))
    rows = [
        EventReport(
            receiver=receiver,
            sop_instance_uid=sop_instance_uid,
            event_type=event_type,
            document=document,
        )
        for event_type, document in events
        for receiver in listening
    ]
    if not rows:
        return
    commit_in_order()
    EventReport.objects.bulk_create(rows)
    transaction.on_commit(functools.partial(announce, listening))


def announce(receivers: Collection[str]) -> None:
    """Rings for those AE titles. Without Redis they hear a little later."""
    try:
        _client().publish(DOORBELL, json.dumps(list(receivers)))
    except (redis.RedisError, OSError):
        _log.warning("Redis does not answer; event reports wait for the next look.")


def reports_after(receiver: str, position: int) -> list[EventReport]:
    """The next reports for the AE title, a bounded number of them and a bounded length."""
    rows = EventReport.objects.filter(receiver=receiver, pk__gt=position).order_by("pk")
    found: list[EventReport] = []
    length = 0
    for row in rows[:_AT_ONCE].iterator(chunk_size=4):
        found.append(row)
        length += len(json.dumps(row.document))
        if length > _MOST_TEXT:
            break
    return found


@functools.cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.PACSWEB.redis_url, socket_timeout=1.0, socket_connect_timeout=1.0
    )
