"""QIDO-RS to a DICOMweb archive: which studies it has, and which instances of one (PS3.18 10.6)."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import islice, takewhile
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

from django.utils import timezone

from apps.dicom.attributes import BY_KEYWORD, UNIQUE_KEYS, Entity
from apps.dicom.json_rows import rows_of
from apps.dicom.json_values import DicomJson, text_of, values
from apps.dicom.query import Level
from apps.errors import InvalidRequest, Unavailable
from apps.network.scu import PeerRefused
from apps.network.web_client import WebAnswer, WebSession
from apps.network.web_waiting import Look
from apps.transfers.remote import MOST_INSTANCES, RESOURCE, RETURNED, names_one

_A_WHILE: Final = 120
_PAGE: Final = 5_000
_LONGEST_ANSWER: Final = 512 << 20
_LONGEST_TEXT: Final = 4 << 10
_LONGEST_PAUSE: Final = timedelta(hours=6)
_LONGEST_UID: Final = 64
_JSON: Final = "application/dicom+json"
_CREDENTIALS: Final = frozenset({401, 403, 407})
_LATER: Final = frozenset({408, 425, 429})
# It has nothing there, or answers no such question.
NOT_TOLD: Final = frozenset({400, 404, 405, 406, 410, 501})


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class ArchiveBusy(Unavailable):
    """The archive asked for patience; `after` is how much, where it said so (RFC 9110 10.2.3)."""

    def __init__(self, message: str, after: timedelta = timedelta(0)) -> None:
        super().__init__(message)
        self.after = after


class OddAnswer(Unavailable):
    """The archive answered what its protocol does not have; the next time it may be right."""


def refuse_failures(archive: _Named, answer: WebAnswer) -> None:
    """Raises PeerRefused for what nobody but a person can change, ArchiveBusy for what passes."""
    status, name = answer.status, archive.name
    if status in _CREDENTIALS:
        raise PeerRefused(f"{name} does not take our credentials ({status}).", status)
    broken = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in NOT_TOLD
    if broken or status in _LATER:
        after = _retry_after(answer.headers.get("retry-after", ""))
        told = f" and asks to wait for {_words(after)}" if after else ""
        raise ArchiveBusy(f"{name} answered {status}{told}.", after)
    if status < HTTPStatus.OK:
        raise OddAnswer(f"{name} answered {status}, which is no answer to a request.")
    if status in range(300, 400):
        raise PeerRefused(f"{name} leads elsewhere ({status}), which is not followed.", status)
    if status >= HTTPStatus.BAD_REQUEST:
        raise PeerRefused(f"{name} answered {status} to this request.", status)
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise OddAnswer(f"{name} packs what it was asked not to pack.")


def _retry_after(text: str) -> timedelta:
    """Seconds or a date; nothing where it is neither, and never more than six hours."""
    try:
        if text.isascii() and text.isdigit():
            asked = timedelta(seconds=min(int(text[:9]), 10**6))
        else:
            then = parsedate_to_datetime(text)
            asked = (then if then.tzinfo else then.replace(tzinfo=UTC)) - timezone.now()
    except (TypeError, ValueError, OverflowError):
        return timedelta(0)
    return max(timedelta(0), min(asked, _LONGEST_PAUSE))


def _words(pause: timedelta) -> str:
    seconds = int(pause.total_seconds())
    return f"{seconds} s" if seconds < _A_WHILE else f"{seconds // 60} minutes"


def web_answers(
    session: WebSession, level: Level, keys: Mapping[str, str], most: int, look: Look
) -> Iterator[dict[str, str]]:
    """What matches at the level, as text by keyword, with what a list shows.

    Raises InvalidRequest, PeerUnreachable, PeerRefused, Unavailable.
    """
    above = _in_path(level, keys)
    path = f"{path_of(above)}/{RESOURCE[level]}"
    asked = [(name, value) for name, value in keys.items() if value and name not in above]
    shown = dict.fromkeys([*RETURNED[level], *keys])
    fields = [name for name, value in keys.items() if not value]
    if level is Level.STUDY:
        fields.append("StudyDescription")
    asked += [("includefield", name) for name in dict.fromkeys(fields)]
    with closing(_rows(session, path, [*asked, ("limit", str(most))], look)) as rows:
        for row in islice(rows, most):
            yield {keyword: _text(row, keyword) for keyword in shown} | above


def _in_path(level: Level, keys: Mapping[str, str]) -> dict[str, str]:
    """Of the keys above the level those that stand in the path: one UID each, from the study on.

    Raises InvalidRequest for what is no attribute.
    """
    unknown = tuple(name for name in keys if name not in BY_KEYWORD)
    if unknown:
        sentence = f"{unknown[0][:64]} is no attribute to search by."
        raise InvalidRequest(sentence, offending=unknown)
    chain = [UNIQUE_KEYS[entity] for entity in level.above if entity is not Entity.PATIENT]
    single = takewhile(lambda name: names_one(keys.get(name, "")), chain)
    return {name: keys[name] for name in single}


def web_status(session: WebSession, look: Look) -> int:
    """Of a search for one study: that it is there, and lets us in. Raises what `web_answers` does.

    What it found is not read.
    """
    answer = session.ask("GET", "/studies?limit=1", {"Accept": _JSON}, look=look)
    with closing(answer):
        refuse_failures(session, answer)
        return answer.status


def _text(row: DicomJson, keyword: str) -> str:
    """All values, as C-FIND would give them; no more than anybody reads."""
    texts = (_value(each) for each in values(row, f"{BY_KEYWORD[keyword].tag:08X}"))
    text = "\\".join(text for text in texts if text)[:_LONGEST_TEXT]
    return text.encode("utf-8", "replace").decode()  # halves of characters are none


def _value(value: Any) -> str:
    """Of a name all its component groups (PS3.18 F.2.2)."""
    if isinstance(value, dict):
        groups = (value.get(each) or "" for each in ("Alphabetic", "Ideographic", "Phonetic"))
        return "=".join(str(each) for each in groups).rstrip("=")
    return "" if value is None else str(value)


def instances_there(
    session: WebSession, keys: Mapping[str, str], look: Look
) -> dict[str, str] | None:
    """SOP Instance UIDs of a study or series, each with its series; None where it does not say.

    Raises PeerUnreachable, PeerRefused, Unavailable.
    """
    found: dict[str, str] = {}
    seen = 0
    while len(found) < MOST_INSTANCES:
        page = [("limit", str(_PAGE)), ("offset", str(seen))]
        try:
            came, new = _listed(session, keys, page, look)
        except PeerRefused as error:
            if error.status in NOT_TOLD and not found:
                return None
            raise
        before, seen = len(found), seen + came
        found |= new
        # Some keep to a limit of their own, and some know no pages and say the same again.
        if len(found) == before or came > _PAGE:
            break
    return found


def _listed(
    session: WebSession, keys: Mapping[str, str], page: list[tuple[str, str]], look: Look
) -> tuple[int, dict[str, str]]:
    """How many rows a page has, and the UIDs of those that can be used, each with its series."""
    series = keys.get("SeriesInstanceUID", "")
    came, found = 0, {}
    with closing(_rows(session, f"{path_of(keys)}/instances", page, look)) as rows:
        for row in islice(rows, MOST_INSTANCES):
            came += 1
            uid, of = text_of(row, "00080018"), text_of(row, "0020000E") or series
            if uid and fits(uid) and fits(of) and series in {"", of}:
                found[uid] = of
    return came, found


def fits(uid: str) -> bool:
    """UIDs from the field may hold anything; paths are encoded, and columns have their length."""
    return len(uid) <= _LONGEST_UID and uid.isprintable()


def path_of(keys: Mapping[str, str]) -> str:
    """The resource that unique keys name (PS3.18 10.1)."""
    parts = (
        ("studies", keys.get("StudyInstanceUID")),
        ("series", keys.get("SeriesInstanceUID")),
        ("instances", keys.get("SOPInstanceUID")),
    )
    return "".join(f"/{name}/{quote(uid, safe='')}" for name, uid in parts if uid)


def _rows(
    session: WebSession, path: str, asked: list[tuple[str, str]], look: Look
) -> Generator[DicomJson]:
    # Wild cards may stand in a query as they are (RFC 3986 3.4); some archives decode nothing.
    target = f"{path}?{urlencode(asked, safe='*?', quote_via=quote)}"
    answer = session.ask("GET", target, {"Accept": _JSON}, look=look)
    with closing(answer):
        refuse_failures(session, answer)
        if answer.status == HTTPStatus.NO_CONTENT:
            return
        try:
            yield from rows_of(_Bounded(session.name, answer, look))
        except InvalidRequest as error:
            raise OddAnswer(
                f"{session.name} answered a search with what is not DICOM JSON: {error.message}"
            ) from error


class _Bounded:
    """The body of an answer to a search, as long as anybody waits for it."""

    def __init__(self, name: str, answer: WebAnswer, look: Look) -> None:
        self._name, self._answer, self._look = name, answer, look
        self._left = _LONGEST_ANSWER

    def read(self, size: int, /) -> bytes:
        """At most so many bytes. Raises OddAnswer, PeerUnreachable, and what `look` raises."""
        chunk = self._answer.read(size)
        self._look()
        self._left -= len(chunk)
        if self._left < 0:
            raise OddAnswer(f"{self._name} answers a search without end.")
        return chunk
