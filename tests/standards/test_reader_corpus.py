"""The reader against pydicom on every file of the corpus: DICOM JSON, frames, what is refused."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
from pydicom.encaps import generate_frames
from pydicom.filewriter import correct_ambiguous_vr

from apps.dicom.frames import FrameTable
from apps.dicom.reader import InstanceReader
from apps.dicom.sop_classes import sop_class
from apps.errors import UnreadableInstance
from tests.standards.sources import held

# Refused, and why. Objects that belong to no patient's study are not what a study archive keeps.
NO_STUDY = "has no Study Instance UID"
NO_INSTANCE = "has no SOP Instance UID"
REFUSED = {
    "charset/chrSQEncoding.dcm": NO_INSTANCE,
    "charset/empty_charset_LEI.dcm": NO_INSTANCE,
    "mr/decimal_rescale.dcm": NO_INSTANCE,
    "odd/GH179B.dcm": "cut off",
    "odd/GH220.dcm": NO_STUDY,
    "odd/GH223.dcm": NO_STUDY,
    "odd/GH487.dcm": NO_STUDY,
    "odd/GH626.dcm": "cut off",
    "odd/UN_sequence.dcm": NO_INSTANCE,
    "odd/meta_missing_tsyntax.dcm": NO_INSTANCE,
    "odd/nested_priv_SQ.dcm": NO_INSTANCE,
    "odd/no_meta_group_length.dcm": NO_INSTANCE,
    "odd/no_preamble_dicm_in_data": NO_INSTANCE,
    "odd/priv_SQ.dcm": NO_INSTANCE,
    "odd/remove_all.dicom": "not a DICOM object",
    "odd/rtplan_truncated.dcm": "cut off",
    "sc-color/HTJ2KLossless_08_RGB.dcm": NO_STUDY,
    "sc-color/HTJ2K_08_RGB.dcm": NO_STUDY,
    "sc-color/SC_rgb_jls_lossy_line.dcm": NO_STUDY,
    "sc-color/SC_rgb_jls_lossy_sample.dcm": NO_STUDY,
    "vl-wsi/multiframe.dcm": NO_STUDY,
}


def files(corpus: Path) -> Iterator[tuple[str, Path]]:
    folder = corpus / "dicom"
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path


def test_every_file_scans_or_is_refused_with_a_sentence(corpus):
    refused = {}
    scanned = 0
    for name, path in files(corpus):
        try:
            scan = InstanceReader(held(path)).scan()
        except UnreadableInstance as error:
            refused[name] = error.message
            continue
        scanned += 1
        assert json.loads(b"".join(scan.json))
    directories = {name for name in refused if "DICOMDIR" in name}
    assert {name for name in refused if name not in directories} == set(REFUSED)
    for name, reason in REFUSED.items():
        assert reason in refused[name]
    assert scanned > 600


# -- DICOM JSON


def ours(path: Path) -> dict[str, Any]:
    return json.loads(b"http://x".join(InstanceReader(held(path)).scan().json))


def theirs(path: Path) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(path, force=True)
        correct_ambiguous_vr(ds, ds.original_encoding[1] is not False)
        return ds.to_json_dict(1, lambda _: "bulk")


def normalised(dataset: dict[str, Any]) -> dict[str, Any]:
    """Takes away the differences that are meant; what is left has to be equal.

    - Binary values: which are inline and which are bulk is tested elsewhere; here only that there
      is one.
    - Texts: pydicom keeps leading spaces, writes "" for an empty value among several, we null.
    - Specific Character Set: we write what the JSON is encoded in.
    - Group lengths: F.2.2 leaves them out, pydicom does not.
    """
    return {
        tag: _normalised_element(tag, element)
        for tag, element in dataset.items()
        if not tag.endswith("0000")
    }


BINARY = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}


def _normalised_element(tag: str, element: dict[str, Any]) -> tuple[str, Any]:
    vr = str(element["vr"])
    if vr in BINARY:
        return vr, bool(element.get("BulkDataURI") or element.get("InlineBinary"))
    values = element.get("Value", [])
    if tag == "00080005":
        return vr, None
    if vr == "SQ":
        return vr, [normalised(each) for each in values]
    values = [each.strip(" ") if isinstance(each, str) else each for each in values]
    values = [None if each == "" else each for each in values]
    return vr, [] if values == [None] else values


# Files where pydicom itself goes wrong; ours is then tested in test_reader_odd.py.
PYDICOM_ERRS = {
    "odd/GH177_D_CLUNIE_CT1_IVRLE_BigEndian_undefined_length.dcm",  # raises
    "odd/badVR.dcm",  # raises: Number of Frames is `1A`
    "odd/GH179A.dcm",  # takes the rest of the header for one value
    "odd/no_meta.dcm",  # does not look for the stray byte
    "odd/emri_small_jpeg_2k_lossless_too_short.dcm",  # gives up the whole data set
}


def test_json_equals_pydicoms_on_every_file_it_can_read(corpus):
    compared = 0
    for name, path in files(corpus):
        if name in PYDICOM_ERRS:
            continue
        try:
            found = ours(path)
        except UnreadableInstance:
            continue
        assert normalised(found) == normalised(theirs(path)), name
        compared += 1
    assert compared > 600


def test_JSN_01_keys_are_ascending_upper_case_hexadecimal_without_group_lengths(corpus):
    def check(dataset: dict[str, Any]) -> None:
        assert list(dataset) == sorted(dataset)
        for tag, element in dataset.items():
            assert re.fullmatch("[0-9A-F]{8}", tag)
            assert not tag.endswith("0000")
            assert not tag.startswith("0002")
            assert sum(key in element for key in ("Value", "BulkDataURI", "InlineBinary")) <= 1
            if element["vr"] == "SQ":
                for item in element.get("Value", []):
                    check(item)

    for _name, path in files(corpus):
        try:
            found = ours(path)
        except UnreadableInstance:
            continue
        check(found)
        assert found.get("00080005", {}).get("Value", ["ISO_IR 192"]) == ["ISO_IR 192"]


def test_WAD_10_every_bulk_data_uri_is_found_by_its_path(corpus):
    resolved = 0
    for _name, path in files(corpus):
        source = held(path)
        try:
            reader = InstanceReader(source)
            scan = reader.scan()
        except UnreadableInstance:
            continue
        told = {(each.path, each.offset, each.length, each.vr) for each in reader.bulk_elements()}
        located = set()
        for piece in scan.json[1:]:
            category = sop_class(scan.attributes["SOPClassUID"]).resource
            levels, keywords = (
                (f"/{category}/([^/]+)", ("SOPInstanceUID",))
                if category
                else (
                    "/studies/([^/]+)/series/([^/]+)/instances/([^/]+)",
                    ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
                )
            )
            match = re.match(f'{levels}/bulkdata/([0-9A-F/]+)"', piece.decode())
            assert match
            *uids, where = match.groups()
            assert uids == [scan.attributes[keyword] for keyword in keywords]
            offset, length, vr = reader.locate(tuple(where.split("/")))
            there = reader.data.read_at(offset, length)
            assert len(there) == min(length, reader.data.size - offset) > 0
            assert vr in BINARY
            located.add((tuple(where.split("/")), offset, length, vr))
            resolved += 1
        assert told == located
    assert resolved > 600


# -- frames


def frame_bytes(table: FrameTable, content: bytes, frame: int) -> bytes:
    return b"".join(content[at : at + length] for at, length in table.fragments(frame))


# pydicom refuses or miscounts these; each is tested on its own elsewhere.
FRAMES_APART = {
    "odd/emri_small_jpeg_2k_lossless_too_short.dcm",
    "odd/GH1146.dcm",
    "odd/badVR.dcm",
    "odd/GH177_D_CLUNIE_CT1_IVRLE_BigEndian_undefined_length.dcm",
    "odd/no_meta.dcm",
}


def test_frames_equal_pydicoms_on_every_file(corpus):
    encapsulated = native = 0
    for name, path in files(corpus):
        if name in FRAMES_APART:
            continue
        source = held(path)
        try:
            reader = InstanceReader(source)
            scan = reader.scan()
        except UnreadableInstance:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = pydicom.dcmread(path, force=True)
        keyword = next((k for k in PIXEL_KEYWORDS if k in ds), None)
        if keyword is None:
            assert scan.frames is None, name
            continue
        assert scan.frames is not None, name
        packed = scan.frames.to_bytes()
        table = FrameTable.from_bytes(packed)
        content = reader.data.read_at(0, reader.data.size)
        count = int(ds.get("NumberOfFrames") or 1)
        assert table.count == count, name
        if ds[keyword].is_undefined_length:
            expected = list(generate_frames(ds.PixelData, number_of_frames=count))
            encapsulated += 1
        else:
            expected = native_frames_of(ds, keyword, count)
            native += 1
        found = [frame_bytes(table, content, frame) for frame in range(count)]
        assert found == expected, name
    assert encapsulated > 250
    assert native > 300


PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def native_frames_of(ds: pydicom.Dataset, keyword: str, count: int) -> list[bytes]:
    value = bytes(ds[keyword].value)
    bits = {"PixelData": ds.BitsAllocated, "FloatPixelData": 32, "DoubleFloatPixelData": 64}[
        keyword
    ]
    samples = 2 if ds.PhotometricInterpretation == "YBR_FULL_422" else ds.SamplesPerPixel
    size = ds.Rows * ds.Columns * samples * bits
    return [value[frame * size // 8 : ((frame + 1) * size + 7) // 8] for frame in range(count)]


# -- bytes read


def test_the_scan_reads_the_head_and_the_item_headers_only(corpus):
    path = corpus / "dicom" / "series-ct-head"
    source = held(next(iter(sorted(path.iterdir()))))
    scan = InstanceReader(source).scan()
    assert scan.frames is not None
    assert source.size > 500_000
    assert source.requested < 200_000
