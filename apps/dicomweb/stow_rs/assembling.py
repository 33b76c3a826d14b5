"""Metadata and bulk data that come apart (PS3.18 10.5.2): put together, then stored as any other.

Bulk parts go to disk as they arrive; memory holds metadata only. A BulkDataURI names a part of
the same request by its Content-Location; nothing is ever fetched from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import IO, Final
from urllib.parse import unquote

from django.utils import timezone

from apps.dicom import composition
from apps.dicom.frame_syntaxes import syntax_of_frame
from apps.dicom.json_values import DicomJson, text_of
from apps.dicom.multipart import Part
from apps.dicom.native_xml import parse_xml
from apps.dicom.part10 import Provenance, file_meta
from apps.dicom.part_uids import Uids
from apps.dicom.transfer_syntaxes import (
    DEFAULT_OF_MEDIA_TYPE,
    DEFAULT_OF_VIDEO_TYPE,
    EXPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax,
)
from apps.dicomweb.negotiation import DICOM_JSON, DICOM_XML, OCTET_STREAM, parse_media_type
from apps.dicomweb.stow_rs.image_description import completed
from apps.dicomweb.stow_rs.outcome import (
    CANNOT_UNDERSTAND,
    MISMATCH,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    Handled,
)
from apps.errors import InvalidRequest, OutOfResources, Unavailable, UnreadableInstance
from apps.ingest import inbox
from apps.storage.scratch import scratch_file

LONGEST_METADATA: Final = 128 << 20
_CHUNK: Final = 1 << 20
_PIXEL_DATA: Final = "7FE00010"
_METADATA_TYPES: Final = frozenset({DICOM_JSON, DICOM_XML, "application/json", "text/xml"})


@dataclass
class Spooled:
    """One bulk value: a file on disk for each of its parts, and what they hold."""

    media_type: str
    transfer_syntax_uid: str
    files: list[IO[bytes]] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def chunks(self, part: int) -> Iterator[bytes]:
        """The bytes of one part, as often as asked for."""
        file = self.files[part]
        file.seek(0)
        while chunk := file.read(_CHUNK):
            yield chunk

    def head(self, length: int) -> bytes:
        """The first bytes of the first part."""
        self.files[0].seek(0)
        return self.files[0].read(length)


def assembled(
    parts: Iterator[Part], provenance: Provenance, study: str | None, metadata_type: str
) -> Iterator[Handled]:
    """Reads the whole body, then stores instance by instance. Raises InvalidRequest, PartCutOff."""
    with ExitStack() as open_files:
        datasets: list[DicomJson] = []
        bulk: dict[str, Spooled] = {}
        for part in parts:
            if not datasets:
                part.headers.setdefault("content-type", metadata_type)
            if _is_metadata(part, first=not datasets):
                datasets += _metadata(part)
            else:
                _spool(part, bulk, open_files)
        for dataset in datasets:
            yield _stored(dataset, bulk, provenance, study)


def _is_metadata(part: Part, *, first: bool) -> bool:
    media_type, _ = parse_media_type(part.headers.get("content-type", ""))
    described = media_type in _METADATA_TYPES
    if first and not described:
        raise InvalidRequest("Metadata must come before the bulk data it describes.")
    return described and (first or "content-location" not in part.headers)


def _metadata(part: Part) -> list[DicomJson]:
    text = bytearray()
    for chunk in part.chunks:
        text += chunk
        if len(text) > LONGEST_METADATA:
            raise InvalidRequest("The metadata is too long.")
    media_type, _ = parse_media_type(part.headers["content-type"])
    try:
        if media_type in {DICOM_XML, "text/xml"}:
            return [parse_xml(bytes(text))]
        return composition.parse_json(bytes(text))
    except UnreadableInstance as failure:
        raise InvalidRequest(failure.message) from failure


def _spool(part: Part, bulk: dict[str, Spooled], open_files: ExitStack) -> None:
    location = part.headers.get("content-location", "").strip()
    if not location:
        raise InvalidRequest("A bulk data part has no Content-Location.")
    media_type, parameters = parse_media_type(part.headers.get("content-type", ""))
    syntax = dict(parameters).get("transfer-syntax", "")
    file = open_files.enter_context(scratch_file())
    length = 0
    for chunk in part.chunks:
        file.write(chunk)
        length += len(chunk)
    value = bulk.setdefault(_key(location), Spooled(media_type, syntax))
    value.files.append(file)
    value.lengths.append(length)


def _key(uri: str) -> str:
    """A URI as it is compared: percent-encoding and surrounding brackets do not matter."""
    return unquote(uri.strip().strip("<>"))


def _stored(
    dataset: DicomJson, bulk: dict[str, Spooled], provenance: Provenance, study: str | None
) -> Handled:
    uids = Uids(*(_uid(dataset, tag) for tag in ("00080016", "00080018", "0020000D")))
    if not uids.sop_class_uid or not uids.sop_instance_uid or not uids.study_instance_uid:
        sentence = "The metadata lacks SOP Class, SOP Instance or Study Instance UID."
        return Handled(uids, "", CANNOT_UNDERSTAND, sentence)
    if study is not None and uids.study_instance_uid != study:
        sentence = "The instance belongs to another study than the URL."
        return Handled(uids, "", MISMATCH, sentence)
    try:
        pixels = bulk.get(_key(str(dataset.get(_PIXEL_DATA, {}).get("BulkDataURI", ""))))
        syntax = _syntax_of(pixels)
        dataset, warning = completed(dataset, pixels.head(_CHUNK) if pixels else b"", syntax)
        name = _into_inbox(dataset, bulk, uids, syntax, provenance)
    except UnreadableInstance as failure:
        return Handled(uids, "", CANNOT_UNDERSTAND, failure.message)
    except OutOfResources as failure:
        return Handled(uids, "", OUT_OF_RESOURCES, failure.message)
    except Unavailable as failure:
        return Handled(uids, "", PROCESSING_FAILURE, failure.message)
    inbox.ring()
    return Handled(uids, name, warning=warning)


def _uid(dataset: DicomJson, tag: str) -> str:
    element = dataset.get(tag)
    return text_of({tag: element}, tag).strip() if isinstance(element, dict) else ""


def _syntax_of(pixels: Spooled | None) -> str:
    """What the part names, else what its bytes are, else what its type means."""
    if pixels is None:
        return EXPLICIT_VR_LITTLE_ENDIAN
    row = transfer_syntax(pixels.transfer_syntax_uid or _unnamed_syntax_of(pixels))
    if row.implicit or row.big_endian or row.deflated:
        raise UnreadableInstance("Bulk data must be Little Endian or compressed.")
    return row.uid


def _unnamed_syntax_of(pixels: Spooled) -> str:
    if pixels.media_type in {"", OCTET_STREAM}:
        return EXPLICIT_VR_LITTLE_ENDIAN
    if pixels.media_type in DEFAULT_OF_VIDEO_TYPE:
        return DEFAULT_OF_VIDEO_TYPE[pixels.media_type]
    if pixels.media_type not in DEFAULT_OF_MEDIA_TYPE:
        raise UnreadableInstance(f"Pixel Data cannot be {pixels.media_type[:64]}.")
    return syntax_of_frame(pixels.head(_CHUNK), pixels.media_type)


def _into_inbox(
    dataset: DicomJson,
    bulk: dict[str, Spooled],
    uids: Uids,
    syntax: str,
    provenance: Provenance,
) -> str:
    head = file_meta(
        sop_class_uid=uids.sop_class_uid,
        sop_instance_uid=uids.sop_instance_uid,
        transfer_syntax_uid=syntax,
        provenance=None,
    )

    def found(uri: str) -> composition.Bulk:
        value = bulk.get(_key(uri))
        if value is None:
            raise UnreadableInstance("Bulk data that the metadata names did not come along.")
        return value

    encapsulated = transfer_syntax(syntax).encapsulated
    chunks = composition.composed(dataset, found, encapsulated=encapsulated)
    now = replace(provenance, received_at=timezone.now().isoformat())
    return inbox.receive_part10(now, head, chunks, waiter=inbox.Waiter.NOW)
