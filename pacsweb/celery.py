"""The Celery application: queues and the clockwork (beat)."""

from __future__ import annotations

import gc
import logging.config
import os
import sys
import warnings
from typing import Any

from celery import Celery, signals
from celery.platforms import SecurityWarning  # type: ignore[attr-defined]

from pacsweb.launch import NAME_VARIABLE, die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacsweb.settings")
# `serve` has just run Django's checks; here they would import every page into every worker.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
# Who runs the product as root has decided so; images run as a user of their own.
warnings.filterwarnings("ignore", category=SecurityWarning)
application = Celery("pacsweb")
application.config_from_object("django.conf:settings", namespace="CELERY")
application.autodiscover_tasks()
# So many uses of a database connection until Celery closes it; otherwise it does before and after
# each task, and the next reads the whole schema again, or signs in again. Django's own rule counts
# here as it does for requests.
application.conf.CELERY_DB_REUSE_MAX = sys.maxsize
# Intervals in seconds. A run that waited too long is dropped (`expires` of the tasks).
application.conf.beat_schedule = {
    "sweep-inbox": {"task": "apps.ingest.tasks.sweep_inbox", "schedule": 2.0},
    "complete-studies": {"task": "apps.ingest.tasks.complete_studies", "schedule": 5.0},
    "follow-completed-studies": {
        "task": "apps.forwarding.tasks.follow_completed_studies",
        "schedule": 5.0,
    },
    "follow-patients": {"task": "apps.forwarding.tasks.follow_patients", "schedule": 10.0},
    "forget-associations": {
        "task": "apps.network.tasks.forget_associations",
        "schedule": 3600.0,
    },
    "deliver-webhooks": {"task": "apps.network.tasks.deliver_webhooks", "schedule": 2.0},
    "record-searches": {"task": "apps.access.tasks.record_searches", "schedule": 5.0},
    "verify-requests": {"task": "apps.commitment.tasks.verify_requests", "schedule": 5.0},
    "ask-peers": {"task": "apps.commitment.tasks.ask_peers", "schedule": 5.0},
    "scrub-blobs": {"task": "apps.commitment.tasks.scrub_blobs", "schedule": 10.0},
    "collect-private-values": {
        "task": "apps.archive.tasks.collect_private_values",
        "schedule": 5.0,
    },
    "compress-blobs": {"task": "apps.compression.tasks.compress_blobs", "schedule": 10.0},
    "remove-originals": {"task": "apps.compression.tasks.remove_originals", "schedule": 60.0},
    "observe-images": {"task": "apps.polarity.tasks.observe_images", "schedule": 5.0},
    "make-thumbnails": {"task": "apps.rendering.tasks.make_thumbnails", "schedule": 5.0},
    "forget-commitments": {"task": "apps.commitment.tasks.forget_commitments", "schedule": 3600.0},
    "follow-events": {"task": "apps.worklist.tasks.follow_events", "schedule": 5.0},
    "announce-images": {"task": "apps.worklist.tasks.announce_images", "schedule": 5.0},
    "reject-wrong-entries": {
        "task": "apps.ingest.tasks.reject_wrong_entries",
        "schedule": 5.0,
    },
    "deliver-workflow": {"task": "apps.worklist.tasks.deliver", "schedule": 5.0},
    "forget-channels": {"task": "apps.worklist.tasks.forget_channels", "schedule": 3600.0},
    "sweep-transfers": {"task": "apps.transfers.tasks.sweep_transfers", "schedule": 5.0},
    "learn-expected-sizes": {
        "task": "apps.ingest.tasks.learn_expected_sizes",
        "schedule": 900.0,
    },
    "sweep-strays": {"task": "apps.ingest.tasks.sweep_strays", "schedule": 3600.0},
}


@signals.setup_logging.connect
def _use_our_logging(**_: Any) -> None:
    """Celery keeps its hands off logging when somebody listens here."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)


@signals.worker_init.connect
def _keep_connections(**_: Any) -> None:
    """A connection that failed or is too old is closed between tasks, every other is kept."""
    from django.db import close_old_connections

    signals.task_prerun.connect(close_old_connections)
    signals.task_postrun.connect(close_old_connections)


@signals.worker_process_init.connect
def _end_with_the_worker(**_: Any) -> None:
    """A pool process whose worker was killed must not go on alone."""
    from apps.network.recorder import PROCESS_RECORDER

    if NAME_VARIABLE in os.environ:
        die_with_parent()
    PROCESS_RECORDER.start()


@signals.worker_ready.connect
def _report_life(**_: Any) -> None:
    from pacsweb.heartbeat import beat_in_background

    # What stands now stands for good; a look through all of it holds a task up for a tenth second.
    gc.collect()
    gc.freeze()
    beat_in_background(os.environ.get(NAME_VARIABLE, "worker"))


@signals.beat_init.connect
def _report_life_of_the_clock(**_: Any) -> None:
    from pacsweb.heartbeat import beat_in_background

    beat_in_background(os.environ.get(NAME_VARIABLE, "beat"))
