"""Images of the corpus, read on the product's own path: InstanceReader, FrameTable, DICOM JSON."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pydicom

from apps.dicom.pixels import PixelDescription
from apps.dicom.reader import InstanceReader
from apps.errors import UnreadableInstance


class Bytes:
    """A RandomAccess over bytes in memory that counts what is read."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size, self.bytes_read = data, len(data), 0

    def read_at(self, offset: int, length: int) -> bytes:
        piece = self.data[offset : offset + length]
        self.bytes_read += len(piece)
        return piece

    def close(self) -> None:
        """Nothing to release."""


@dataclass
class CorpusImage:
    """One instance: its DICOM JSON, its Transfer Syntax and, by number from 0, its frames."""

    dataset: dict[str, Any]
    transfer_syntax_uid: str
    frames: Any
    source: Any
    raw: bytes

    @cached_property
    def description(self) -> PixelDescription:
        return PixelDescription.from_json(self.dataset, self.transfer_syntax_uid)

    def frame(self, number: int = 0) -> bytes:
        pieces = self.frames.fragments(number)
        return b"".join(self.source.read_at(offset, length) for offset, length in pieces)

    def bit_offset(self, number: int = 0) -> int:
        return self.frames.bit_offset(number)

    def bulk_data(self, uri: str) -> bytes:
        """The bytes behind a BulkDataURI, as a client gets them: little endian."""
        path = uri.rpartition("/bulkdata/")[2].split("/")
        file = pydicom.dcmread(io.BytesIO(self.raw), force=True)
        item: Any = file
        while len(path) > 1:
            item = item[int(path[0], 16)].value[int(path[1]) - 1]
            path = path[2:]
        element = item[int(path[0], 16)]
        value = element.value
        if isinstance(value, bytes):
            return value
        return b"".join(int(each).to_bytes(2, "little") for each in value)


def read_image(path: Path) -> CorpusImage:
    """Raises UnreadableInstance where our reader refuses the object for more than missing UIDs.

    Some samples are images without identity; for them the identity is made up, nothing else.
    """
    raw = path.read_bytes()
    reader = InstanceReader(Bytes(raw))
    try:
        scan = reader.scan()
    except UnreadableInstance as refusal:
        if " UID" not in refusal.message:
            raise
        raw = with_identity(raw)
        reader = InstanceReader(Bytes(raw))
        scan = reader.scan()
    dataset = json.loads(b"".join(scan.json))
    return CorpusImage(dataset, scan.transfer_syntax_uid, scan.frames, reader.data, raw)


def with_identity(raw: bytes) -> bytes:
    """The object with the UIDs that it lacks."""
    ds = pydicom.dcmread(io.BytesIO(raw), force=True)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        if not ds.get(keyword):
            setattr(ds, keyword, "1.2.3")
    out = io.BytesIO()
    ds.save_as(out)
    return out.getvalue()


def described(ds: pydicom.Dataset) -> dict[str, Any]:
    """The DICOM JSON of a data set that a test has made."""
    model: dict[str, Any] = json.loads(ds.to_json(bulk_data_threshold=10**9))
    return model


def references(corpus: Path) -> list[dict[str, str]]:
    """The rows of pixels.csv."""
    with (corpus / "pixels.csv").open(newline="") as file:
        return list(csv.DictReader(file))
