"""deliver_webhooks: each webhook is told what happened since it was told last, in order.

A sequence number per webhook is all there is to remember: nothing is lost by a crash, and what was
delivered right before one is delivered once more. Receivers know by the sequence numbers.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from apps.events.log import feed
from apps.network.models import Webhook
from apps.network.webhooks import CHANGES, DeliveryFailed, call

_AT_ONCE: Final = 100
_SHORTEST_PAUSE: Final = 5
_LONGEST_PAUSE: Final = 3600
_MOST_CALLS: Final = 20
_LONGEST_TURN: Final = 10.0
"""Seconds after which a slow receiver lets the others be told."""


def deliver_webhooks() -> int:
    """How many events were delivered. A receiver that fails waits ever longer, up to an hour."""
    delivered = 0
    due = Webhook.objects.filter(enabled=True, next_attempt_at__lte=timezone.now())
    for key in list(due.order_by("next_attempt_at").values_list("pk", flat=True)):
        began = time.monotonic()
        for _ in range(_MOST_CALLS):
            count = _deliver(key)
            delivered += count
            if count < _AT_ONCE or time.monotonic() - began > _LONGEST_TURN:
                break
    return delivered


def _deliver(key: int) -> int:
    webhook = Webhook.objects.filter(pk=key, enabled=True).first()
    if webhook is None:
        return 0
    events = feed(webhook.last_sequence, kinds=webhook.wanted(CHANGES), limit=_AT_ONCE)
    if not events:
        return 0
    failure = ""
    try:
        call(webhook.url, webhook.secret, events)
    except DeliveryFailed as error:
        failure = str(error)
    with transaction.atomic():
        row = Webhook.objects.select_for_update().get(pk=key)
        if failure:
            row.failures += 1
            pause = min(_SHORTEST_PAUSE * 2 ** min(row.failures - 1, 16), _LONGEST_PAUSE)
            row.next_attempt_at = timezone.now() + timedelta(seconds=pause)
        else:
            row.failures, row.delivered_at = 0, timezone.now()
            row.last_sequence = max(row.last_sequence, events[-1].sequence)
        row.last_error = failure
        row.save(
            update_fields=[
                "failures",
                "next_attempt_at",
                "delivered_at",
                "last_sequence",
                "last_error",
            ]
        )
    return 0 if failure else len(events)
