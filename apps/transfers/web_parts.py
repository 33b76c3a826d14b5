"""The body of a WADO-RS answer, part by part into the inbox; memory stays flat at any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone

from apps.dicom.multipart import Chunk, MultipartReader, Part, PartCutOff
from apps.dicom.part10 import Provenance
from apps.dicom.part_uids import Uids, head_of
from apps.errors import InvalidRequest, OutOfResources, PacsError
from apps.ingest import inbox
from apps.ingest.receiving import WADO_RS
from apps.network.peer_errors import PeerUnreachable
from apps.network.web_archive import WebArchive
from apps.network.web_client import WebAnswer
from apps.storage.capacity import capacity
from apps.transfers.remote import MOST_INSTANCES
from apps.transfers.web_queries import OddAnswer, fits

LONGEST_INSTANCE: Final = 16 << 30
"""No instance is longer; a body without end stops here, or at the watermark of the disk."""
MOST_UNWANTED_BYTES: Final = 256 << 20
_MOST_UNWANTED: Final = 100
_LOOK_AT_DISK: Final = 64 << 20
_GROUP_PARTS: Final = 8
_GROUP_BYTES: Final = 8 << 20

Arrived = Callable[[list[tuple[Uids, int]]], None]
"""Told of instances that are durable now, each with its length in bytes."""


def parts_of(archive: WebArchive, answer: WebAnswer) -> Iterator[Part]:
    """Part after part. Raises OddAnswer, and PeerUnreachable where the body breaks off."""
    media_type, boundary = _media_type(answer.headers.get("content-type", ""))
    if media_type == "application/dicom":
        if not answer.tells_its_end:
            raise OddAnswer(f"{archive.name} does not say where its answer ends.")
        yield Part({}, _whole(answer))
        return
    if media_type != "multipart/related":
        raise OddAnswer(f"{archive.name} sent something else than DICOM instances.")
    with _in_words(archive):
        for part in MultipartReader(answer, boundary):
            yield Part(part.headers, _told(archive, part.chunks))


def _told(archive: WebArchive, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The same: whoever reads them has the reader's errors, not the loop over the parts."""
    with _in_words(archive):
        yield from chunks


@contextmanager
def _in_words(archive: WebArchive) -> Iterator[None]:
    try:
        yield
    except PartCutOff:
        raise PeerUnreachable(f"{archive.name} broke off in the middle of its answer.") from None
    except InvalidRequest as error:
        raise OddAnswer(
            f"{archive.name} sent a body that cannot be read: {error.message}"
        ) from error


def _whole(answer: WebAnswer) -> Iterator[Chunk]:
    while chunk := answer.read(1 << 20):
        yield chunk


def _media_type(text: str) -> tuple[str, str]:
    """The media type in lower case, and the boundary."""
    message = Message()
    message["Content-Type"] = text
    boundary = message.get_param("boundary", "")
    return message.get_content_type(), boundary if isinstance(boundary, str) else ""


class Receiver:
    """Takes what an archive sends into the inbox, a few instances at a time.

    `unwanted` counts parts that were not asked for: they are not kept.
    """

    def __init__(self, archive: WebArchive, arrived: Arrived) -> None:
        self.unwanted = 0
        self._unwanted_bytes = 0
        self._skipped = 0
        self._archive = archive
        self._arrived = arrived
        self._host = urlsplit(archive.url).hostname or ""
        self._group: list[tuple[Uids, inbox.Incoming]] = []

    def take(self, part: Part, asked: Mapping[str, str], wants: Callable[[Uids], bool]) -> None:
        """One part. Raises OddAnswer, OutOfResources, Unavailable, and what its chunks raise."""
        head, uids = head_of(part.chunks)
        if not _is_asked(uids, asked):
            self._leave(head, part)
            return
        if self._in_group(uids) or not wants(uids):
            self._skip(head, part)
            return
        provenance = Provenance(
            door=WADO_RS,
            source_ae_title=self._archive.name,
            receiving_ae_title=settings.PACSWEB.ae_title,
            source_address=self._host,
            received_at=timezone.now().isoformat(),
        )
        incoming = inbox.begin_part10(provenance, head, self._bounded(len(head), part.chunks))
        self._group.append((uids, incoming))
        size = sum(each.size for _, each in self._group)
        if len(self._group) >= _GROUP_PARTS or size >= _GROUP_BYTES:
            self.settle()

    def settle(self) -> None:
        """What is complete becomes durable, and is told. Raises OutOfResources, Unavailable."""
        group, self._group = self._group, []
        if not group:
            return
        commit = inbox.Commit([each for _, each in group])
        commit.sync()
        outcomes = commit.finish()
        inbox.ring()
        kept = zip(group, outcomes, strict=True)
        self._arrived(
            [(uids, one.size) for (uids, one), how in kept if not isinstance(how, PacsError)]
        )
        failure = next((each for each in outcomes if isinstance(each, PacsError)), None)
        if failure is not None:
            raise failure

    def _in_group(self, uids: Uids) -> bool:
        return any(each.sop_instance_uid == uids.sop_instance_uid for each, _ in self._group)

    def _leave(self, head: bytes, part: Part) -> None:
        """Reads over a part that was not asked for, and gives up where there are no others."""
        self.unwanted += 1
        self._unwanted_bytes += len(head)
        for chunk in part.chunks:
            self._unwanted_bytes += len(chunk)
            if self._unwanted_bytes > MOST_UNWANTED_BYTES:
                break
        if self.unwanted > _MOST_UNWANTED or self._unwanted_bytes > MOST_UNWANTED_BYTES:
            raise OddAnswer(f"{self._archive.name} keeps sending what it was not asked for.")

    def _skip(self, head: bytes, part: Part) -> None:
        """Reads over what has come already: an archive that lists nothing sends all again."""
        self._skipped += 1
        if self._skipped > MOST_INSTANCES:
            raise OddAnswer(f"{self._archive.name} keeps sending the same instances.")
        for _ in self._bounded(len(head), part.chunks):
            pass

    def _bounded(self, size: int, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        looked = size
        for chunk in chunks:
            size += len(chunk)
            if size > LONGEST_INSTANCE:
                raise OddAnswer(f"{self._archive.name} sends an instance without end.")
            if size - looked >= _LOOK_AT_DISK:
                looked = size
                room = capacity()
                if not room.accepts_instances:
                    raise OutOfResources(room.message)
            yield chunk


def _is_asked(uids: Uids, asked: Mapping[str, str]) -> bool:
    """Whether it is an instance of what was asked for, by unique keys that can be kept."""
    says = {
        "StudyInstanceUID": uids.study_instance_uid,
        "SeriesInstanceUID": uids.series_instance_uid,
        "SOPInstanceUID": uids.sop_instance_uid,
    }
    usable = bool(uids.sop_instance_uid) and all(map(fits, says.values()))
    return usable and all(says[name] == uid for name, uid in asked.items())
