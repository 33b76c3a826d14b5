"""What the indexer tells the request that waits for an object: a small file in `answers/`.

Only a shortcut past the database, which is the truth: what is not told is asked for there. So an
answer need not survive a loss of power, and one that cannot be written is left out.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable
from typing import Any, Final

from apps.dicom.sop_classes import sop_class
from apps.ingest import spool
from apps.ingest.arrivals import Arrival
from apps.ingest.outcomes import ANSWERS
from apps.ingest.spool import SpoolName
from apps.ingest.verdicts import Quarantine

logger = logging.getLogger(__name__)

_FORGOTTEN_SECONDS: Final = 60.0


def tell(stored: Iterable[Arrival], quarantined: Iterable[tuple[Arrival, Quarantine]]) -> None:
    """Says what became of those for which a request waits. Call it when that is committed.

    What a sender's rule exchanges for the stored instance came by an association: none waits.
    """
    try:
        for arrival in stored:
            if arrival.file.name.waiter.waits:
                _write(arrival.file.name, _stored(arrival))
        for arrival, verdict in quarantined:
            if arrival.file.name.waiter.waits:
                said = {"reason": verdict.reason.value, "explanation": verdict.explanation}
                _write(arrival.file.name, said)
    except OSError as error:
        logger.warning("A waiting request could not be told: %s", os.strerror(error.errno or 0))


def _stored(arrival: Arrival) -> dict[str, Any]:
    get = arrival.attributes.get
    return {
        "resource": sop_class(get("SOPClassUID", "")).resource,
        "study": get("StudyInstanceUID", ""),
        "series": get("SeriesInstanceUID", ""),
        "instance": get("SOPInstanceUID", ""),
        "coerced": arrival.new is not None and arrival.new.amendment is not None,
    }


def _write(name: SpoolName, said: dict[str, Any]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    descriptor = os.open(f"{spool.folder(ANSWERS)}/{name}", flags, 0o640)
    try:
        os.write(descriptor, json.dumps(said).encode())
    finally:
        os.close(descriptor)


def forget_old() -> int:
    """Removes answers of which the request ended without them; how many."""
    removed = 0
    limit = time.time() - _FORGOTTEN_SECONDS
    for path in list(spool.folder(ANSWERS).iterdir()):
        try:
            if path.stat().st_mtime < limit:
                path.unlink()
                removed += 1
        except FileNotFoundError:
            continue
    return removed
