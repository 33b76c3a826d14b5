"""Fetches from an archive that speaks DICOMweb (WADO-RS, PS3.18 10.4), counted by its own list.

First the archive is asked which instances it has (QIDO-RS); those that are not here are listed in
the transfer. Then they are asked for in as few requests as there can be, and once more one by one
where an answer broke off or left some out. Each is settled when its bytes are durable in the inbox.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from enum import IntEnum
from http import HTTPStatus
from typing import Final

from apps.dicom.part_uids import Uids
from apps.dicom.query import Level
from apps.dicom.sub_operations import PEER_ENDED, SUCCESS
from apps.errors import NotAcceptable, NotFound, PacsError, Unavailable
from apps.ingest import inbox
from apps.network.peer_errors import PeerUnreachable
from apps.network.scu import PeerRefused
from apps.network.web_archive import WebArchive
from apps.network.web_client import WebSession
from apps.transfers.actions.list_instances import Listed, list_instances
from apps.transfers.actions.note_progress import Outcome, note_outcomes
from apps.transfers.models import Transfer
from apps.transfers.remote import MOST_INSTANCES
from apps.transfers.sending import Cancelled
from apps.transfers.web_forms import FormRefused, Retrieval
from apps.transfers.web_parts import Receiver, parts_of
from apps.transfers.web_queries import (
    NOT_TOLD,
    OddAnswer,
    instances_there,
)

_WRITE_SECONDS: Final = 0.5
_MOST_REFUSALS: Final = 50
"""So many requests may be refused for their form while nothing comes; then none will be taken."""

Keys = Mapping[str, str]


class NotAllCame(Unavailable):
    """The archive answered, and not with all it says it has."""


class NothingMore(PacsError):
    """The archive keeps saying that it sends a part, and sends nothing that had not come before."""


class _Grain(IntEnum):
    """How much one request asks for at most."""

    WHOLE = 0
    SERIES = 1
    INSTANCE = 2


def fetch_by_web(transfer: Transfer, holder: str) -> None:
    """Runs to the end; what is here already, or came by an earlier attempt, is not asked for.

    Raises PeerUnreachable, PeerRefused, NotAllCame, NothingMore, OddAnswer, ArchiveBusy,
    OutOfResources, Cancelled, LeaseLost.
    """
    archive = transfer.archive
    if archive is None or not archive.enabled:
        raise NotAcceptable(f"{transfer.peer_title} is switched off, or not known any more.")
    ledger = _Ledger(transfer.pk, holder)
    with WebSession(archive) as session:
        _fetched(_Fetch(archive, session, transfer, ledger), transfer, holder)


def _fetched(fetch: _Fetch, transfer: Transfer, holder: str) -> None:
    if transfer.attempts > 1:
        inbox.catch_up()  # what came before is not asked for again
    there = fetch.list_there(transfer.level)
    ledger = fetch.ledger
    try:
        fetch.listed = list_instances(transfer.pk, holder, there or {})
        if there:
            fetch.all_listed()
        else:
            fetch.whole()
    finally:
        ledger.write()


class _Ledger:
    """What has come and is not written down yet."""

    def __init__(self, transfer: int, holder: str) -> None:
        self.transfer = transfer
        self.holder = holder
        self._outcomes: dict[int, Outcome] = {}  # the last word on each row
        self._bytes = 0
        self._written = 0.0

    def note(self, outcome: Outcome, length: int = 0) -> None:
        """One instance is settled, or postponed."""
        self._outcomes[outcome.row] = outcome
        self._bytes += length

    def look(self) -> None:
        """Writes when it is time. Raises Cancelled, LeaseLost."""
        if time.monotonic() - self._written >= _WRITE_SECONDS and self.write():
            raise Cancelled

    def write(self) -> bool:
        """Writes now; True when somebody has cancelled. Raises LeaseLost."""
        outcomes, self._outcomes = list(self._outcomes.values()), {}
        came, self._bytes = self._bytes, 0
        self._written = time.monotonic()
        return note_outcomes(self.transfer, self.holder, outcomes, came)


class _Fetch:
    """One attempt. `_there` has the UIDs that the archive listed just now."""

    def __init__(
        self, archive: WebArchive, session: WebSession, transfer: Transfer, ledger: _Ledger
    ) -> None:
        self.listed: dict[str, Listed] = {}
        self.ledger = ledger
        self._archive = archive
        self._session = session
        self._keys: Keys = transfer.keys
        self._again = transfer.attempts > 1
        self._there: frozenset[str] = frozenset()
        self._came: set[str] = set()
        self._receiver = Receiver(archive, self._arrived)
        self._retrieval = Retrieval(archive, session)
        self._refused: list[FormRefused] = []
        self._partial = False  # the last answer, by its own account (PS3.18 10.4.3)

    def list_there(self, level: str) -> dict[str, str] | None:
        """Which instances there are, each with its series; None where the archive does not say."""
        there: dict[str, str] | None
        if level == Level.INSTANCE.value:
            there = {self._keys["SOPInstanceUID"]: self._keys["SeriesInstanceUID"]}
        else:
            there = instances_there(self._session, self._keys, self.ledger.look)
        self._there = frozenset(there or ())
        return there

    def whole(self) -> None:
        """The archive does not say what it has: all is asked for, and what comes is taken."""
        try:
            self._get(self._keys)
        except FormRefused:
            raise
        except PeerRefused as error:
            if error.status in NOT_TOLD:
                name, status = self._archive.name, error.status
                raise NotFound(
                    f"{name} does not have it, or does not give it out ({status})."
                ) from error
            raise
        name = self._archive.name
        if not self._came and not self.listed:
            raise NotAllCame(f"{name} sent nothing{self._and_what()}.")
        if missing := len(self._missing()):
            raise NotAllCame(f"{name} did not send {missing} instances that it listed before.")
        if self._partial:
            words = f"{name} says that it did not send all it has (206)"
            # It cannot be asked for the rest alone: each attempt brings all of it once more.
            if self._again and not self._came & self.listed.keys():
                raise NothingMore(f"{words}, and sent nothing more when it was asked again.")
            raise NotAllCame(f"{words}.")

    def all_listed(self) -> None:
        """In large requests, then in smaller ones, until nothing is missing or nothing comes."""
        grain = _Grain.WHOLE
        while self._missing():
            before = len(self._came)
            words = self._round(grain)
            if len(self._came) > before and words is not None:
                continue
            if grain is _Grain.INSTANCE:
                if words is not None:
                    raise words
                break
            grain = _Grain(grain + 1)
        if missing := len(self._missing()):
            if self._refused and not self._came:
                raise self._refused[-1]
            raise NotAllCame(
                f"{self._archive.name} did not send {missing} of the {len(self._there)} instances "
                f"it lists{self._and_what()}."
            )

    def _round(self, grain: _Grain) -> Unavailable | None:
        """Asks once for all that is missing; what broke the round, if anything did.

        One instance over which the archive breaks off does not keep the others from being asked
        for; a second one in a row says that it is the archive.
        """
        broke = 0
        for keys in self._requests(grain):
            uid = keys.get("SOPInstanceUID", "")
            try:
                self._get(keys)
                words, broke = "The answer did not hold the instance.", 0
            except (PeerUnreachable, OddAnswer) as error:
                words, broke = error.message, broke + 1
                if not uid or broke > 1:
                    return error
            except PeerRefused as error:
                self._weigh(error)
                words = error.message
            missed = self._waiting(uid)
            if missed is not None:
                self.ledger.note(Outcome(missed.row, PEER_ENDED, words, postponed=True))
        return None

    def _weigh(self, error: PeerRefused) -> None:
        """Raises it again where asking on is of no use: a few may be refused, not all."""
        if error.status not in NOT_TOLD:
            raise error
        if isinstance(error, FormRefused):
            self._refused.append(error)
            if not self._came and len(self._refused) >= _MOST_REFUSALS:
                raise error

    def _requests(self, grain: _Grain) -> list[Keys]:
        missing = self._missing()
        everything = len(missing) == len(self._there)
        if (grain is _Grain.WHOLE and everything) or not all(missing.values()):
            return [self._keys]
        whole = Counter(each.series for uid, each in self.listed.items() if uid in self._there)
        left = Counter(missing.values())
        study = {"StudyInstanceUID": self._keys["StudyInstanceUID"]}
        requests: dict[tuple[str, str], Keys] = {}
        for uid, series in missing.items():
            of_series = {**study, "SeriesInstanceUID": series}
            if grain < _Grain.INSTANCE and 1 < whole[series] == left[series]:
                requests[series, ""] = of_series
            else:
                requests[series, uid] = {**of_series, "SOPInstanceUID": uid}
        return list(requests.values())

    def _get(self, keys: Keys) -> None:
        """One request. What came before it broke is kept."""
        look = self.ledger.look
        with closing(self._retrieval.ask(keys, look)) as answer:
            self._partial = answer.status == HTTPStatus.PARTIAL_CONTENT
            try:
                for part in parts_of(self._archive, answer):
                    self._receiver.take(part, keys, self._wants)
                    look()
            finally:
                self._receiver.settle()

    def _wants(self, uids: Uids) -> bool:
        if uids.sop_instance_uid in self._came:
            return False
        known = self.listed.get(uids.sop_instance_uid)
        return len(self._came) < MOST_INSTANCES if known is None else known.waits

    def _arrived(self, instances: list[tuple[Uids, int]]) -> None:
        new = {
            uids.sop_instance_uid: uids.series_instance_uid
            for uids, _ in instances
            if uids.sop_instance_uid not in self.listed
        }
        if new:
            self.listed = list_instances(self.ledger.transfer, self.ledger.holder, new, self.listed)
        for uids, length in instances:
            self._came.add(uids.sop_instance_uid)
            known = self.listed.get(uids.sop_instance_uid)
            if known is not None:
                self.ledger.note(Outcome(known.row, SUCCESS), length)

    def _missing(self) -> dict[str, str]:
        """What is still to come, each with its series."""
        return {
            uid: each.series
            for uid, each in self.listed.items()
            if each.waits and uid not in self._came
        }

    def _waiting(self, uid: str) -> Listed | None:
        each = self.listed.get(uid)
        return each if each is not None and each.waits and uid not in self._came else None

    def _and_what(self) -> str:
        count = self._receiver.unwanted
        parts = "1 part" if count == 1 else f"{count} parts"
        return f", but {parts} that nobody asked for" if count else ""
