"""The body of a Store request, part by part into the inbox; memory stays flat at any size."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from django.db import close_old_connections
from django.http import HttpRequest
from django.utils import timezone

from apps.access.principals import Principal
from apps.dicom.part10 import Provenance
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
from apps.dicomweb.stow_rs.multipart import CHUNK, ByteSource, MultipartReader, Part, PartCutOff
from apps.dicomweb.stow_rs.outcome import (
    CANNOT_UNDERSTAND,
    MISMATCH,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    Handled,
)
from apps.dicomweb.stow_rs.peek import Uids, uids_in
from apps.errors import InvalidRequest, OutOfResources, Unavailable
from apps.ingest import inbox

# Enough to hold File Meta and the UIDs of nearly every object; more is read where it is not.
_HEAD: Final = 64 << 10
_LONGEST_HEAD: Final = 4 << 20

SMALL_PART: Final = 8 << 20
AT_ONCE: Final = 4
"""Parts of one request whose sync to disk is under way together: the disk does them in one go."""

_ALONE: Final = frozenset({DICOM, DICOM_JSON, DICOM_XML})
"""What a body may be without being multipart."""

_pool = ThreadPoolExecutor(max_workers=2 * AT_ONCE, thread_name_prefix="stow")


def parts_of(request: HttpRequest) -> tuple[str, Iterable[Part]]:
    """The media type of the parts, and they. Raises UnsupportedMediaType or InvalidRequest."""
    media_type, parameters = parse_media_type(request.META.get("CONTENT_TYPE", ""))
    source: ByteSource = request.META["wsgi.input"]
    if media_type in _ALONE:
        return media_type, [Part({"content-type": media_type}, _whole_body(request, source))]
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

    Small parts are made durable beside the reading of the next ones, large ones while they are
    read; memory is bounded by `AT_ONCE` times `SMALL_PART`. Raises PartCutOff where the connection
    breaks, after everything that was complete.
    """
    provenance = Provenance(door="stow", source_address=principal.address, user=principal.name)
    part_type, source = parts_of(request)
    if part_type in {DICOM_JSON, DICOM_XML}:
        yield from assembled(iter(source), provenance, study)
    else:
        yield from _receive_each(iter(source), provenance, study)


def _receive_each(
    parts: Iterator[Part], provenance: Provenance, study: str | None
) -> Iterator[Handled]:
    pending: deque[Future[Handled]] = deque()
    while True:
        try:
            part = next(parts, None)
            if part is None:
                break
            incoming = _begun(part, provenance, study)
        except PartCutOff:
            yield from _results(pending, leaving=0)
            raise
        if incoming.small:
            pending.append(_pool.submit(_receive_aside, incoming))
            yield from _results(pending, leaving=AT_ONCE - 1)
        else:
            yield from _results(pending, leaving=0)
            yield _receive(incoming)
    yield from _results(pending, leaving=0)


@dataclass(frozen=True, slots=True)
class _Incoming:
    """A part of which enough is read to know what it is; `small` ones are read whole."""

    provenance: Provenance
    uids: Uids
    head: bytes
    rest: Iterator[bytes]
    small: bool
    refusal: Handled | None = None


def _begun(part: Part, provenance: Provenance, study: str | None) -> _Incoming:
    now = replace(provenance, received_at=timezone.now().isoformat())
    head, uids = _head_of(part.chunks)
    refusal = None
    if not head:
        refusal = Handled(uids, "", CANNOT_UNDERSTAND, "The part is empty.")
    elif study is not None and uids.study_instance_uid not in {"", study}:
        sentence = "The instance belongs to another study than the URL."
        refusal = Handled(uids, "", MISMATCH, sentence)
    if refusal is not None:
        return _Incoming(now, uids, head, part.chunks, small=False, refusal=refusal)
    read: list[bytes] = []
    room = SMALL_PART - len(head)
    while room > 0:
        chunk = next(part.chunks, b"")
        if not chunk:
            return _Incoming(now, uids, head, iter(read), small=True)
        read.append(chunk)
        room -= len(chunk)
    return _Incoming(now, uids, head, chain(read, part.chunks), small=False)


def _results(pending: deque[Future[Handled]], *, leaving: int) -> Iterator[Handled]:
    """The oldest results, until at most `leaving` are still under way."""
    while len(pending) > leaving:
        yield pending.popleft().result()


def _receive_aside(incoming: _Incoming) -> Handled:
    try:
        return _receive(incoming)
    finally:
        # This thread belongs to no request that would do it.
        close_old_connections()


def _receive(incoming: _Incoming) -> Handled:
    """Makes the part durable; PartCutOff of a large one passes, and leaves nothing of it."""
    if incoming.refusal is not None:
        return incoming.refusal
    uids = incoming.uids
    try:
        name = inbox.receive_part10(incoming.provenance, incoming.head, incoming.rest)
    except OutOfResources as failure:
        return Handled(uids, "", OUT_OF_RESOURCES, failure.message)
    except Unavailable as failure:
        return Handled(uids, "", PROCESSING_FAILURE, failure.message)
    inbox.ring()
    return Handled(uids, name)


def _head_of(chunks: Iterator[bytes]) -> tuple[bytes, Uids]:
    """The first bytes of the part, as many as it takes to read its UIDs."""
    head = bytearray()
    wanted = _HEAD
    while True:
        while len(head) < wanted:
            chunk = next(chunks, b"")
            if not chunk:
                return bytes(head), uids_in(bytes(head))
            head += chunk
        uids = uids_in(bytes(head))
        if uids.study_instance_uid or len(head) >= _LONGEST_HEAD:
            return bytes(head), uids
        wanted = len(head) * 4
