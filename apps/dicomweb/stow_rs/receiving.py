"""The body of a Store request, part by part into the inbox; memory stays flat at any size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from django.http import HttpRequest
from django.utils import timezone

from apps.access.principals import Principal
from apps.dicom.part10 import Provenance
from apps.dicomweb.negotiation import DICOM, MULTIPART, OCTET_STREAM, parse_media_type
from apps.dicomweb.status import UnsupportedMediaType
from apps.dicomweb.stow_rs.multipart import CHUNK, ByteSource, MultipartReader, Part, PartCutOff
from apps.dicomweb.stow_rs.peek import Uids, uids_in
from apps.errors import InvalidRequest, OutOfResources, Unavailable
from apps.ingest import inbox

# Enough to hold File Meta and the UIDs of nearly every object; more is read where it is not.
_HEAD: Final = 64 << 10
_LONGEST_HEAD: Final = 4 << 20

# Failure Reasons (PS3.18 Annex I.2.2, PS3.7 Annex C).
OUT_OF_RESOURCES: Final = 0xA700
MISMATCH: Final = 0xA900
CANNOT_UNDERSTAND: Final = 0xC000
PROCESSING_FAILURE: Final = 0x0110
DUPLICATE_INSTANCE: Final = 0x0111


@dataclass(frozen=True, slots=True)
class Handled:
    """One part: its UIDs, and its inbox name, or why it was not taken."""

    uids: Uids
    inbox_name: str = ""
    failure_reason: int = 0
    explanation: str = ""


def parts_of(request: HttpRequest) -> Iterable[Part]:
    """The instances in the body. Raises UnsupportedMediaType or InvalidRequest."""
    media_type, parameters = parse_media_type(request.META.get("CONTENT_TYPE", ""))
    source: ByteSource = request.META["wsgi.input"]
    if media_type == DICOM:
        return [Part({"content-type": DICOM}, _whole_body(request, source))]
    named = dict(parameters)
    part_type = named.get("type", DICOM).lower()
    if media_type != MULTIPART or part_type not in {DICOM, OCTET_STREAM}:
        raise UnsupportedMediaType(
            'Send instances as multipart/related; type="application/dicom", '
            "or a single one as application/dicom."
        )
    if not named.get("boundary"):
        raise InvalidRequest("The Content-Type names no boundary.", offending=("Content-Type",))
    return MultipartReader(source, named["boundary"])


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
    """Takes part after part; each is durable before the next is read.

    Raises PartCutOff where the connection breaks: what was yielded before stays.
    """
    provenance = Provenance(
        door="stow",
        source_address=principal.address,
        received_at=timezone.now().isoformat(),
        user=principal.name,
    )
    for part in parts_of(request):
        yield _receive(part, replace(provenance, received_at=timezone.now().isoformat()), study)
        inbox.ring()


def _receive(part: Part, provenance: Provenance, study: str | None) -> Handled:
    head, uids = _head_of(part.chunks)
    if not head:
        return Handled(uids, "", CANNOT_UNDERSTAND, "The part is empty.")
    if study is not None and uids.study_instance_uid not in {"", study}:
        return Handled(uids, "", MISMATCH, "The instance belongs to another study than the URL.")
    try:
        return Handled(uids, inbox.receive_part10(provenance, head, part.chunks))
    except OutOfResources as failure:
        return Handled(uids, "", OUT_OF_RESOURCES, failure.message)
    except Unavailable as failure:
        return Handled(uids, "", PROCESSING_FAILURE, failure.message)


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
