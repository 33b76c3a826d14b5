"""WADO-RS over real HTTP: instances, metadata, frames, bulk data, pictures."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pydicom
import pytest
import requests
from PIL import Image
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from pydicom.uid import generate_uid as new_uid
from requests.exceptions import ChunkedEncodingError

from tests.builders import ct_slice, part10
from tests.protocol.dicomweb_archive import Archive, header, parts_of, path_of, read

OCTETS = 'multipart/related; type="application/octet-stream"'
ANY_FRAME = "multipart/related; type=application/octet-stream; transfer-syntax=*"
INSTANCES = 'multipart/related; type="application/dicom"'
JSON = "application/dicom+json"
XML = 'multipart/related; type="application/dicom+xml"'


def frame_of(ds: pydicom.Dataset, number: int) -> bytes:
    size = ds.Rows * ds.Columns * 2
    return ds.PixelData[(number - 1) * size : number * size]


@pytest.fixture(scope="module")
def cine(archive: Archive):
    ds = ct_slice(frames=5, size=24)
    assert archive.store(ds).status_code == 200
    return ds


@pytest.fixture(scope="module")
def rle(archive: Archive):
    """Three RLE frames, and their pixels before compression."""
    ds = ct_slice(frames=3, size=20)
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    pixels = ds.pixel_array.copy()
    uid = ds.SOPInstanceUID
    ds.compress(RLELossless)
    ds.SOPInstanceUID = uid
    assert archive.store(part10(ds, RLELossless)).status_code == 200
    return ds, pixels


# -- whole instances


def test_WAD_06_as_stored_where_any_syntax_is_welcome(archive: Archive, rle):
    ds, _ = rle
    response = archive.get(path_of(ds), INSTANCES + "; transfer-syntax=*")
    ((head, body),) = parts_of(response)
    assert header(head, "Content-Type") == f"application/dicom; transfer-syntax={RLELossless}"
    assert read(body).PixelData == ds.PixelData
    alone = archive.get(path_of(ds), "application/dicom; transfer-syntax=*")
    assert alone.headers["Content-Type"] == header(head, "Content-Type")
    assert alone.content == body


def test_WAD_05_the_default_is_explicit_little_endian(archive: Archive, rle):
    ds, pixels = rle
    ((head, body),) = parts_of(archive.get(path_of(ds), INSTANCES))
    assert header(head, "Content-Type").endswith(ExplicitVRLittleEndian)
    back = read(body)
    assert back.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(back.pixel_array, pixels)
    assert back.PatientName == ds.PatientName


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_WAD_05_what_is_never_sent_is_rewritten(archive: Archive, syntax):
    ds = ct_slice(size=18)
    ds.ReferencedStudySequence = [pydicom.Dataset()]
    ds.ReferencedStudySequence[0].ReferencedSOPInstanceUID = "1.2.3"
    ds.add_new(0x00091010, "LO", "secret") if syntax != ImplicitVRLittleEndian else None
    file = part10(ds, syntax)
    if syntax == ExplicitVRBigEndian:
        swapped = np.frombuffer(ds.PixelData, "<i2").astype(">i2").tobytes()
        file = file.replace(ds.PixelData, swapped)
    assert archive.store(file).status_code == 200
    ((head, body),) = parts_of(archive.get(path_of(ds), INSTANCES))
    assert header(head, "Content-Length") == str(len(body))
    back = read(body)
    assert back.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(back.pixel_array, np.frombuffer(ds.PixelData, "<i2").reshape(18, 18))
    assert [e for e in back if e.tag != 0x7FE00010] == [e for e in ds if e.tag != 0x7FE00010]
    as_stored = archive.get(path_of(ds), "application/dicom; transfer-syntax=*")
    named = archive.get(path_of(ds), f"application/dicom; transfer-syntax={syntax}")
    if syntax == DeflatedExplicitVRLittleEndian:
        assert as_stored.headers["Content-Type"].endswith(syntax)
        assert named.content == as_stored.content
    else:
        assert as_stored.content == body
        assert named.status_code == 406


def test_WAD_08_a_study_is_a_multipart_of_its_instances(archive: Archive):
    study = new_uid()
    slices = [ct_slice(study=study, number=n, SeriesNumber=n) for n in (1, 2, 3)]
    archive.store(*slices)
    response = archive.get(f"/studies/{study}", INSTANCES + "; transfer-syntax=*")
    assert response.headers["Content-Type"].startswith(
        'multipart/related; type="application/dicom"; boundary='
    )
    parts = parts_of(response)
    assert [read(body).SOPInstanceUID for _, body in parts] == [s.SOPInstanceUID for s in slices]
    for (head, body), ds in zip(parts, slices, strict=True):
        assert header(head, "Content-Length") == str(len(body))
        assert header(head, "Content-Location") == archive.root + path_of(ds)
    assert response.content.rstrip().endswith(b"--")


def test_WAD_08_an_answer_that_fails_midway_is_never_taken_for_a_whole_one(
    archive: Archive,
) -> None:
    """Whether its length was announced or not: the connection breaks, and that is counted."""
    if archive.stack.production:
        pytest.skip("cuts a blob short, which only a local folder lets us do")
    study, folder = new_uid(), archive.stack.data_dir / "blobs"
    slices = [ct_slice(study=study, number=n, size=256) for n in (1, 2)]
    archive.store(slices[0])
    before = {path for path in folder.rglob("*") if path.is_file()}
    archive.store(slices[1])
    # Who asks for it waits until it is placed.
    assert archive.get(path_of(slices[1]), INSTANCES).status_code == 200
    (short,) = {path for path in folder.rglob("*") if path.is_file()} - before
    short.chmod(0o600)
    os.truncate(short, short.stat().st_size - 100)
    counted = _cut_off(archive)
    alone = path_of(slices[1])
    with ThreadPoolExecutor() as others:
        meanwhile = [
            others.submit(archive.get, path_of(slices[0]), INSTANCES, timeout=30) for _ in range(40)
        ]
        for path, accept in (
            (f"/studies/{study}", INSTANCES),
            (f"/studies/{study}", "application/zip"),
            (alone, "application/dicom"),
        ):
            with pytest.raises((requests.ConnectionError, ChunkedEncodingError)):
                archive.get(path, accept, timeout=30)
    for each in meanwhile:
        ((_, body),) = parts_of(each.result())
        assert read(body).PixelData == slices[0].PixelData
    archive.stack.wait_until(lambda: _cut_off(archive) == counted + 3)


def _cut_off(archive: Archive) -> float:
    page = requests.get(archive.stack.url("/metrics"), timeout=30).text
    (line,) = (each for each in page.splitlines() if each.startswith("pacsweb_answers_cut_off_to"))
    return float(line.split()[1])


def test_WAD_12_what_is_left_of_a_study_is_sent_and_said(archive: Archive):
    if archive.stack.production:
        pytest.skip("takes a blob away, which only a local folder lets us do")
    study, folder = new_uid(), archive.stack.data_dir / "blobs"
    slices = [ct_slice(study=study, number=n) for n in (1, 2)]
    archive.store(slices[0])
    before = {path for path in folder.rglob("*") if path.is_file()}
    archive.store(slices[1])
    (lost,) = {path for path in folder.rglob("*") if path.is_file()} - before
    aside = lost.rename(lost.with_name(lost.name + ".aside"))
    try:
        response = archive.get(f"/studies/{study}", INSTANCES)
        assert response.status_code == 206
        assert "1 instances are missing" in response.headers["Warning"]
        ((_, body),) = parts_of(response)
        assert read(body).SOPInstanceUID == slices[0].SOPInstanceUID
        for resource in ("/bulkdata", "/pixeldata"):
            values = archive.get(f"/studies/{study}{resource}", OCTETS)
            assert (values.status_code, "Warning" in values.headers) == (206, True)
            assert [body for _, body in parts_of(values)] == [slices[0].PixelData]
        assert archive.get(path_of(slices[1]), INSTANCES).status_code == 410
    finally:
        aside.rename(lost)
    assert len(parts_of(archive.get(f"/studies/{study}", INSTANCES))) == 2


def test_nothing_of_where_it_came_from_leaves_the_archive(archive: Archive, cine):
    back = read(archive.get(path_of(cine), "application/dicom; transfer-syntax=*").content)
    elements = {element.tag.element for element in back.file_meta}
    assert elements <= {0x0000, 0x0001, 0x0002, 0x0003, 0x0010, 0x0012, 0x0013}
    assert archive.stack.username.encode() not in str(back.file_meta).encode()


def test_a_named_syntax_that_cannot_be_made_is_406(archive: Archive, cine):
    near_lossless = INSTANCES + "; transfer-syntax=1.2.840.10008.1.2.4.81"
    refusal = archive.get(path_of(cine), near_lossless)
    assert refusal.status_code == 406
    assert "1.2.840.10008.1.2.4.81" in refusal.json()["message"]
    explicit = INSTANCES + f"; transfer-syntax={ExplicitVRLittleEndian}"
    # The next entry counts where the first cannot be made (PS3.18 8.7.7).
    both = archive.get(path_of(cine), f"{near_lossless};q=0.9, {explicit};q=0.5")
    assert both.status_code == 200
    assert header(parts_of(both)[0][0], "Content-Type").endswith(ExplicitVRLittleEndian)


def test_WAD_03_frames_that_no_codec_takes_are_sent_as_the_next_entry_says(archive: Archive):
    ds = ct_slice(size=8, BitsAllocated=32, BitsStored=32, HighBit=31)
    ds.PixelData = np.arange(64, dtype="<u4").tobytes()
    archive.store(ds)
    packed = 'multipart/related; type="image/jls"'
    assert archive.get(path_of(ds) + "/frames/1", packed).status_code == 406
    ((head, body),) = parts_of(archive.get(path_of(ds) + "/frames/1", f"{packed}, {ANY_FRAME}"))
    assert header(head, "Content-Type").endswith(ExplicitVRLittleEndian)
    assert body == ds.PixelData


def test_WAD_03_so_it_is_with_what_follows_in_a_collection(archive: Archive):
    study, series = new_uid(), new_uid()
    flat, deep = (ct_slice(study=study, series=series, size=8, number=n) for n in (1, 2))
    deep.BitsAllocated, deep.BitsStored, deep.HighBit, deep.PixelRepresentation = 32, 32, 31, 0
    values = np.arange(64, dtype="<u4")
    # One literal run and a filling byte for each byte of the samples, the highest first.
    runs = [b"\x3f" + row.tobytes() + b"\x80" for row in values.view("u1").reshape(64, 4).T[::-1]]
    head = np.zeros(16, dtype="<u4")
    head[:5] = 4, *range(64, 64 + 4 * 66, 66)
    deep.PixelData = pydicom.encaps.encapsulate([head.tobytes() + b"".join(runs)])
    packed = pydicom.dcmread(io.BytesIO(part10(flat)))
    packed.compress(RLELossless, generate_instance_uid=False)
    for ds in (packed, deep):
        assert archive.store(part10(ds, RLELossless)).status_code == 200
    accept = f'multipart/related; type="image/jls", {OCTETS}'
    (first, _), (second, body) = parts_of(archive.get(f"/studies/{study}/pixeldata", accept))
    assert header(first, "Content-Type").startswith("image/jls;")
    assert header(second, "Content-Type").endswith(ExplicitVRLittleEndian)
    assert body == values.tobytes()


@pytest.mark.parametrize("level", ["/studies/{0}", "/studies/{0}/series/{1}"])
@pytest.mark.parametrize("resource", ["", "/metadata", "/rendered", "/thumbnail"])
def test_what_is_not_there_is_404_in_words(archive: Archive, level, resource):
    response = archive.get(level.format("1.2.3.4", "1.2.3.5") + resource)
    assert response.status_code == 404
    assert response.json()["message"].endswith(".")


def test_an_instance_under_another_study_is_not_there(archive: Archive, cine):
    other = ct_slice()
    archive.store(other)
    path = path_of(cine).replace(cine.StudyInstanceUID, other.StudyInstanceUID)
    for resource in ("", "/metadata", "/frames/1", "/rendered", "/bulkdata/7FE00010"):
        assert archive.get(path + resource).status_code == 404


# -- metadata


def test_WAD_10_metadata_says_what_pydicom_says(archive: Archive, cine):
    ((row),) = archive.json(path_of(cine) + "/metadata")
    bulk = row.pop("7FE00010")
    expected = json.loads(json.dumps(cine.to_json_dict(), default=str))
    expected.pop("7FE00010")
    expected["00080005"]["Value"] = row["00080005"]["Value"]
    assert row == expected
    pixels = requests.get(
        bulk["BulkDataURI"],
        auth=archive.stack.auth,
        headers={"Accept": "application/octet-stream"},
        timeout=10,
    )
    assert pixels.content == cine.PixelData


def test_WAD_20_unchanged_metadata_is_304(archive: Archive, cine):
    path = path_of(cine) + "/metadata"
    first = archive.get(path, JSON)
    again = archive.get(path, JSON, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "Cookie" in first.headers["Vary"]
    assert "private" in first.headers["Cache-Control"]


def test_WAD_20_another_representation_has_another_tag(archive: Archive, cine):
    path = path_of(cine) + "/metadata"
    packed = archive.get(path, JSON, headers={"Accept-Encoding": "gzip"})
    plain = archive.get(path, JSON, headers={"Accept-Encoding": "identity"})
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert packed.json() == plain.json()


def test_WAD_21_series_metadata_in_order_and_packed(archive: Archive):
    study, series = new_uid(), new_uid()
    archive.store(*(ct_slice(study=study, series=series, number=n) for n in (3, 1, 2)))
    path = f"/studies/{study}/series/{series}/metadata"
    packed = archive.get(path, JSON, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert [row["00200013"]["Value"][0] for row in packed.json()] == [1, 2, 3]
    for row in packed.json():
        assert row["7FE00010"]["BulkDataURI"].startswith(archive.root)
    models = archive.get(path, XML, headers={"Accept-Encoding": "gzip"})
    assert models.headers["Content-Encoding"] == "gzip"
    for (head, _), row in zip(parts_of(models), packed.json(), strict=True):
        # Each part says where it is had alone.
        uid = row["00080018"]["Value"][0]
        assert header(head, "Content-Location").endswith(f"/instances/{uid}/metadata")


def test_metadata_is_served_without_any_dicom_file(archive: Archive):
    """Blob reads per metadata answer: none. With the blobs out of the way it is still whole."""
    if archive.stack.production:
        pytest.skip("moves the blob folder away, which S3 has not")
    ds = ct_slice(frames=2)
    archive.store(ds)
    study = f"/studies/{ds.StudyInstanceUID}"
    folder = archive.stack.data_dir / "blobs"
    aside = folder.rename(folder.with_name("blobs-aside"))
    try:
        for level in (study, f"{study}/series/{ds.SeriesInstanceUID}", path_of(ds)):
            rows = archive.json(level + "/metadata")
            assert rows[0]["00080018"]["Value"] == [ds.SOPInstanceUID]
        gone = archive.get(path_of(ds) + "/frames/1")
        assert gone.status_code == 410
        assert "missing" in gone.json()["message"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    frame = archive.get(path_of(ds) + "/frames/2", "application/octet-stream")
    assert frame.content == frame_of(ds, 2)


# -- frames


@pytest.mark.parametrize("wanted", ["1", "5", "3,1,5", "2,2"])
def test_WAD_09_frames_in_the_order_asked(archive: Archive, cine, wanted):
    parts = parts_of(archive.get(path_of(cine) + f"/frames/{wanted}", ANY_FRAME))
    numbers = [int(each) for each in wanted.split(",")]
    assert [body for _, body in parts] == [frame_of(cine, number) for number in numbers]
    for (head, body), number in zip(parts, numbers, strict=True):
        assert head.splitlines()[0] == (
            f"Content-Type: application/octet-stream; transfer-syntax={ExplicitVRLittleEndian}"
        )
        assert header(head, "Content-Length") == str(len(body))
        location = archive.root + path_of(cine) + f"/frames/{number}"
        assert header(head, "Content-Location") == location


@pytest.mark.parametrize(
    ("wanted", "status"),
    [("0", 400), ("6", 404), ("1,6", 404), ("x", 400), ("1,,2", 400), ("-1", 400), ("1.5", 400)],
)
def test_WAD_09_frames_that_are_not_there(archive: Archive, cine, wanted, status):
    assert archive.get(path_of(cine) + f"/frames/{wanted}", ANY_FRAME).status_code == status


def test_WAD_09_compressed_frames_carry_no_item_tags(archive: Archive, rle):
    ds, _ = rle
    stored = list(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=3))
    for accept in (ANY_FRAME, 'multipart/related; type="image/dicom-rle"'):
        parts = parts_of(archive.get(path_of(ds) + "/frames/1,2,3", accept))
        assert [body for _, body in parts] == stored
        kind = "application/octet-stream" if accept is ANY_FRAME else "image/dicom-rle"
        assert header(parts[0][0], "Content-Type") == f"{kind}; transfer-syntax={RLELossless}"


def test_WAD_05_frames_without_a_syntax_are_decoded(archive: Archive, rle):
    ds, pixels = rle
    for accept in (OCTETS, f"{OCTETS}; transfer-syntax={ExplicitVRLittleEndian}", "*/*"):
        parts = parts_of(archive.get(path_of(ds) + "/frames/2", accept))
        assert parts[0][1] == pixels[1].astype("<i2").tobytes()
        assert header(parts[0][0], "Content-Type").endswith(ExplicitVRLittleEndian)


def test_one_frame_alone(archive: Archive, cine):
    path = path_of(cine)
    response = archive.get(path + "/frames/4", "application/octet-stream")
    assert response.content == frame_of(cine, 4)
    assert response.headers["Content-Length"] == str(len(response.content))
    assert archive.get(path + "/frames/4,5", "application/octet-stream").status_code == 406


def test_frames_of_several_fragments_are_joined(archive: Archive, rle):
    ds, _ = rle
    frames = list(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=3))
    for table in (True, False):
        other = pydicom.dcmread(io.BytesIO(part10(ds, RLELossless)))
        other.SOPInstanceUID = new_uid()
        other.PixelData = pydicom.encaps.encapsulate(
            [frames[0]] * 3, fragments_per_frame=2, has_bot=table
        )
        if not table:
            other.NumberOfFrames = 1
            other.PixelData = pydicom.encaps.encapsulate(
                [frames[0]], fragments_per_frame=2, has_bot=False
            )
        assert archive.store(part10(other, RLELossless)).status_code == 200
        back = parts_of(archive.get(path_of(other) + "/frames/1", ANY_FRAME))[0][1]
        assert back.rstrip(b"\0") == frames[0].rstrip(b"\0")


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_frames_of_deflated_and_implicit_objects(archive: Archive, syntax):
    ds = ct_slice(frames=3, size=40)
    archive.store(part10(ds, syntax))
    parts = parts_of(archive.get(path_of(ds) + "/frames/3,1", ANY_FRAME))
    assert [body for _, body in parts] == [frame_of(ds, 3), frame_of(ds, 1)]
    assert header(parts[0][0], "Content-Type").endswith(f"={ExplicitVRLittleEndian}")


def test_frames_of_one_bit_begin_on_a_byte(archive: Archive):
    bits = np.random.default_rng(1).integers(0, 2, (3, 5, 7), dtype=np.uint8)
    ds = ct_slice(size=5, frames=3, Rows=5, Columns=7, BitsAllocated=1, BitsStored=1, HighBit=0)
    ds.PixelRepresentation = 0
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    ds.PixelData = packed + b"\0" * (len(packed) % 2)
    archive.store(ds)
    for number in (1, 2, 3):
        response = archive.get(path_of(ds) + f"/frames/{number}", "application/octet-stream")
        frame = np.unpackbits(np.frombuffer(response.content, np.uint8), bitorder="little")
        assert np.array_equal(frame[:35].reshape(5, 7), bits[number - 1])


def test_a_range_of_a_frame_answer_is_of_the_same_bytes(archive: Archive, cine):
    path = path_of(cine) + "/frames/1"
    whole = archive.get(path, ANY_FRAME)
    start = archive.get(path, ANY_FRAME, headers={"Range": "bytes=0-99"})
    rest = archive.get(path, ANY_FRAME, headers={"Range": "bytes=100-"})
    assert (start.status_code, rest.status_code) == (206, 206)
    assert start.content + rest.content == whole.content
    assert start.headers["Content-Range"] == f"bytes 0-99/{len(whole.content)}"
    beyond = archive.get(path, ANY_FRAME, headers={"Range": "bytes=9999999-"})
    assert beyond.status_code == 416


def test_frames_of_what_has_none(archive: Archive):
    ds = ct_slice()
    del ds.PixelData
    archive.store(ds)
    assert archive.get(path_of(ds) + "/frames/1").status_code == 404
    assert archive.get(path_of(ds) + "/rendered").status_code == 406
    assert archive.get(path_of(ds), INSTANCES).status_code == 200


# -- bulk data


@pytest.fixture(scope="module")
def document(archive: Archive):
    ds = ct_slice()
    del ds.PixelData
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocument = b"%PDF-1.4 " + bytes(range(256)) * 12 + b"!"
    assert archive.store(ds).status_code == 200
    return ds


def test_WAD_11_bulk_data_alone_and_as_a_part(archive: Archive, document):
    row = archive.json(path_of(document) + "/metadata")[0]
    uri = row["00420011"]["BulkDataURI"].removeprefix(archive.root)
    data = document.EncapsulatedDocument + b"\0" * (len(document.EncapsulatedDocument) % 2)
    accept = (
        'multipart/related; type="application/pdf", '
        'multipart/related; type="application/octet-stream"'
    )
    ((head, body),) = parts_of(archive.get(uri, accept))
    assert (header(head, "Content-Type"), body) == ("application/pdf", data)
    alone = archive.get(uri, "application/pdf")
    assert alone.content == data
    assert "sandbox" in alone.headers["Content-Security-Policy"]


def test_WAD_11_ranges_of_bulk_data(archive: Archive, document):
    path = path_of(document) + "/bulkdata/00420011"
    octets = "application/octet-stream"
    part = archive.get(path, octets, headers={"Range": "bytes=9-18"})
    assert (part.status_code, part.content) == (206, bytes(range(10)))
    last = archive.get(path, octets, headers={"Range": "bytes=-4"})
    assert last.content == archive.get(path, octets).content[-4:]
    whatever = archive.get(path, "*/*", headers={"Range": "bytes=9-18"})
    assert (whatever.status_code, whatever.content) == (206, part.content)
    beyond = archive.get(path, octets, headers={"Range": "bytes=100000-"})
    assert beyond.status_code == 416
    assert beyond.headers["Content-Range"].startswith("bytes */")


@pytest.mark.parametrize(
    ("element", "status"),
    [("00420012x", 400), ("00100010/", 400), ("00081140/1/00081155", 404), ("0042001Z", 400)],
)
def test_bulk_data_that_is_not_there(archive: Archive, document, element, status):
    assert archive.get(f"{path_of(document)}/bulkdata/{element}").status_code == status


def test_bulk_data_inside_a_sequence(archive: Archive):
    ds = ct_slice()
    item = pydicom.Dataset()
    item.add_new(0x00091010, "OB", bytes(range(200)) * 10)
    item.add_new(0x00090010, "LO", "TEST")
    ds.add_new(0x00081140, "SQ", [pydicom.Dataset(), item])
    archive.store(ds)
    row = archive.json(path_of(ds) + "/metadata")[0]
    uri = row["00081140"]["Value"][1]["00091010"]["BulkDataURI"].removeprefix(archive.root)
    assert archive.get(uri, "application/octet-stream").content == bytes(range(200)) * 10


def test_pixel_data_of_an_instance(archive: Archive, cine, rle):
    ((head, body),) = parts_of(archive.get(path_of(cine) + "/pixeldata", OCTETS))
    assert header(head, "Content-Type") == "application/octet-stream"
    assert body == cine.PixelData
    ds, pixels = rle
    parts = parts_of(archive.get(path_of(ds) + "/pixeldata", OCTETS))
    assert [data for _, data in parts] == [frame.tobytes() for frame in pixels]
    as_stored = parts_of(archive.get(path_of(ds) + "/pixeldata", ANY_FRAME))
    assert header(as_stored[0][0], "Content-Type").endswith(RLELossless)
    assert archive.get("/studies/1.2/series/1.3/instances/1.4/pixeldata").status_code == 404


def test_bulk_data_of_a_study_is_every_value_behind_a_uri_of_its_metadata(archive: Archive, rle):
    """Nested ones too, in order; compressed frames one by one; pixel data alone where asked."""
    compressed, pixels = rle
    study, series = new_uid(), new_uid()
    image = ct_slice(study=study, series=series, number=1, size=6)
    item = pydicom.Dataset()
    item.add_new(0x00091010, "OB", bytes(range(250)) * 5)
    item.add_new(0x00090010, "LO", "TEST")
    image.add_new(0x00081140, "SQ", [pydicom.Dataset(), item])
    other = pydicom.dcmread(io.BytesIO(part10(compressed, RLELossless)))
    other.StudyInstanceUID, other.SOPInstanceUID = study, new_uid()
    other.SeriesInstanceUID, other.SeriesNumber = new_uid(), 9
    assert archive.store(image, part10(other, RLELossless)).status_code == 200
    path = f"/studies/{study}"
    uris = re.findall(r'"BulkDataURI":"([^"]+)"', archive.get(path + "/metadata", JSON).text)
    frames = [f"{archive.root}{path_of(other)}/frames/{number}" for number in (1, 2, 3)]
    uris[uris.index(f"{archive.root}{path_of(other)}/bulkdata/7FE00010")] = frames[0]

    parts = parts_of(archive.get(path + "/bulkdata", OCTETS))
    places = [header(head, "Content-Location") for head, _ in parts]
    assert [each for each in places if each not in frames[1:]] == uris
    assert places[-3:] == frames
    for (head, body), place in zip(parts, places, strict=True):
        assert header(head, "Content-Length") == str(len(body))
        below = place.removeprefix(archive.root)
        assert archive.get(below, "application/octet-stream").content == body
    assert [body for _, body in parts[-3:]] == [frame.tobytes() for frame in pixels]

    only = parts_of(archive.get(f"{path}/series/{series}/pixeldata", OCTETS))
    assert [body for _, body in only] == [image.PixelData]
    every = parts_of(archive.get(path + "/pixeldata", OCTETS + "; transfer-syntax=*"))
    assert [body for _, body in every][1:] == list(
        pydicom.encaps.generate_frames(compressed.PixelData, number_of_frames=3)
    )
    mine = parts_of(archive.get(path_of(image) + "/bulkdata", "*/*"))
    assert [body for _, body in mine] == [bytes(range(250)) * 5, image.PixelData]


def test_bulk_data_that_is_nowhere_or_not_of_the_accepted_types(archive: Archive, document):
    study = f"/studies/{document.StudyInstanceUID}"
    own = parts_of(archive.get(study + "/bulkdata", 'multipart/related; type="application/pdf"'))
    assert [header(head, "Content-Type") for head, _ in own] == ["application/pdf"]
    assert archive.get(study + "/pixeldata", OCTETS).status_code == 404
    for accept in ("image/png", "application/octet-stream", 'multipart/related; type="image/jls"'):
        assert archive.get(study + "/bulkdata", accept).status_code == 406
    for resource in ("/bulkdata", "/pixeldata", "/series/1.3/bulkdata", "/series/1.3/pixeldata"):
        assert archive.get("/studies/1.2.3.4" + resource, OCTETS).status_code == 404


# -- pictures


@pytest.mark.parametrize("resource", ["/rendered", "/thumbnail"])
def test_WAD_18_pictures_at_every_level(archive: Archive, cine, resource):
    study = f"/studies/{cine.StudyInstanceUID}"
    series = f"{study}/series/{cine.SeriesInstanceUID}"
    for path in (study, series, path_of(cine), path_of(cine) + "/frames/2"):
        response = archive.get(path + resource)
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"] == "image/jpeg"
        assert response.content.startswith(b"\xff\xd8\xff")


def test_a_thumbnail_is_small_and_of_several_frames_the_middle_one(archive: Archive, cine):
    large = ct_slice(size=600)
    archive.store(large)
    for path in (path_of(large), path_of(large) + "/frames/1"):
        for resource, size in (("/thumbnail", (256, 256)), ("/rendered", (600, 600))):
            assert Image.open(io.BytesIO(archive.get(path + resource).content)).size == size
    pictures = [archive.get(f"{path_of(cine)}{below}/thumbnail", "image/png").content
                for below in ("", "/frames/3", "/frames/1")]  # fmt: skip
    assert pictures[0] == pictures[1] != pictures[2]


@pytest.mark.parametrize(
    ("accept", "magic"),
    [
        ("image/png", b"\x89PNG"),
        ("image/gif", b"GIF8"),
        ("image/jp2", b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 "),
        ("image/jph", b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjph "),
        ("image/jxl", b"\xff\x0a"),
        ("image/*", b"\xff\xd8"),
    ],
)
def test_WAD_18_png_and_gif(archive: Archive, cine, accept, magic):
    response = archive.get(path_of(cine) + "/frames/1/rendered", accept)
    assert response.content.startswith(magic)
    again = {"If-None-Match": response.headers["ETag"]}
    assert (
        archive.get(path_of(cine) + "/frames/1/rendered", accept, headers=again).status_code == 304
    )


def test_rendered_frames_as_parts(archive: Archive, cine):
    accept = 'multipart/related; type="image/png"'
    parts = parts_of(archive.get(path_of(cine) + "/frames/1,3/rendered", accept))
    assert [header(head, "Content-Type") for head, _ in parts] == ["image/png", "image/png"]
    assert parts[0][1] != parts[1][1]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("quality=101", 400),
        ("quality=a", 400),
        ("quality=50", 200),
        ("window=40,400", 400),
        ("window=40,400,linear", 200),
        ("window=40,400,wavy", 400),
        ("viewport=10", 400),
        ("viewport=10,10", 200),
        ("viewport=10,10,0,0,-5,5", 200),
        ("iccprofile=srgb", 200),
        ("iccprofile=adobergb", 200),
        ("iccprofile=prophoto", 400),
        ("iccprofile=no", 200),
        ("accept=text/csv", 200),
    ],
)
def test_WAD_13_to_17_rendering_parameters(archive: Archive, cine, query, status):
    response = archive.get(f"{path_of(cine)}/frames/1/rendered?{query}", "image/jpeg")
    assert response.status_code == status, response.text


def test_WAD_13_14_15_parameters_of_the_url_change_the_picture(archive: Archive, cine):
    path = path_of(cine) + "/frames/1/rendered"

    def shown(query: str) -> np.ndarray:
        answer = archive.get(f"{path}?{query}", "image/png")
        assert answer.status_code == 200, answer.text
        return np.asarray(Image.open(io.BytesIO(answer.content))).astype(int)

    whole = shown("")
    assert whole.shape == (24, 24)
    assert shown("viewport=12,48").shape == (12, 12), "the aspect is kept"
    assert np.array_equal(shown("viewport=8,8,4,6,8,8"), whole[6:14, 4:12])
    assert np.array_equal(shown("viewport=24,24,0,0,-24,24"), whole[:, ::-1])
    assert np.array_equal(shown("viewport=24,24,,,24,-24"), whole[::-1])
    values = np.frombuffer(frame_of(cine, 1), "<i2").reshape(24, 24)
    middle = float(np.median(values)) * cine.RescaleSlope + cine.RescaleIntercept
    step = shown(f"window={middle},1,linear")
    assert set(np.unique(step)) <= {0, 255}
    assert len(np.unique(step)) == 2
    functions = [
        shown(f"window={middle},900,{each}") for each in ("linear", "linear-exact", "sigmoid")
    ]
    assert np.abs(functions[0] - functions[1]).max() <= 2
    assert np.abs(functions[0] - functions[2]).max() > 10
    coarse, fine = (len(archive.get(f"{path}?quality={q}", "image/jpeg").content) for q in (5, 95))
    assert coarse < fine


def test_WAD_16_unknown_annotation_is_ignored_with_a_warning(archive: Archive, cine):
    response = archive.get(path_of(cine) + "/rendered?annotation=patient,nonsense", "image/jpeg")
    assert response.status_code == 200
    assert "nonsense" in response.headers["Warning"]


def test_WAD_02_dicom_and_pictures_at_once_is_400(archive: Archive, cine):
    response = archive.get(path_of(cine), "application/dicom, image/jpeg")
    assert response.status_code == 400


def test_a_value_that_ends_behind_its_instance_is_404_before_anything_is_sent(
    archive: Archive,
) -> None:
    ds = ct_slice()
    assert archive.store(part10(ds)[:-64]).status_code in {200, 202}
    for resource in ("/bulkdata/7FE00010", "/pixeldata"):
        for headers in ({}, {"Range": "bytes=0-9"}):
            refused = archive.get(path_of(ds) + resource, headers=headers)
            assert (refused.status_code, "not whole" in refused.text) == (404, True)


def test_a_frame_that_was_cut_is_no_frame_and_the_others_are(archive: Archive) -> None:
    ds = ct_slice(frames=3)
    whole = ds.PixelData
    each = len(whole) // 3
    ds.PixelData = whole[: each + each // 2]
    assert archive.store(ds).status_code == 200
    path = path_of(ds)
    for wanted in ("1", "1,1"):
        parts = parts_of(archive.get(f"{path}/frames/{wanted}", ANY_FRAME))
        assert {body for _, body in parts} == {whole[:each]}
    for wanted in ("2", "3", "1,2"):
        for accept in (ANY_FRAME, "application/octet-stream", ANY_FRAME):  # also when it is hot
            refused = archive.get(f"{path}/frames/{wanted}", accept)
            if refused.status_code != 406:  # a list cannot be one octet-stream
                assert refused.status_code == 404, (wanted, accept)
                assert "Pixel Data of this instance ends before" in refused.json()["message"]
    ((_, stored),) = parts_of(archive.get(path, INSTANCES))
    assert read(stored).PixelData == ds.PixelData
    assert archive.get(f"{path}/bulkdata", OCTETS).status_code == 404
    good = ct_slice(study=ds.StudyInstanceUID)
    archive.store(good)
    for resource in ("/bulkdata", "/pixeldata"):
        some = archive.get(f"/studies/{ds.StudyInstanceUID}{resource}", OCTETS)
        assert (some.status_code, "Warning" in some.headers) == (206, True)
        assert [body for _, body in parts_of(some)] == [good.PixelData]
