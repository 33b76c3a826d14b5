"""When a study counts as complete: nobody tells a PACS, so quiet has to do."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from apps.ingest import spool
from apps.ingest.models import IngestPolicy


def quiet_since() -> datetime:
    """Studies of which nothing was received after this moment are complete.

    What still waits in the inbox may belong to any study, so a study is judged by the oldest
    waiting file's time and not by the clock: a backlog completes nothing too early.
    """
    policy = IngestPolicy.objects.filter(pk=1).first() or IngestPolicy()
    until = timezone.now()
    waiting = spool.waiting()
    if waiting:
        until = min(until, waiting[0].received_at)
    return until - timedelta(seconds=policy.study_quiet_seconds)
