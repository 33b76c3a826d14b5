"""What becomes of objects that are about to enter the inbox, where that is certain already.

A request may be answered for such an object before it is indexed. Certain is only the usual thing:
one more instance of a stored series, readable to its end, to which no rule of the house applies.
The indexer's own scan and verdict say so, so what is foretold here is what comes to pass; of
everything else nothing is foretold, and its request waits for the index.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from django.db import Error as DatabaseError
from django.db import connection

from apps.archive.bulk import Question
from apps.dicom.frames import RandomAccess
from apps.dicom.part10 import Provenance
from apps.dicom.passages import PassageMemory
from apps.dicom.reader import InstanceReader
from apps.dicom.scanning import InstanceScan
from apps.ingest import acknowledged
from apps.ingest.house_rules import HouseRules, are_any_laid_down, house_rules
from apps.ingest.known import known_and
from apps.ingest.outcomes import Place
from apps.ingest.pacing import keeps_up
from apps.ingest.verdicts import is_foregone

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

LARGEST_BYTES: Final = 16 << 20
"""Of larger objects the transfer takes so long that waiting for the index adds nothing to speak of;
and their headers, of many thousand frames, are read only once."""
_LONGEST_TEXT: Final = 256
_REMEMBERED: Final = 1024
_series: Final[set[str]] = set()
_memory: Final = PassageMemory()
_reading: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Foreseen:
    """An object as the indexer will see it."""

    scan: InstanceScan
    provenance: Provenance
    first: bool
    """Of its series in this process, as far as that remembers: most likely nothing is certain."""

    @property
    def uid(self) -> str:
        return self.scan.attributes["SOPInstanceUID"]

    @property
    def place(self) -> Place:
        """Where it belongs."""
        get = self.scan.attributes.get
        series = get("SeriesInstanceUID", "")
        return Place("", get("StudyInstanceUID", ""), series, self.uid, coerced=False)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A foreseen object that is written: its file in `writing/`, and that file's number.

    The SHA-256 of its data set may still be in the making; asked for, it is waited for.
    """

    seen: Foreseen
    path: Path
    number: int
    sha256: Callable[[], str]

    @property
    def uid(self) -> str:
        return self.seen.uid


def foresee(source: RandomAccess, provenance: Provenance | None = None) -> Foreseen | None:
    """Scans an object that is complete; None where it is unusual, or cannot be read.

    A provenance is given for one that has no File Meta of ours yet; it will have what its own says.
    """
    try:
        if source.size > LARGEST_BYTES:
            return None
        reader = InstanceReader(source)
        came = provenance or reader.meta.provenance
        if reader.inflated or came is None or reader.meta.warnings:
            return None
        with _reading:
            scan = reader.scan(_memory)
    except Exception as error:  # noqa: BLE001
        # Whatever a hostile file provokes: the indexer meets the same, and says it with a reason.
        logger.debug("Nothing is foretold of an object: %s", type(error).__name__)
        return None
    if any(len(text) > _LONGEST_TEXT for text in scan.attributes.values()):
        return None
    return Foreseen(scan, came, _is_first(scan.attributes.get("SeriesInstanceUID", "")))


def _is_first(series: str) -> bool:
    if series in _series:
        return False
    if len(_series) >= _REMEMBERED:
        _series.clear()
    _series.add(series)
    return True


def foretell(
    objects: Mapping[K, Candidate], *, condition: Question | None = None
) -> dict[K, Place]:
    """The places of those whose fate is certain; they are claimed.

    None is, where the condition is given and has no answer.

    Whoever calls it puts them into the inbox, or withdraws the claims. Nothing is foretold while
    the indexer does not keep up: readers would wait for it in place of the senders.
    """
    if not objects or not keeps_up():
        return {}
    claimed = {
        name: each for name, each in objects.items() if acknowledged.claim(each.uid, each.path)
    }
    certain: dict[K, Place] = {}
    try:
        if claimed:
            certain = _certain(claimed, condition)
    except DatabaseError:
        connection.close_if_unusable_or_obsolete()
    finally:
        for name, each in claimed.items():
            if name not in certain:
                acknowledged.withdraw(each.uid, each.number)
    return certain


def _certain(objects: Mapping[K, Candidate], condition: Question | None) -> dict[K, Place]:
    busy = acknowledged.in_hand(each.uid for each in objects.values())
    asked = are_any_laid_down()
    if condition is not None:
        asked.append(condition)
    known, said = known_and([each.seen.scan.attributes for each in objects.values()], asked)
    if condition is not None and not said.pop():
        return {}
    rules = house_rules() if any(said) else HouseRules()
    certain = {}
    for name, each in objects.items():
        scan, source = each.seen.scan, each.seen.provenance.source_ae_title
        if rules.coercion_for(source) or rules.fallback_character_set(source):
            continue
        sha256 = bytes.fromhex(each.sha256())
        foregone = is_foregone(scan.attributes, sha256, scan.transfer_syntax_uid, known)
        if foregone and each.uid not in busy:
            certain[name] = each.seen.place
    return certain
