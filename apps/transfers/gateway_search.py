"""A search like one of our own archive, answered by another one over C-FIND (PS3.4 C.4.1)."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

from apps.access.principals import Principal
from apps.access.searches import note_search
from apps.archive.selected import Match
from apps.dicom import uids
from apps.dicom.attributes import BY_TAG, Attribute, any_attribute
from apps.dicom.criteria import Criterion
from apps.dicom.identifiers import Identifier
from apps.dicom.matching import Record, matches
from apps.dicom.query import Level, Query
from apps.dicom.values import normalise
from apps.errors import PacsError, Unavailable
from apps.network import scu
from apps.network.associate_items import Remote
from apps.network.models import ApplicationEntity
from apps.network.peer_errors import PeerUnreachable
from apps.transfers.gateway_keys import BY_TAG_OF, LEVELS, LevelKeys, is_below, keys_by_level
from apps.transfers.gateway_peers import address_of, as_refusal

LARGEST_PAGE: Final = 1_000
PATIENCE_SECONDS: Final = 25.0
_AT_ONCE: Final = 3  # of the threads of each web process
_ENDLESS: Final = 1 << 31
_AVAILABILITY: Final = 0x00080056
_AVAILABILITIES: Final = frozenset({"ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE"})
_NAMES: Final = {Level.STUDY: "studies", Level.SERIES: "series", Level.INSTANCE: "instances"}

_places = threading.BoundedSemaphore(_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Answers:
    """One page. `more`: there is at least one answer behind it.

    `unchecked` are keywords of keys that some answers have no value for: the peer does not know
    these optional keys, so such an answer may not match.
    """

    matches: list[Match]
    more: bool
    unchecked: tuple[str, ...]


def search_gateway(
    principal: Principal,
    peer: ApplicationEntity,
    query: Query,
    said: Mapping[str, str],
    named: Collection[Level] = (),
) -> Answers:
    """The page of answers, in the peer's order; noted as an event like any search.

    `named` are the levels whose entity the caller knows already. The caller has made sure that the
    principal may ask. Raises InvalidRequest, Unavailable, PeerUnreachable, AssociationRejected,
    PeerRefused.
    """
    walk = _Walk(address_of(peer), query, named)
    note_search(principal, f"{_NAMES[query.level]} at {peer.title}", said)
    if not _places.acquire(blocking=False):
        raise Unavailable("Too many searches in other archives are under way: wait a moment.")
    try:
        with as_refusal():
            return walk.answers()
    finally:
        _places.release()


@dataclass(frozen=True, slots=True)
class _Criteria:
    criteria: tuple[tuple[Attribute, Criterion], ...]


class _Walk:
    """Level by level, as far down as asked, and only until there is enough."""

    def __init__(self, remote: Remote, query: Query, named: Collection[Level]) -> None:
        self._remote = remote
        self._query = query
        self._named = named
        self._keys = keys_by_level(query)
        self._until = time.monotonic() + PATIENCE_SECONDS
        self._enough = False
        self._unchecked: set[str] = set()

    def answers(self) -> Answers:
        limit = LARGEST_PAGE if self._query.limit is None else self._query.limit
        first, last = self._query.offset, self._query.offset + min(limit, LARGEST_PAGE)
        found = self._below(0, {})
        page = list(islice(found, first, last + 1))
        self._enough = len(page) > last - first
        # Whoever is still answering hears a C-CANCEL; what goes wrong now takes nothing away.
        with suppress(PacsError) if self._enough else nullcontext():
            next(found, None)
        if not self._enough and time.monotonic() > self._until:
            raise PeerUnreachable(
                f"{self._remote.title} has not ended the search in time: ask for less."
            )
        made = [Match(self._query.level, 0, each, {}) for each in page[: last - first]]
        return Answers(made, self._enough, tuple(sorted(self._unchecked)))

    def _stopped(self) -> bool:
        return self._enough or time.monotonic() > self._until

    def _below(self, place: int, known: dict[int, str]) -> Iterator[dict[int, str]]:
        """Answers of the query's level below what is `known` of the levels above."""
        level = LEVELS[place]
        keys = self._keys[level]
        last = level is self._query.level
        if not last and self._is_known(level, keys):
            yield from self._below(place + 1, {**known, keys.unique: keys.only_unique})
            return
        for values in self._found(level, keys, known):
            if last:
                yield {**known, **values}
            else:
                yield from self._below(place + 1, {**known, **values})

    def _is_known(self, level: Level, keys: LevelKeys) -> bool:
        """True where the level's own attributes were neither asked by nor asked for."""
        wanted = self._query.include_all or bool(self._query.include & keys.returned)
        return level in self._named and bool(keys.only_unique) and not wanted

    def _found(
        self, level: Level, keys: LevelKeys, known: Mapping[int, str]
    ) -> Iterator[dict[int, str]]:
        above = {BY_TAG_OF[each]: known[BY_TAG_OF[each]] for each in LEVELS[: LEVELS.index(level)]}
        asked = {_AVAILABILITY: "", **keys.identifier, **above}
        for identifier in scu.find(self._remote, level.value, asked, _ENDLESS, self._stopped):
            values = _values(identifier, keys)
            usable = uids.is_valid(values[keys.unique]) and is_below(identifier.texts, above)
            if usable and self._agrees(level, keys, values):
                yield values

    def _agrees(self, level: Level, keys: LevelKeys, values: Mapping[int, str]) -> bool:
        """The peer may have ignored keys, which widens its answers."""
        checked = []
        for attribute, criterion in keys.criteria:
            if values.get(attribute.tag):
                checked.append((attribute, criterion))
            elif attribute.ps3_4 == "O":
                self._unchecked.add(attribute.keyword)
            else:
                return False
        by_keyword = {BY_TAG[tag].keyword: text for tag, text in values.items() if tag in BY_TAG}
        return matches(_Criteria(tuple(checked)), Record(level.entity, by_keyword))


def _values(identifier: Identifier, keys: LevelKeys) -> dict[int, str]:
    """What was asked for of an answer, normalised; nothing else of it goes on."""
    values = {}
    for tag in keys.identifier:
        attribute = any_attribute(tag)
        vr = attribute.vr if attribute else ""
        values[tag] = normalise(vr, identifier.texts.get(tag, ""))
    availability = identifier.texts.get(_AVAILABILITY, "").strip()
    values[_AVAILABILITY] = availability if availability in _AVAILABILITIES else "NEARLINE"
    return values
