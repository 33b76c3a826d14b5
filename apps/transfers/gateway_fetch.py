"""What is asked for of another archive is fetched first, once for all who ask, and then served.

It is kept here like everything that is fetched: only of archives whose administrator chose that.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.utils import timezone

from apps.access.principals import Principal
from apps.archive.models import Instance
from apps.dicom import uids
from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.query import Level
from apps.errors import NotFound, NotPermitted, PacsError, Unavailable
from apps.network import scu
from apps.network.associate_items import Remote
from apps.network.models import ApplicationEntity
from apps.network.peer_errors import PeerUnreachable
from apps.transfers.actions.request_transfer import fetch_once
from apps.transfers.gateway_keys import is_below
from apps.transfers.gateway_peers import address_of, as_refusal
from apps.transfers.models import ENDED, Transfer
from apps.transfers.tasks import request_work

WAIT_SECONDS: Final = 20.0
"""So long a request waits; what comes later is had by asking again."""
_AT_ONCE: Final = 4  # of the threads of each web process
# Of an answer that has begun: longer than what was set aside takes to be known as such.
_PATIENCE_SECONDS: Final = 40.0
_LOOK_SECONDS: Final = 0.1
_LOOK_SECONDS_EACH: Final = 1e-4
_COMPLETE_SECONDS: Final = 60.0
_MOST_REMEMBERED: Final = 2048
# What has arrived is indexed by then, or was set aside.
_INDEXED_WITHIN: Final = timedelta(seconds=30)
# Nobody asks again so soon for what the peer has just sent, or failed to send.
_NOT_AGAIN_WITHIN: Final = timedelta(minutes=2)
_FAILED_WITHIN: Final = timedelta(seconds=20)
_MOST_SERIES: Final = 2_000
_MOST_INSTANCES: Final = 65_535
_CHUNK: Final = 500
_STUDY: Final = BY_KEYWORD["StudyInstanceUID"].tag
_SERIES: Final = BY_KEYWORD["SeriesInstanceUID"].tag
_INSTANCE: Final = BY_KEYWORD["SOPInstanceUID"].tag

_places = threading.BoundedSemaphore(_AT_ONCE)


class NotFetched(PacsError):
    """The other archive did not send what it says it has."""


class StillComing(Unavailable):
    """It is on its way; asking again a little later finds more of it here."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A study, a series or an instance of a peer's."""

    study: str
    series: str | None = None
    instance: str | None = None

    @property
    def keys(self) -> dict[str, str]:
        """Of the retrieval that brings it: with an instance comes its series."""
        keys = {"StudyInstanceUID": self.study}
        return keys if self.series is None else {**keys, "SeriesInstanceUID": self.series}

    @property
    def level(self) -> Level:
        """The level of that retrieval."""
        return Level.STUDY if self.series is None else Level.SERIES


def bring_here(principal: Principal, peer: ApplicationEntity, wanted: Wanted) -> int:
    """Returns once it is here: all of it, or of a single instance that one.

    The number is of those the peer has sent, or failed to send, and that are not here: set aside,
    or refused. Raises NotPermitted, NotFound, NotFetched, StillComing, Unavailable,
    PeerUnreachable, AssociationRejected, PeerRefused.
    """
    _check_open(peer)
    if _is_here(wanted) or _complete.holds(peer, wanted):
        return 0
    until = time.monotonic() + WAIT_SECONDS
    _take_place()
    try:
        transfer, lacking = _begun(principal, peer, wanted, until)
        for came in _arrivals(transfer, lacking, until):
            lacking -= came
    finally:
        _places.release()
    if not lacking:
        _complete.add(peer, wanted)
    return len(lacking)


class Coming:
    """Instances of a study or series on their way, as they get here.

    Holds one of the few places of those who wait until `close()`, or until nothing is waited for.
    """

    def __init__(self, principal: Principal, peer: ApplicationEntity, wanted: Wanted) -> None:
        """Returns once one of them is here at least. Raises what `bring_here` raises."""
        _check_open(peer)
        self._peer, self._wanted = peer, wanted
        self._lacking: set[str] = set()
        self._transfer: Transfer | None = None
        self._holds_place = False
        if _complete.holds(peer, wanted):
            return
        until = time.monotonic() + WAIT_SECONDS
        _take_place()
        self._holds_place = True
        try:
            self._transfer, self._lacking = _begun(principal, peer, wanted, until)
            self.short = self._await_first(until)
        except BaseException:
            self.close()
            raise

    short = 0
    """How many will not come, as far as that is known before the first is sent."""

    def _await_first(self, until: float) -> int:
        """How many will not come, where nothing is to be waited for any more."""
        transfer = self._transfer
        # What has failed is said by a status, not by an answer that breaks off.
        comes = transfer is not None and not _has_ended(transfer) and transfer.state not in ENDED
        if comes and self._any_here():
            return 0
        for came in _arrivals(self._transfer, self._lacking, until):
            self._lacking -= came
            if came and self._lacking:
                return 0
        short, self._lacking = len(self._lacking), set()
        self._finish(complete=not short)
        return short

    def _any_here(self) -> bool:
        rows = Instance.objects.filter(study__study_instance_uid=self._wanted.study)
        if self._wanted.series is not None:
            rows = rows.filter(series__series_instance_uid=self._wanted.series)
        return rows.exists()

    def __iter__(self) -> Iterator[set[str]]:
        """SOP Instance UIDs that have come since; an empty set while nothing has.

        Raises NotFetched when some of them will not come, StillComing when nothing has come for a
        long while.
        """
        lacking = self._lacking
        if not lacking:
            return
        try:
            for came in _arrivals(self._transfer, lacking, None):
                lacking -= came
                yield came
            if lacking:
                raise NotFetched(f"{len(lacking)} instances did not come.")
            self._finish(complete=True)
        finally:
            self.close()

    def _finish(self, *, complete: bool) -> None:
        if complete:
            _complete.add(self._peer, self._wanted)
        self.close()

    def close(self) -> None:
        """Gives the place back, once; whoever iterates is through or gone."""
        if self._holds_place:
            self._holds_place = False
            _places.release()


def _check_open(peer: ApplicationEntity) -> None:
    if peer.gateway != ApplicationEntity.Gateway.KEEP:
        raise NotPermitted(f"{peer.title} is open for searches only: nothing is fetched from it.")


def _take_place() -> None:
    if not _places.acquire(blocking=False):
        raise StillComing("Too many wait for other archives: ask again in a moment.")


class _Complete:
    """What of which peer was complete here a moment ago: no need to ask it at every request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: OrderedDict[tuple[int, Wanted], float] = OrderedDict()

    def holds(self, peer: ApplicationEntity, wanted: Wanted) -> bool:
        with self._lock:
            return self._until.get((peer.pk, wanted), 0.0) > time.monotonic()

    def add(self, peer: ApplicationEntity, wanted: Wanted) -> None:
        with self._lock:
            self._until[peer.pk, wanted] = time.monotonic() + _COMPLETE_SECONDS
            while len(self._until) > _MOST_REMEMBERED:
                self._until.popitem(last=False)


_complete = _Complete()


def _is_here(wanted: Wanted) -> bool:
    return wanted.instance is not None and (
        Instance.objects.filter(
            study__study_instance_uid=wanted.study,
            series__series_instance_uid=wanted.series,
            sop_instance_uid=wanted.instance,
        ).exists()
    )


def _begun(
    principal: Principal, peer: ApplicationEntity, wanted: Wanted, until: float
) -> tuple[Transfer | None, set[str]]:
    """The transfer that brings what is not here, and that; no transfer where all is here."""
    with as_refusal():
        there = set(_there(address_of(peer), wanted, until))
    if not there:
        raise NotFound(f"{peer.title} has no such study, series or instance.")
    lacking = _not_here(there)
    if not lacking:
        return None, lacking
    transfer = _recent(peer, wanted)
    if transfer is None:
        transfer = fetch_once(principal, peer=peer, level=wanted.level.value, keys=wanted.keys)
        request_work()
    return transfer, lacking


def _there(remote: Remote, wanted: Wanted, until: float) -> Iterator[str]:
    """SOP Instance UIDs the peer has of it."""
    named = (wanted.study, wanted.series, wanted.instance)
    if not all(uids.is_valid(each) for each in named if each is not None):
        raise NotFound("There is no such study, series or instance.")

    def found(level: Level, keys: dict[int, str], tag: int, most: int) -> list[str]:
        answers = scu.find(
            remote, level.value, {tag: "", **keys}, most, lambda: time.monotonic() > until
        )
        told = [answer.texts.get(tag, "") for answer in answers if is_below(answer.texts, keys)]
        if time.monotonic() > until:
            raise PeerUnreachable(f"{remote.title} has not said in time what it has.")
        return [uid for uid in told if uids.is_valid(uid)]

    series = [wanted.series] if wanted.series else None
    if series is None:
        series = found(Level.SERIES, {_STUDY: wanted.study}, _SERIES, _MOST_SERIES)
    for each in series:
        keys = {_STUDY: wanted.study, _SERIES: each}
        if wanted.instance:
            keys[_INSTANCE] = wanted.instance
        yield from found(Level.INSTANCE, keys, _INSTANCE, _MOST_INSTANCES)


def _not_here(there: Collection[str]) -> set[str]:
    lacking = set(there)
    asked = sorted(there)
    for start in range(0, len(asked), _CHUNK):
        rows = Instance.objects.filter(sop_instance_uid__in=asked[start : start + _CHUNK])
        lacking -= set(rows.values_list("sop_instance_uid", flat=True))
    return lacking


def _recent(peer: ApplicationEntity, wanted: Wanted) -> Transfer | None:
    """One that has just ended and brought all it will bring. Raises NotFetched where it failed."""
    rows = Transfer.objects.filter(
        peer=peer,
        kind=Transfer.Kind.PULL,
        level=wanted.level.value,
        ended_at__gte=timezone.now() - _NOT_AGAIN_WITHIN,
    )
    latest = next((row for row in rows if row.keys == wanted.keys), None)
    if latest is None or latest.state == Transfer.State.CANCELLED:
        return None
    if latest.state == Transfer.State.FAILED and _age(latest) > _FAILED_WITHIN:
        return None
    return latest


def _arrivals(
    transfer: Transfer | None, lacking: Collection[str], until: float | None
) -> Iterator[set[str]]:
    """What has come since the last look, empty sets included; ends when no more will come.

    Without `until` the patience begins anew with whatever comes. Raises NotFetched, StillComing.
    """
    left = set(lacking)
    deadline = until or time.monotonic() + _PATIENCE_SECONDS
    while left and transfer is not None:
        came = left - _not_here(left)
        left -= came
        yield came
        if came:
            deadline = until or time.monotonic() + _PATIENCE_SECONDS
            continue
        if _has_ended(transfer):
            return
        if time.monotonic() > deadline:
            raise StillComing(
                f"{len(left)} instances are still on their way from {transfer.peer_title}: "
                "ask again in a moment."
            )
        # Each look asks for all of them.
        time.sleep(_LOOK_SECONDS + len(left) * _LOOK_SECONDS_EACH)


def _has_ended(transfer: Transfer) -> bool:
    """With all it brought indexed. Raises NotFetched for one that failed."""
    transfer.refresh_from_db()
    if transfer.state in {Transfer.State.FAILED, Transfer.State.CANCELLED}:
        raise NotFetched(transfer.message or "The transfer was cancelled.")
    if transfer.state == Transfer.State.WAITING and transfer.message:
        raise NotFetched(f"{transfer.message} It is tried again later.")
    return transfer.state in ENDED and _age(transfer) > _INDEXED_WITHIN


def _age(transfer: Transfer) -> timedelta:
    """Since it ended."""
    return timezone.now() - transfer.ended_at if transfer.ended_at else timedelta()
