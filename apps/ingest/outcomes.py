"""What became of an object that a door handed in, for doors that must say so (STOW-RS)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from django.db.models import Q

from apps.archive.models import CompressedInstance, Instance, NonPatientInstance
from apps.ingest import spool
from apps.ingest.models import QuarantinedInstance
from apps.ingest.spool import SpoolName

# Small batches are settled within milliseconds, and whoever waits for one sends nothing meanwhile.
# How long a look is waited for after so many seconds: most are settled within milliseconds.
_POLLS: Final = ((0.03, 0.0005), (0.25, 0.002), (float("inf"), 0.02))

INSTANCES: Final = "instances"
QUARANTINE: Final = "quarantine"
ANSWERS: Final = "answers"
"""The inbox's folder of `apps.ingest.answers`."""


def used_keys(keys: Iterable[str]) -> set[str]:
    """Those of the blob keys that some row points to."""
    asked = list(keys)
    used: set[str] = set()
    for model in (Instance, NonPatientInstance, QuarantinedInstance):
        used.update(model.objects.filter(blob_key__in=asked).values_list("blob_key", flat=True))
    return used | _kept_beside(asked)


def _kept_beside(keys: list[str]) -> set[str]:
    """Those that lie beside the blob in use: originals of compressed ones, or ones being made."""
    kept = CompressedInstance.objects.filter(
        Q(state=CompressedInstance.State.MAKING) | Q(removal_due_at__isnull=False)
    )
    found: set[str] = set()
    for column in ("blob_key", "original_blob_key"):
        found.update(kept.filter(**{f"{column}__in": keys}).values_list(column, flat=True))
    return found


class Fate(Enum):
    """Where an object stands."""

    STORED = "stored"
    QUARANTINED = "quarantined"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stored instance belongs; of those of no patient only `resource` and `instance`."""

    resource: str
    study: str
    series: str
    instance: str
    coerced: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one object; `reason` and `explanation` are set for quarantined ones.

    `place` is set where the indexer told it; else the database knows.
    """

    fate: Fate
    reason: str = ""
    explanation: str = ""
    place: Place | None = None


def outcome_of(inbox_names: Iterable[str], timeout: float) -> dict[str, Outcome]:
    """Waits until all the names are settled, `timeout` seconds at most; one outcome per name.

    Names still waiting after the time are WAITING: they are safe, and will be indexed.
    """
    names = list(inbox_names)
    began = time.monotonic()
    # The inbox is worked off in order: whoever waits for the last one asks the disk least.
    waiting = {name for name in reversed(names) if not _settled(name, began, timeout)}
    outcomes = {
        name: said for name in names if name not in waiting and (said := _told(name)) is not None
    }
    untold = [name for name in names if name not in waiting and name not in outcomes]
    if untold:
        outcomes |= _outcomes([SpoolName.parse(name) for name in untold])
    return {name: outcomes.get(name, Outcome(Fate.WAITING)) for name in names}


def _settled(name: str, began: float, timeout: float) -> bool:
    """Waits for one name until `timeout` seconds after `began`; False while it still waits."""
    while spool.is_waiting(name):
        waited = time.monotonic() - began
        if waited >= timeout:
            return False
        time.sleep(next(pause for until, pause in _POLLS if waited < until))
    return True


def _told(name: str) -> Outcome | None:
    """What the indexer said of a settled file; to be read once."""
    path = f"{spool.folder(ANSWERS)}/{name}"
    try:
        with open(path, "rb") as answer:  # noqa: PTH123 - a Path for each takes as long again
            said: dict[str, Any] = json.loads(answer.read())
        os.unlink(path)  # noqa: PTH108 - as above
        if "reason" in said:
            return Outcome(Fate.QUARANTINED, **said)
        return Outcome(Fate.STORED, place=Place(**said))
    except (OSError, ValueError, TypeError):
        return None  # none was left, or not all of it: the database says the same


def _outcomes(settled: list[SpoolName]) -> dict[str, Outcome]:
    """Three queries. Settled without a trace of its own means: these bytes were stored before."""
    key_of = {str(name): name.blob_key(INSTANCES) for name in settled}
    indexed = {
        key
        for model in (Instance, NonPatientInstance)
        for key in model.objects.filter(blob_key__in=list(key_of.values())).values_list(
            "blob_key", flat=True
        )
    }
    quarantined = {
        bytes(row.sha256).hex(): Outcome(Fate.QUARANTINED, row.reason, row.explanation)
        for row in QuarantinedInstance.objects.filter(
            sha256__in=[bytes.fromhex(name.dataset_sha256) for name in settled]
        ).exclude(state__in=[QuarantinedInstance.State.REPLACED, QuarantinedInstance.State.RETRIED])
    }
    stored = Outcome(Fate.STORED)
    return {
        str(name): stored
        if key_of[str(name)] in indexed
        else quarantined.get(name.dataset_sha256, stored)
        for name in settled
    }
