"""What of the write path runs by the clock; `pacsweb.celery` hands it to beat."""

from __future__ import annotations

from typing import Any, Final

BEAT_SCHEDULE: Final[dict[str, dict[str, Any]]] = {
    "sweep the inbox": {
        "task": "apps.ingest.tasks.sweep_inbox",
        "schedule": 2.0,
        "options": {"expires": 2},
    },
    "complete studies": {
        "task": "apps.ingest.tasks.complete_studies",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "sweep strays": {
        "task": "apps.ingest.tasks.sweep_strays",
        "schedule": 24 * 3600.0,
        "options": {"expires": 3600},
    },
}
