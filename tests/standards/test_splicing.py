"""Amended values spliced into real files of every kind: only they change, strangers can read it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from apps.dicom.amendments import Circumstances, Layer
from apps.dicom.reader import InstanceReader
from apps.errors import UnreadableInstance
from apps.retrieve.splicing import spliced
from tests.standards.datasets import element, encoded, part10
from tests.standards.sources import Held, held

WHEN = Circumstances("20260101120000+0000", "PACSWEB", "CT1", "COERCE")
LAYERS = (
    Layer({0x00100020: ("LO", b"FIRST "), 0x00080080: ("LO", b"Here")}, WHEN),
    Layer({0x00100020: ("LO", b"SECOND")}, WHEN),
)
ORIGINAL, PATIENT_ID, INSTITUTION = "04000561", "00100020", "00080080"
EVERY = 3


def readable(corpus: Path) -> Iterator[tuple[Path, InstanceReader]]:
    paths = [path for path in sorted((corpus / "dicom").rglob("*")) if path.is_file()]
    for path in paths[::EVERY]:
        try:
            reader = InstanceReader(held(path))
            reader.scan()
        except UnreadableInstance:
            continue
        yield path, reader


def with_layers(path: Path, reader: InstanceReader) -> bytes:
    """The whole file, spliced; a deflated one inflated."""
    walk = reader.walk()
    data = reader.data
    head = path.read_bytes()[: reader.meta.dataset_offset]
    pieces = spliced(data, walk.position, walk.encoding, LAYERS)
    return head + b"".join(
        each if isinstance(each, bytes) else data.read_at(each.offset, each.length)
        for each in pieces
    )


def json_of(content: bytes) -> dict[str, Any]:
    return dict(json.loads(b"".join(InstanceReader(Held(content)).scan().json)))


def test_in_every_kind_of_file_the_named_attributes_change_and_nothing_else(corpus: Path) -> None:
    seen = 0
    for path, reader in readable(corpus):
        if reader.inflated:
            continue
        before, after = json_of(path.read_bytes()), json_of(with_layers(path, reader))
        items = after.pop(ORIGINAL)["Value"]
        earlier = before.pop(ORIGINAL, {}).get("Value", [])
        assert items[: len(earlier)] == earlier, path
        first, second = (each["04000550"]["Value"][0] for each in items[len(earlier) :])
        stated = before.pop(PATIENT_ID, {"vr": "LO"})
        assert first[PATIENT_ID].get("Value") == stated.get("Value"), path
        assert second[PATIENT_ID]["Value"] == ["FIRST"], path
        assert after.pop(PATIENT_ID)["Value"] == ["SECOND"], path
        assert after.pop(INSTITUTION)["Value"] == ["Here"], path
        before.pop(INSTITUTION, None)
        assert after == before, path
        seen += 1
    assert seen > 180


def test_pydicom_reads_what_was_spliced(corpus: Path) -> None:
    seen = 0
    for path, reader in readable(corpus):
        if reader.inflated or not reader.meta.has_preamble or "odd" in path.parts:
            continue
        found = pydicom.dcmread(io.BytesIO(with_layers(path, reader)))
        item = found.OriginalAttributesSequence[-1]
        assert found.PatientID == "SECOND", path
        assert item.ModifiedAttributesSequence[0].PatientID == "FIRST", path
        assert item.ModifyingSystem == "PACSWEB", path
        before = pydicom.dcmread(path)
        for keyword in ("PixelData", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
            assert found.get(keyword) == before.get(keyword), path
        seen += 1
    assert seen > 120


@pytest.mark.parametrize("undefined", [True, False])
def test_items_that_came_are_preserved_whatever_ends_their_sequence(undefined: bool) -> None:
    nested = [element(0x0400, 0x0563, "LO", b"THEIRS")]
    inner = element(0x0400, 0x0550, "SQ", nested, undefined=True)
    sequence = (0x0400, 0x0561, "SQ", [inner])
    raw = encoded(sequence, identity=True)
    if undefined:
        ours = element(0x0400, 0x0561, "SQ", [inner])
        raw = raw.replace(ours, element(0x0400, 0x0561, "SQ", [inner], undefined=True))
    content = part10(raw)
    reader = InstanceReader(Held(content))
    walk = reader.walk()
    pieces = spliced(reader.data, walk.position, walk.encoding, LAYERS)
    made = content[: reader.meta.dataset_offset] + b"".join(
        each if isinstance(each, bytes) else reader.data.read_at(each.offset, each.length)
        for each in pieces
    )
    items = json_of(made)[ORIGINAL]["Value"]
    assert len(items) == 3
    assert items[0] == json_of(content)[ORIGINAL]["Value"][0]
