"""Sends instances to an archive that speaks DICOMweb (STOW-RS, PS3.18 10.5): a few to a request.

An instance is settled by what the answer says of it, and of nothing else: a request that breaks is
sent again with the next attempt, which costs bytes and changes nothing there.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, Final

from apps.coercion.rules import Rule
from apps.dicom.json_values import DicomJson, items, text_of, values
from apps.dicom.part10 import file_meta
from apps.dicom.sub_operations import (
    CANNOT_SEND,
    NOT_CORRECTED,
    OUR_FAILURE,
    PEER_ENDED,
    SOME_FAILED,
    SUCCESS,
    is_passing,
    is_warning,
)
from apps.errors import NotAcceptable, NotFound, PacsError
from apps.network.peer_errors import PeerUnreachable
from apps.network.scu import PeerRefused
from apps.network.store_writer import ChunkSource, SourceEndedError
from apps.network.web_archive import WebArchive
from apps.network.web_client import WebAnswer, WebSession
from apps.polarity.states import SYNTAXES, State, state_of
from apps.retrieve.coercion import coerced, rules_for_destination
from apps.retrieve.datasets import OutgoingDataset, outgoing
from apps.retrieve.locations import Location
from apps.storage.blobs import BlobMissing
from apps.transfers.actions.note_progress import Outcome
from apps.transfers.models import Transfer, TransferInstance
from apps.transfers.sending import Ledger, Row, located
from apps.transfers.web_queries import OddAnswer, refuse_failures

_AT_ONCE: Final = 50
_BYTES_AT_ONCE: Final = 64 << 20
_UNTOLD: Final = (CANNOT_SEND, "The archive did not say what became of it.")
_LARGEST_US: Final = 0xFFFF
_CHUNK: Final = 256 << 10
_LONGEST_ANSWER: Final = 2 << 20  # of which JSON makes some fifty times as much
# Answers that say of each instance what became of it (PS3.18 10.5.3).
_TOLD: Final = frozenset({200, 202, 409})
# What may be said of one request and not of the next: its length, or something it holds.
_OF_A_REQUEST: Final = frozenset({400, 413, 415})
_MOST_REFUSALS: Final = 3

Waiting = tuple[Row, Location]


def send_by_web(transfer: Transfer, holder: str) -> None:
    """All that waits. Raises PeerUnreachable, PeerRefused, ArchiveBusy, PeerBusy, Cancelled."""
    archive = transfer.archive
    if archive is None or not archive.enabled:
        raise NotAcceptable(f"{transfer.peer_title} is switched off, or not known any more.")
    ledger = Ledger(transfer, holder)
    waiting = transfer.instances.filter(state=TransferInstance.State.WAITING).order_by("position")
    fields = ("pk", "instance_key", "sop_instance_uid", "corrects")
    try:
        with WebSession(archive) as session:
            sender = _Sender(archive, session, ledger)
            for group in _groups(located(list(waiting.values_list(*fields))), ledger):
                sender.send(group)
    finally:
        ledger.write()
    ledger.demand_room()


def _groups(rows: Iterable[tuple[Row, Location | None]], ledger: Ledger) -> Iterator[list[Waiting]]:
    """What goes in one request; rows whose instance is gone are settled."""
    group: list[Waiting] = []
    size = 0
    for row, location in rows:
        if location is None:
            gone = "The instance is not in the archive any more."
            ledger.note(Outcome(row[0], OUR_FAILURE, gone))
            continue
        group.append((row, location))
        size += location.size_bytes
        if len(group) >= _AT_ONCE or size >= _BYTES_AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group


class _Sender:
    """Requests to one archive."""

    def __init__(self, archive: WebArchive, session: WebSession, ledger: Ledger) -> None:
        self._archive = archive
        self._session = session
        self._ledger = ledger
        self._rules = rules_for_destination(archive.name)
        self._unreadable: set[int] = set()
        self._answered = False  # any request, with what became of its instances
        self._refusals = 0

    def send(self, group: list[Waiting]) -> None:
        """The group in one request; one by one where that breaks."""
        if len(group) > 1:
            try:
                self._post(group)
            except _CutOff as cut:
                self._leave(cut.row, CANNOT_SEND, "The stored object is cut off.")
            except (PeerUnreachable, OddAnswer):
                pass  # which instance it was shows when each is sent alone
            except PeerRefused as error:
                if error.status not in _OF_A_REQUEST:
                    raise
            else:
                return
        # Those are settled: noted once more, they would be counted twice.
        self._send_each([each for each in group if each[0][0] not in self._unreadable])

    def _leave(self, row: Row, status: int, words: str) -> None:
        """One of ours that cannot be sent."""
        self._unreadable.add(row[0])
        self._ledger.note(Outcome(row[0], status, words))

    def _send_each(self, group: list[Waiting]) -> None:
        """One by one.

        An instance over which the archive breaks off has failed, as over DIMSE, once another has
        gone through after it; two in a row say that it is the archive.
        """
        broken: list[Outcome] = []
        problem: PacsError | None = None
        for row, location in group:
            try:
                self._post([(row, location)])
            except _CutOff:
                self._leave(row, CANNOT_SEND, "The stored object is cut off.")
            except PeerRefused as error:
                self._refused(row, error)
            except (PeerUnreachable, OddAnswer) as error:
                if broken or len(group) == 1:
                    raise
                problem = error
                broken.append(Outcome(row[0], PEER_ENDED, error.message))
            else:
                # It goes on without that one.
                for each in broken:
                    self._ledger.note(each)
                broken.clear()
        if broken and problem is not None:
            raise problem

    def _refused(self, row: Row, error: PeerRefused) -> None:
        """One that is too long, or not liked, does not keep the others; all of them are too many.

        Raises the error.
        """
        if error.status not in _OF_A_REQUEST:
            raise error
        self._refusals += 1
        self._ledger.note(Outcome(row[0], CANNOT_SEND, error.message))
        if not self._answered and self._refusals >= _MOST_REFUSALS:
            raise error

    def _post(self, group: list[Waiting]) -> None:
        boundary = secrets.token_hex(16)
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
        sent: dict[str, Row] = {}
        body = self._body(group, boundary, sent)
        answer = self._session.ask("POST", "/studies", headers, body, look=self._ledger.look)
        with closing(answer):
            if not sent:
                return  # none of them could be read: an empty request says nothing
            if answer.status not in _TOLD:
                refuse_failures(self._archive, answer)
            told = _told(self._archive, answer)
        self._answered = True
        for uid, row in sent.items():
            status, words = told.get(uid, _UNTOLD)
            self._ledger.note(Outcome(row[0], status, words, postponed=is_passing(status)))

    def _body(self, group: list[Waiting], boundary: str, sent: dict[str, Row]) -> Iterator[bytes]:
        """Parts of those that can be read; the others are settled and left out."""
        for row, location in group:
            try:
                with _opened(row, location, self._rules) as (what, dataset):
                    head = file_meta(
                        sop_class_uid=what.sop_class_uid,
                        sop_instance_uid=what.sop_instance_uid,
                        transfer_syntax_uid=dataset.transfer_syntax_uid,
                        provenance=None,
                    )
                    sent[what.sop_instance_uid] = row
                    yield f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + head
                    yield from self._paced(row, dataset)
                    yield b"\r\n"
            except (BlobMissing, PacsError) as error:
                words = error.message if isinstance(error, PacsError) else "Its bytes are missing."
                uncorrected = row[3] and isinstance(error, NotFound)
                self._leave(row, NOT_CORRECTED if uncorrected else CANNOT_SEND, words)
        yield f"--{boundary}--\r\n".encode()

    def _paced(self, row: Row, dataset: OutgoingDataset) -> Iterator[bytes]:
        left = dataset.length
        while left:
            chunk = bytearray(min(left, _CHUNK))
            try:
                dataset.source.fill([memoryview(chunk)])
            except SourceEndedError as error:
                raise _CutOff(row) from error
            yield bytes(chunk)
            left -= len(chunk)
            self._ledger.passed(len(chunk))


class _CutOff(Exception):
    """The stored bytes of a row ended in the middle of a request."""

    def __init__(self, row: Row) -> None:
        super().__init__(row)
        self.row = row


@contextmanager
def _opened(
    row: Row, location: Location, rules: tuple[Rule, ...]
) -> Iterator[tuple[Location | State, OutgoingDataset]]:
    """The instance as it goes out, or the state that shows it right. Raises NotFound for none."""
    if row[3]:
        state, syntax = state_of(location, rules), SYNTAXES[0]
        data = state.dataset(syntax)
        yield state, OutgoingDataset(syntax, len(data), ChunkSource(iter((data,))))
        return
    with outgoing(coerced(location, rules), location.transfer_syntax_uid) as dataset:
        yield location, dataset


def _told(archive: WebArchive, answer: WebAnswer) -> Mapping[str, tuple[int, str]]:
    """Status and words for each SOP Instance UID (PS3.18 Annex I.2)."""
    body = bytearray()
    while chunk := answer.read(_CHUNK):
        body += chunk
        if len(body) > _LONGEST_ANSWER:
            raise OddAnswer(f"{archive.name} answers without end.")
    try:
        report: Any = json.loads(body)
    except (ValueError, RecursionError):
        report = None
    report = report[0] if isinstance(report, list) and report else report
    if not isinstance(report, dict):
        raise OddAnswer(
            f"{archive.name} answered {answer.status} and not what became of the instances."
        )
    stored = {text_of(each, "00081155"): _warning(each) for each in items(report, "00081199")}
    failed = {text_of(each, "00081155"): _failure(each) for each in items(report, "00081198")}
    return stored | failed


def _warning(item: DicomJson) -> tuple[int, str]:
    reason = _number(item, "00081196")
    if reason is None:
        return SUCCESS, ""
    return (reason if is_warning(reason) else SOME_FAILED), "The archive stored it with a warning."


def _failure(item: DicomJson) -> tuple[int, str]:
    reason = _number(item, "00081197")
    return (reason or CANNOT_SEND), "The archive did not store it."


def _number(item: DicomJson, tag: str) -> int | None:
    found = values(item, tag)
    number = found[0] if found else None
    return number if isinstance(number, int) and 0 <= number <= _LARGEST_US else None
