"""The body of a Store request, part by part into the inbox; memory stays flat at any size."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

from django.http import HttpRequest
from django.utils import timezone

from apps.access.principals import Principal
from apps.dicom.multipart import CHUNK, ByteSource, MultipartReader, Part, PartCutOff
from apps.dicom.part10 import Provenance
from apps.dicom.part_uids import Uids, beginning_of, head_of, uids_in
from apps.dicomweb.negotiation import (
    DICOM,
    DICOM_JSON,
    DICOM_XML,
    MULTIPART,
    OCTET_STREAM,
    parse_media_type,
)
from apps.dicomweb.status import UnsupportedMediaType
from apps.dicomweb.stow_rs.assembling import assembled
from apps.dicomweb.stow_rs.outcome import (
    CANNOT_UNDERSTAND,
    MISMATCH,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    Handled,
)
from apps.errors import InvalidRequest, OutOfResources, PacsError, Unavailable
from apps.ingest import inbox
from apps.ingest.inbox import Commit, Incoming, Kept, Waiter

GROUP_PARTS: Final = 8
GROUP_BYTES: Final = 8 << 20
"""Parts are made durable in groups: the disk syncs several files for little more than one."""

AT_ONCE: Final = 2
"""Groups of one request that are being made durable beside the reading of the next."""

_ALONE: Final = frozenset({DICOM, DICOM_JSON, DICOM_XML})
"""What a body may be without being multipart."""

DOOR: Final = "stow"

_pool = ThreadPoolExecutor(max_workers=4 * AT_ONCE, thread_name_prefix="stow")


def parts_of(request: HttpRequest) -> tuple[str, Iterable[Part]]:
    """The media type of the parts, and they. Raises UnsupportedMediaType or InvalidRequest."""
    media_type, parameters = parse_media_type(request.META.get("CONTENT_TYPE", ""))
    source: ByteSource = request.META["wsgi.input"]
    if media_type in _ALONE:
        # The server does not tell a last chunk from a connection that broke in between.
        unknown = not request.META.get("CONTENT_LENGTH", "").isdigit()
        headers = {"content-type": media_type}
        return media_type, [Part(headers, _whole_body(request, source), open_ended=unknown)]
    named = dict(parameters)
    part_type = named.get("type", DICOM).split(";")[0].strip().lower()
    if media_type != MULTIPART or part_type not in {*_ALONE, OCTET_STREAM}:
        raise UnsupportedMediaType(
            'Send instances as multipart/related; type="application/dicom", a single one as '
            "application/dicom, or metadata with bulk data as multipart/related; "
            'type="application/dicom+json" or "application/dicom+xml".'
        )
    if not named.get("boundary"):
        raise InvalidRequest("The Content-Type names no boundary.", offending=("Content-Type",))
    return part_type, MultipartReader(source, named["boundary"])


def _whole_body(request: HttpRequest, source: ByteSource) -> Iterator[bytes]:
    announced = request.META.get("CONTENT_LENGTH") or ""
    received = 0
    while chunk := source.read(CHUNK):
        received += len(chunk)
        yield chunk
    if announced.isdigit() and received < int(announced):
        raise PartCutOff("The body ended before its announced length.")


def receive_parts(
    request: HttpRequest, principal: Principal, study: str | None
) -> Iterator[Handled]:
    """Takes part after part, in order; what is yielded is durable.

    Parts are written as they are read, and made durable in groups beside the reading of the next
    ones; memory is bounded by a few chunks. Raises PartCutOff where the connection breaks, after
    everything that was complete.
    """
    provenance = Provenance(door=DOOR, source_address=principal.address, user=principal.name)
    part_type, source = parts_of(request)
    if part_type in {DICOM_JSON, DICOM_XML}:
        yield from assembled(iter(source), provenance, study, part_type)
    else:
        yield from _receive_each(iter(source), provenance, study)


@dataclass(slots=True)
class _Group:
    """Parts in order: refused ones with their reason, others written and not yet durable."""

    parts: list[Handled | Incoming] = field(default_factory=list)
    size: int = 0
    _commit: Commit | None = None

    def add(self, part: Handled | Incoming) -> bool:
        """Whether the group is full now."""
        self.parts.append(part)
        if isinstance(part, Incoming):
            self.size += part.size
        return len(self.parts) >= GROUP_PARTS or self.size >= GROUP_BYTES

    def abort(self) -> None:
        """Forgets what is not finished."""
        for part in self.parts:
            if isinstance(part, Incoming):
                part.abort()

    def sync(self) -> _Group:
        """Brings the parts to disk together; it needs no database, and may have any thread."""
        self._begin(Waiter.LATER)
        if self._commit:
            self._commit.sync()
        return self

    def sync_last(self) -> _Group:
        """The same for the parts behind which none comes; the database is asked meanwhile."""
        self._begin(Waiter.NOW)
        if self._commit:
            self._commit.foretell()
            self._commit.sync()
        return self

    def _begin(self, waiter: Waiter) -> None:
        written = [part for part in self.parts if isinstance(part, Incoming)]
        if written:
            self._commit = Commit(written, waiter)

    def finish(self) -> list[Handled]:
        """Hands the parts to the indexer; what is said of them is durable."""
        outcomes = iter(self._commit.finish() if self._commit else ())
        inbox.ring()
        return [
            part if isinstance(part, Handled) else _outcome(_uids_of(part), next(outcomes))
            for part in self.parts
        ]


def _uids_of(part: Incoming) -> Uids:
    return Uids(part.says.sop_class_uid or "", part.says.sop_instance_uid or "")


def _outcome(uids: Uids, outcome: Kept | PacsError) -> Handled:
    if isinstance(outcome, Kept):
        return Handled(uids, outcome.name, place=outcome.place)
    full = isinstance(outcome, OutOfResources)
    return Handled(uids, "", OUT_OF_RESOURCES if full else PROCESSING_FAILURE, outcome.message)


def _receive_each(
    parts: Iterator[Part], provenance: Provenance, study: str | None
) -> Iterator[Handled]:
    pending: deque[Future[_Group]] = deque()
    group = _Group()
    cut_off: PartCutOff | None = None
    try:
        while cut_off is None:
            try:
                part = next(parts, None)
                if part is None:
                    break
                full = group.add(_written(part, provenance, study))
            except PartCutOff as failure:
                cut_off = failure
            else:
                if full:
                    pending.append(_pool.submit(group.sync))
                    group = _Group()
                    yield from _results(pending, leaving=AT_ONCE - 1)
        yield from _results(pending, leaving=0)
        yield from group.sync_last().finish()
    finally:
        for each in pending:
            each.result().abort()
        group.abort()
    if cut_off is not None:
        raise cut_off


def _written(part: Part, provenance: Provenance, study: str | None) -> Handled | Incoming:
    """The part in a file of its own; PartCutOff passes, and leaves nothing of it."""
    now = replace(provenance, received_at=timezone.now().isoformat())
    head, uids = (beginning_of(part.chunks), None) if study is None else head_of(part.chunks)
    if not head:
        return Handled(Uids(), "", CANNOT_UNDERSTAND, "The part is empty.")
    if uids is not None and uids.study_instance_uid not in {"", study}:
        sentence = "The instance belongs to another study than the URL."
        return Handled(uids, "", MISMATCH, sentence)
    try:
        incoming = inbox.begin_part10(now, head, part.chunks)
        if part.open_ended:
            _check_whole(incoming)
    except (OutOfResources, Unavailable) as failure:
        return _outcome(uids_in(head), failure)
    return incoming


def _check_whole(incoming: Incoming) -> None:
    """Raises PartCutOff for an object that goes on behind its end; nothing of it is left then."""
    if not incoming.is_whole():
        incoming.abort()
        raise PartCutOff("The body ended inside the object.")


def _results(pending: deque[Future[_Group]], *, leaving: int) -> Iterator[Handled]:
    """The oldest results, until at most `leaving` groups are still under way."""
    while len(pending) > leaving:
        # Taken away only then: what fails in between is aborted with the others.
        handled = pending[0].result().finish()
        pending.popleft()
        yield from handled
