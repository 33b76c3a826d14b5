"""Every file of the corpus through the whole path: STOW, index, search, metadata, bytes, frames."""

from __future__ import annotations

import csv
import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID

from apps.dicom.part10 import read_file_meta
from apps.dicom.part_uids import uids_in
from apps.dicom.pixels import BROWSER_TABLE
from tests.protocol.dicomweb_archive import Archive, header, multipart, parts_of, read

BATCH = 25
ANY = "multipart/related; type=application/octet-stream; transfer-syntax=*"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
EXPLICIT = "1.2.840.10008.1.2.1"
NEVER_SENT = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.2"}


@dataclass(frozen=True)
class Stored:
    """One file that the archive took: where it is now."""

    name: str
    content: bytes
    path: str


@dataclass(frozen=True)
class Corpus:
    """What became of the files: stored ones by name, and why the others were refused."""

    stored: dict[str, Stored]
    reasons: list[int]


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted((folder / "dicom").rglob("*")):
        if path.is_file() and path.name != "remove_all.dicom":
            yield path


def _as_its_own(content: bytes, seen: set[str]) -> bytes:
    """Many files show one instance in other encodings: later ones get a UID of the same length.

    Nothing else changes, so the bytes stay those of the program that wrote them.
    """
    uid = uids_in(content).sop_instance_uid
    if uid not in seen or len(uid) < 16:
        seen.add(uid)
        return content
    # Instances of one study stay apart by the series' own UID.
    other = uid[:4] + str(len(seen)).rjust(len(uid) - 4, "7")
    changed = content.replace(uid.encode(), other.encode())
    if uids_in(changed).sop_instance_uid != other:  # deflated: out of reach
        return content
    seen.add(other)
    return changed


@pytest.fixture(scope="module")
def through(archive: Archive, corpus: Path) -> Corpus:
    seen: set[str] = set()
    files = [
        (str(path.relative_to(corpus)), _as_its_own(path.read_bytes(), seen))
        for path in _files(corpus)
    ]
    stored: dict[str, Stored] = {}
    reasons: list[int] = []
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        answer = archive.post("/studies", multipart(*(content for _, content in batch)))
        assert answer.status_code in {200, 202}, answer.text
        kept, refused = (_items(answer.json(), tag) for tag in ("00081199", "00081198"))
        assert len(kept) + len(refused) == len(batch)
        reasons += [item["00081197"]["Value"][0] for item in refused]
        urls = {item["00081155"]["Value"][0]: item["00081190"]["Value"][0] for item in kept}
        for item in refused:
            urls.pop(item["00081155"].get("Value", [""])[0], None)
        for name, content in batch:
            url = urls.get(uids_in(content).sop_instance_uid, "")
            if "/studies/" in url:  # palettes and hanging protocols are served elsewhere
                stored[name] = Stored(name, content, url.removeprefix(archive.root))
    return Corpus(stored, reasons)


def _items(answer: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = answer.get(tag, {}).get("Value", [])
    return items


def _dataset(content: bytes) -> bytes:
    return content[read_file_meta(content[:65536]).dataset_offset :]


def test_everything_is_stored_or_refused_with_a_reason(through: Corpus):
    assert len(through.stored) > 620
    assert set(through.reasons) <= {0xC000, 0xA900, 0x0111}
    # DICOMDIRs, palettes and files without identity or cut before their end are no instances.
    assert through.reasons.count(0xC000) < 40
    assert len(through.reasons) - through.reasons.count(0xC000) < 10


def test_data_sets_come_back_byte_for_byte(archive: Archive, through: Corpus):
    for each in through.stored.values():
        back = archive.get(each.path, "application/dicom; transfer-syntax=*")
        assert back.status_code == 200, each.name
        if read_file_meta(each.content[:65536]).transfer_syntax_uid not in NEVER_SENT:
            assert _dataset(back.content) == _dataset(each.content), each.name
        else:
            assert back.headers["Content-Type"].endswith(EXPLICIT), each.name
            assert read(back.content).SOPInstanceUID == each.path.rpartition("/")[2]


def test_every_instance_has_metadata_and_is_found(archive: Archive, through: Corpus):
    for each in through.stored.values():
        (row,) = archive.json(each.path + "/metadata")
        uid = row["00080018"]["Value"][0]
        assert each.path.endswith(uid), each.name
        if UID(uid).is_valid:
            (found,) = archive.json(f"/instances?SOPInstanceUID={uid}")
            assert found["00081190"]["Value"] == [archive.root + each.path]


def _references(corpus: Path) -> dict[str, dict[str, str]]:
    with (corpus / "pixels.csv").open() as table:
        return {row["path"]: row for row in csv.DictReader(table)}


def test_frames_decoded_here_equal_the_references(archive: Archive, through: Corpus, corpus: Path):
    exact = colours = 0
    references = _references(corpus)
    for name, each in through.stored.items():
        row = references.get(name)
        if row is None or not row["agreement"].startswith("two or more agree exactly"):
            continue
        accept = f'multipart/related; type="application/octet-stream"; transfer-syntax={EXPLICIT}'
        answer = archive.get(each.path + "/frames/1", accept)
        assert answer.status_code == 200, (name, answer.text)
        ((head, body),) = parts_of(answer)
        assert header(head, "Content-Type").endswith(f"transfer-syntax={EXPLICIT}")
        (metadata,) = archive.json(each.path + "/metadata")
        if metadata["00280004"]["Value"] == ["YBR_FULL_422"]:
            if len(body) < np.prod([int(n) for n in row["shape"].split("x")]):
                continue  # native frames keep half of the colour samples, as stored
            # Viewers take them for RGB, which they are; the instance has the samples themselves.
            whole = archive.get(each.path, f"application/dicom; transfer-syntax={EXPLICIT}")
            back = pydicom.dcmread(pydicom.filebase.DicomBytesIO(whole.content))
            shown = pydicom.pixels.pixel_array(back, index=0).ravel().astype(int)
            assert np.abs(np.frombuffer(body, np.uint8)[: shown.size] - shown).max() <= 1, name
            body = pydicom.pixels.pixel_array(back, index=0, raw=True).tobytes()
            colours += 1
        assert _digest(body, row, metadata) == row["sha256"], name
        exact += 1
    assert exact > 500
    assert colours > 0


def _digest(frame: bytes, row: dict[str, str], metadata: dict[str, Any]) -> str:
    """The digest of stored values: samples together, 1-bit pixels as bytes, unused bits cleared."""
    shape = tuple(int(n) for n in row["shape"].lower().split("x"))
    dtype, size = np.dtype(row["dtype"]), int(np.prod(shape))
    if metadata["00280100"]["Value"] == [1]:
        bits = np.unpackbits(np.frombuffer(frame, np.uint8), bitorder="little")[:size]
        return hashlib.sha256(bits.astype(dtype).tobytes()).hexdigest()
    pixels = np.frombuffer(frame, dtype.newbyteorder("<"))[:size].astype(dtype)
    if dtype.kind in "iu" and "00280101" in metadata:
        unused = dtype.itemsize * 8 - metadata["00280101"]["Value"][0]
        pixels = (pixels << unused) >> unused
    if len(shape) == 3 and metadata.get("00280006", {}).get("Value") == [1]:
        pixels = pixels.reshape(shape[2], *shape[:2]).transpose(1, 2, 0)
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


# Each sampled file is asked for in one of these; pydicom's plug-ins read them, none of ours.
COMPRESSED = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5")


def test_instances_compressed_here_equal_the_references(
    archive: Archive, through: Corpus, corpus: Path
):
    """A sample of the corpus, transcoded whole, decoded by strangers, against `pixels.csv`."""
    references = _references(corpus)
    known = [
        (each, references[name])
        for name, each in through.stored.items()
        if references.get(name, {}).get("agreement", "").startswith("two or more agree exactly")
    ]
    exact = 0
    for number, (each, row) in enumerate(known[::9]):
        syntax = COMPRESSED[number % len(COMPRESSED)]
        answer = archive.get(each.path, f"application/dicom; transfer-syntax={syntax}")
        if answer.status_code == 406:  # more bits, or other samples, than the syntax can hold
            continue
        assert answer.status_code == 200, (each.name, answer.text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            back = pydicom.dcmread(pydicom.filebase.DicomBytesIO(answer.content))
            if back.file_meta.TransferSyntaxUID != syntax or back.BitsAllocated == 1:
                continue
            values = pydicom.pixels.pixel_array(back, index=0, raw=True)
        metadata = archive.json(each.path + "/metadata")[0]
        metadata["00280006"] = {"vr": "US", "Value": [0]}
        if metadata["00280004"]["Value"] == ["YBR_FULL_422"]:
            continue  # the references hold other halves of the colours
        assert _digest(values.tobytes(), row, metadata) == row["sha256"], (each.name, syntax)
        exact += 1
    assert exact > 35


def test_rewritten_instances_decode_to_the_same_pixels(archive: Archive, through: Corpus):
    compared = 0
    for each in through.stored.values():
        if "syntax-ct" not in each.name and "sc-color" not in each.name:
            continue
        answer = archive.get(each.path, 'multipart/related; type="application/dicom"')
        assert answer.status_code == 200, each.name
        ((head, body),) = parts_of(answer)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            back = pydicom.dcmread(pydicom.filebase.DicomBytesIO(body))
            if not header(head, "Content-Type").endswith(f"={EXPLICIT}"):
                continue
            assert back.file_meta.TransferSyntaxUID == EXPLICIT
            back.pixel_array  # noqa: B018  length and attributes fit together
        compared += 1
    assert compared > 40


def test_browsers_get_what_their_decoders_get_right(archive: Archive, through: Corpus):
    browser = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}
    suspects = frozenset[str]().union(*(row.transfer_syntax_uids for row in BROWSER_TABLE))
    changed = 0
    for each in through.stored.values():
        stored = read_file_meta(each.content[:65536]).transfer_syntax_uid
        if stored not in suspects:
            continue
        path = each.path + "/frames/1"
        to_browser = archive.get(path, ANY, headers=browser)
        if to_browser.status_code == 404:
            continue
        assert to_browser.status_code == 200, each.name
        label = header(parts_of(to_browser)[0][0], "Content-Type")
        to_program = header(parts_of(archive.get(path, ANY))[0][0], "Content-Type")
        if stored == JPEG_EXTENDED:
            assert to_program.endswith(f"={stored}")
            bits = archive.json(each.path + "/metadata")[0]["00280100"]["Value"][0]
            assert label.endswith(f"={EXPLICIT if bits > 8 else stored}"), each.name
        changed += label != to_program
    assert changed


def test_a_frame_that_is_not_what_its_syntax_says_reaches_browsers_decoded(
    archive: Archive, corpus: Path
) -> None:
    """`sample-op.dcm` says JPEG Lossless and holds JPEG Baseline: browsers would paint noise."""
    path = corpus / "dicom" / "vl-wsi" / "sample-op.dcm"
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    assert archive.store_files(path).status_code in {200, 202, 409}
    answer = archive.get(
        f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
        f"/instances/{ds.SOPInstanceUID}/frames/1",
        "multipart/related; type=application/octet-stream; transfer-syntax=*",
        headers={"User-Agent": "Mozilla/5.0"},
    )
    assert answer.status_code == 200
    ((head, body),) = parts_of(answer)
    assert header(head, "Content-Type").endswith("transfer-syntax=1.2.840.10008.1.2.1")
    assert len(body) == ds.Rows * ds.Columns * ds.SamplesPerPixel * ds.BitsAllocated // 8
