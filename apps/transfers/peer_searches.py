"""Searches in other archives for people who wait at a screen: begun, followed, given up.

A slow archive must not hold a thread that serves pages. So a search runs in a thread of its own,
writes what it hears into Redis, and whichever web process is asked next reads it from there.
"""

from __future__ import annotations

import functools
import json
import logging
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import redis
from django.conf import settings
from django.db import connections

from apps.access.principals import Permission, Principal, permit
from apps.access.searches import note_search
from apps.archive.study_list import StudyListFilter
from apps.dicom import uids
from apps.dicom.query import Level
from apps.errors import NotFound, PacsError, Unavailable
from apps.network.models import ApplicationEntity, WebArchive
from apps.transfers.remote_queries import RemoteQueries, remote_queries
from apps.transfers.searched import Searched, searched

logger = logging.getLogger(__name__)

MOST_ANSWERS: Final = 500
PATIENCE_SECONDS: Final = 120.0
_KEPT_SECONDS: Final = 900
_AT_ONCE: Final = 12  # in each web process
_WRITE_SECONDS: Final = 0.3
# Longer than it takes to find out that nobody answers an association request.
_LOST_SECONDS: Final = 45.0
_LONGEST_TEXT: Final = 256  # a hostile peer must not fill Redis
_PAGE: Final = 200
_KEY: Final = "pacsweb:peer-search:"

_places = threading.BoundedSemaphore(_AT_ONCE)


class State(Enum):
    """Where a search stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Found:
    """Answers of a search from some place on, and how it stands.

    `more`: the peer had more than were asked for. `unusable`: answers left out because they name
    no study.
    """

    state: State
    message: str
    answers: tuple[dict[str, str], ...]
    next: int
    more: bool
    unusable: int


def begin_search(
    principal: Principal,
    other: ApplicationEntity | WebArchive,
    filters: StudyListFilter,
    most: int,
) -> str:
    """Asks the other archive from now on; the search's name. It is an event like any other.

    Raises NotPermitted, InvalidRequest, NotAcceptable, Unavailable.
    """
    permit(principal, Permission.TRANSFER_STUDIES)
    queries, source = remote_queries(filters), searched(other)
    asked = {name: _text(getattr(filters, name)) for name in filters.active}
    note_search(principal, f"studies at {source.title}", asked)
    if not _places.acquire(blocking=False):
        raise Unavailable("Too many searches in other archives are under way: wait a moment.")
    try:
        search = _Search(secrets.token_urlsafe(18))
        search.create(principal)
        threading.Thread(
            target=_run, args=(search, source, queries, most), name="peer-search", daemon=True
        ).start()
    except BaseException:
        _places.release()
        raise
    return search.name


def search_page(principal: Principal, name: str, after: int) -> Found:
    """What has come since place `after`. Raises NotFound, also for somebody else's search."""
    return _own(principal, name).page(after)


def give_up_search(principal: Principal, name: str) -> None:
    """The peer is told to stop, at its next answer or a second later. Raises NotFound."""
    _own(principal, name).write(cancelled="1")


def _text(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else "\\".join(value)


def _own(principal: Principal, name: str) -> _Search:
    permit(principal, Permission.TRANSFER_STUDIES)
    search = _Search(name)
    if search.read().get("owner") != _owner(principal):
        raise NotFound("There is no such search, or it is over for long.")
    return search


def _owner(principal: Principal) -> str:
    return f"{principal.kind.value} {principal.name}"


class _Search:
    """One search as Redis keeps it: how it stands, and its answers in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._key = f"{_KEY}{name[:64]}"
        self._answers = f"{self._key}:answers"

    def create(self, principal: Principal) -> None:
        self.write(owner=_owner(principal), state=State.RUNNING.value)

    def write(self, **fields: str) -> None:
        with _answering():
            pipe = _client().pipeline()
            values: dict[Any, Any] = {**fields, "beat": str(time.time())}
            pipe.hset(self._key, mapping=values)
            pipe.expire(self._key, _KEPT_SECONDS)
            pipe.execute()

    def add(self, answers: list[dict[str, str]]) -> bool:
        """Writes answers down and that the search lives; True when it has been given up."""
        with _answering():
            pipe = _client().pipeline()
            pipe.hset(self._key, "beat", str(time.time()))
            if answers:
                pipe.rpush(self._answers, *(json.dumps(each) for each in answers))
                pipe.expire(self._answers, _KEPT_SECONDS)
            pipe.hget(self._key, "cancelled")
            return bool(pipe.execute()[-1])

    def read(self) -> dict[str, str]:
        with _answering():
            raw: Any = _client().hgetall(self._key)
            return {name.decode(): value.decode() for name, value in raw.items()}

    def page(self, after: int) -> Found:
        standing = self.read()
        with _answering():
            raw: Any = _client().lrange(self._answers, after, after + _PAGE - 1)
        rows = tuple(json.loads(each) for each in raw)
        state = State(standing.get("state", State.FAILED.value))
        message, silent = standing.get("message", ""), time.time() - float(standing.get("beat", 0))
        if state is State.RUNNING and silent > _LOST_SECONDS:
            state, message = State.FAILED, "The search was interrupted: ask again."
        if len(rows) == _PAGE:
            state = State.RUNNING  # there are more to fetch, whatever the peer does
        more, unusable = bool(standing.get("more")), int(standing.get("unusable", "0"))
        return Found(state, message, rows, after + len(rows), more, unusable)


def _run(search: _Search, source: Searched, queries: RemoteQueries, most: int) -> None:
    try:
        _Run(search, source, most).through(queries)
    except PacsError as error:
        _end(search, State.FAILED, error.message)
    except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
        # A traceback could carry what was asked for into the log.
        logger.error("A search in another archive failed (%s)", type(error).__name__)  # noqa: TRY400
        _end(
            search, State.FAILED, "The search failed here: an administrator finds more in the log."
        )
    finally:
        source.close()
        _places.release()
        connections.close_all()


def _end(search: _Search, state: State, message: str = "", **fields: str) -> None:
    try:
        search.write(state=state.value, message=message, **fields)
    except Unavailable:
        logger.warning("Redis does not answer; a search ends unheard.")


class _Run:
    """One search under way: several queries, each study once, at most so many."""

    def __init__(self, search: _Search, source: Searched, most: int) -> None:
        self._search, self._source = search, source
        self._most = min(max(most, 1), MOST_ANSWERS)
        self._until = time.monotonic() + PATIENCE_SECONDS
        self._waiting: list[dict[str, str]] = []
        self._written = 0.0
        self._known: set[str] = set()
        self._unusable = 0
        self._given_up = False

    def through(self, queries: RemoteQueries) -> None:
        """All of them, or until nobody waits. Raises what the source raises, and Unavailable."""
        try:
            more = self._ask(queries)
        finally:
            self._stopped(now=True)  # what came before a failure is shown
        if time.monotonic() > self._until:
            raise Unavailable(f"{self._source.title} has not ended the search in 2 minutes.")
        state = State.CANCELLED if self._given_up else State.DONE
        _end(self._search, state, more="1" if more else "", unusable=str(self._unusable))

    def _ask(self, queries: RemoteQueries) -> bool:
        """True where the peer has more than are wanted."""
        more = False
        for keys in queries.queries:
            for answer in self._answers(keys):
                if len(self._known) >= self._most and answer["StudyInstanceUID"] not in self._known:
                    more = True  # the rest is not wanted, and the peer has been told so
                else:
                    self._take(answer)
            if more or self._given_up:
                break
        return more

    def _answers(self, keys: Mapping[str, str]) -> Iterator[dict[str, str]]:
        for answer in self._source.answers(Level.STUDY, keys, self._most + 1, self._stopped):
            short = {name: text[:_LONGEST_TEXT] for name, text in answer.items()}
            if uids.is_valid(short.get("StudyInstanceUID", "")):
                yield short
            else:
                self._unusable += 1

    def _take(self, answer: dict[str, str]) -> None:
        if answer["StudyInstanceUID"] not in self._known:
            self._known.add(answer["StudyInstanceUID"])
            self._waiting.append(answer)

    def _stopped(self, *, now: bool = False) -> bool:
        """Writes what has come, a few times a second; True when nobody waits any more."""
        if now or time.monotonic() - self._written > _WRITE_SECONDS:
            self._written = time.monotonic()
            answers, self._waiting = self._waiting, []
            self._given_up = self._search.add(answers)
        return self._given_up or time.monotonic() > self._until


@contextmanager
def _answering() -> Iterator[None]:
    """Redis that is away is a sentence."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise Unavailable("Redis does not answer: other archives cannot be searched.") from error


@functools.cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.PACSWEB.redis_url, socket_timeout=2.0)
