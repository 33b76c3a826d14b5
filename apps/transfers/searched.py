"""Other archives as the study list searches them: by C-FIND, or by QIDO-RS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from apps.access.principals import Permission, Principal, permit
from apps.access.searches import note_search
from apps.dicom.query import Level
from apps.errors import NotAcceptable, Unavailable
from apps.network.associate_items import Remote
from apps.network.models import ApplicationEntity, WebArchive
from apps.transfers.remote import PATIENCE_SECONDS, answers_of, remote_for
from apps.transfers.web_queries import web_answers

Answers = Iterator[dict[str, str]]


class Searched(Protocol):
    """What a search needs of an archive."""

    @property
    def title(self) -> str:
        """Its name for people."""
        ...

    def studies(self, keys: Mapping[str, str], most: int, stopped: Callable[[], bool]) -> Answers:
        """Studies that match, as text by keyword; ends early once `stopped` says so."""
        ...


@dataclass(frozen=True, slots=True)
class DimseArchive:
    """An application entity."""

    remote: Remote

    @property
    def title(self) -> str:
        """Its AE title."""
        return self.remote.title

    def studies(self, keys: Mapping[str, str], most: int, stopped: Callable[[], bool]) -> Answers:
        """By C-FIND. Raises what `scu.find` raises."""
        return answers_of(self.remote, Level.STUDY, keys, most, stopped)


@dataclass(frozen=True, slots=True)
class DicomwebArchive:
    """An archive that speaks DICOMweb."""

    archive: WebArchive

    @property
    def title(self) -> str:
        """Its name."""
        return self.archive.name

    def studies(self, keys: Mapping[str, str], most: int, stopped: Callable[[], bool]) -> Answers:
        """By QIDO-RS. Raises PeerUnreachable, PeerRefused, Unavailable."""

        def look() -> None:
            if stopped():
                raise _Stopped

        try:
            for answer in web_answers(self.archive, keys, most, look):
                yield answer
                if stopped():
                    return
        except _Stopped:
            return


class _Stopped(Exception):
    """Nobody waits for the answer any more."""


def searched(other: ApplicationEntity | WebArchive) -> Searched:
    """Raises NotAcceptable where it is switched off, or nobody has entered where it is."""
    if isinstance(other, ApplicationEntity):
        return DimseArchive(remote_for(other))
    if not other.enabled:
        raise NotAcceptable(f"{other.name} is switched off.")
    return DicomwebArchive(other)


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
    for uid in uids:
        keys = {"StudyInstanceUID": uid}
        answers = source.studies(keys, 1, lambda: time.monotonic() > until)
        found += [each for each in answers if each["StudyInstanceUID"] == uid]
        if time.monotonic() > until:
            raise Unavailable(f"{archive.name} has not answered in time: ask for less.")
    return found
