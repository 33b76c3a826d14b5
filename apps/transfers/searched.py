"""Other archives as they are searched: by C-FIND, or by QIDO-RS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from apps.access.principals import Permission, Principal, permit
from apps.access.searches import note_search
from apps.dicom.query import Level
from apps.errors import NotAcceptable, Unavailable
from apps.network import scu
from apps.network.associate_items import Remote
from apps.network.models import ApplicationEntity, WebArchive
from apps.network.web_client import WebSession
from apps.transfers.remote import (
    PATIENCE_SECONDS,
    RESOURCE,
    Other,
    answers_of,
    level_named,
    remote_for,
)
from apps.transfers.web_queries import web_answers, web_status

Answers = Iterator[dict[str, str]]


class Searched(Protocol):
    """What a search needs of an archive."""

    @property
    def title(self) -> str:
        """Its name for people."""
        ...

    def answers(
        self, level: Level, keys: Mapping[str, str], most: int, stopped: Callable[[], bool]
    ) -> Answers:
        """What matches, as text by keyword; ends early once `stopped` says so."""
        ...

    def close(self) -> None:
        """Nothing more is asked."""
        ...


@dataclass(frozen=True, slots=True)
class DimseArchive:
    """An application entity."""

    remote: Remote

    @property
    def title(self) -> str:
        """Its AE title."""
        return self.remote.title

    def answers(
        self, level: Level, keys: Mapping[str, str], most: int, stopped: Callable[[], bool]
    ) -> Answers:
        """By C-FIND. Raises what `scu.find` raises."""
        return answers_of(self.remote, level, keys, most, stopped)

    def close(self) -> None:
        """Each C-FIND has an association of its own."""


class DicomwebArchive:
    """An archive that speaks DICOMweb; one connection for all that it is asked."""

    def __init__(self, archive: WebArchive) -> None:
        """Raises NotAcceptable where it is switched off."""
        if not archive.enabled:
            raise NotAcceptable(f"{archive.name} is switched off.")
        self.session = WebSession(archive)

    @property
    def title(self) -> str:
        """Its name."""
        return self.session.name

    def answers(
        self, level: Level, keys: Mapping[str, str], most: int, stopped: Callable[[], bool]
    ) -> Answers:
        """By QIDO-RS. Raises InvalidRequest, PeerUnreachable, PeerRefused, Unavailable."""

        def look() -> None:
            if stopped():
                raise _Stopped

        try:
            for answer in web_answers(self.session, level, keys, most, look):
                yield answer
                if stopped():
                    return
        except _Stopped:
            return

    def close(self) -> None:
        """Hangs up."""
        self.session.close()


class _Stopped(Exception):
    """Nobody waits for the answer any more."""


def searched(other: Other) -> Searched:
    """Raises NotAcceptable where it is switched off, or nobody has entered where it is."""
    if isinstance(other, ApplicationEntity):
        return DimseArchive(remote_for(other))
    return DicomwebArchive(other)


def query_other(
    principal: Principal, other: Other, level: str, keys: Mapping[str, str], most: int
) -> Answers:
    """Answers of one search as text by keyword, at most `most`; an event like any search.

    Raises what `answers` raises, and Unavailable where it has not ended in half a minute.
    """
    permit(principal, Permission.TRANSFER_STUDIES)
    wanted, source = level_named(level), searched(other)
    note_search(principal, f"{RESOURCE[wanted]} at {source.title}", keys)
    until = time.monotonic() + PATIENCE_SECONDS
    with closing(source):
        yield from source.answers(wanted, keys, most, lambda: time.monotonic() > until)
    if time.monotonic() > until:
        raise Unavailable(f"{source.title} has not ended the search in time: ask for less.")


def verify(principal: Principal, other: Other) -> int:
    """Status of a C-ECHO; of a DICOMweb archive, that of a search for one study.

    Raises what `scu.echo` raises, and NotAcceptable, PeerRefused, Unavailable.
    """
    permit(principal, Permission.TRANSFER_STUDIES)
    if isinstance(other, ApplicationEntity):
        return scu.echo(remote_for(other))
    until = time.monotonic() + PATIENCE_SECONDS

    def look() -> None:
        if time.monotonic() > until:
            raise Unavailable(f"{other.name} has not answered in time.")

    with closing(DicomwebArchive(other)) as source:
        return web_status(source.session, look)


def studies_in_archive(
    principal: Principal, archive: WebArchive, uids: Sequence[str]
) -> list[dict[str, str]]:
    """What it has of these studies, asked now; an event like any search.

    One by one: not every archive knows lists of UIDs in a query. Raises NotPermitted,
    NotAcceptable, PeerUnreachable, PeerRefused, and Unavailable after half a minute.
    """
    permit(principal, Permission.TRANSFER_STUDIES)
    source = searched(archive)
    note_search(principal, f"studies at {archive.name}", {"StudyInstanceUID": "\\".join(uids)})
    until = time.monotonic() + PATIENCE_SECONDS
    found: list[dict[str, str]] = []
    with closing(source):
        for uid in uids:
            keys = {"StudyInstanceUID": uid}
            answers = source.answers(Level.STUDY, keys, 1, lambda: time.monotonic() > until)
            found += [each for each in answers if each["StudyInstanceUID"] == uid]
            if time.monotonic() > until:
                raise Unavailable(f"{archive.name} has not answered in time: ask for less.")
    return found
