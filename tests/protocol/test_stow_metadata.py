"""STOW-RS of metadata and bulk data that come apart (PS3.18 10.5.2)."""

from __future__ import annotations

import json
from urllib.parse import quote

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from tests.builders import ct_slice, part10
from tests.protocol.dicomweb_archive import Archive, path_of, read

JSON = 'multipart/related; type="application/dicom+json"; boundary=edge'
XML = 'multipart/related; type="application/dicom+xml"; boundary=edge'
OCTETS = "application/octet-stream"


def body(*parts: tuple[str, str, bytes]) -> bytes:
    """Parts as media type, Content-Location and bytes."""
    pieces = []
    for media_type, location, content in parts:
        where = f"Content-Location: {location}\r\n" if location else ""
        head = f"--edge\r\nContent-Type: {media_type}\r\n{where}\r\n"
        pieces.append(head.encode() + content + b"\r\n")
    return b"".join(pieces) + b"--edge--\r\n"


def metadata_of(ds: Dataset, uri: str) -> dict:
    metadata = ds.to_json_dict(bulk_data_threshold=64, bulk_data_element_handler=lambda _: uri)
    assert metadata["7FE00010"]["BulkDataURI"] == uri
    return metadata


def back(archive: Archive, ds: Dataset) -> Dataset:
    response = archive.get(path_of(ds), "application/dicom; transfer-syntax=*")
    assert response.status_code == 200, response.text
    return read(response.content)


def test_STW_06_json_metadata_and_bulk_data(archive: Archive):
    slices = [ct_slice(PatientName="Müller^Jürgen=山田^太郎", number=number) for number in (1, 2)]
    slices[0].RescaleSlope = "1.50"
    text = json.dumps([metadata_of(ds, f"bulk/{n}%20a") for n, ds in enumerate(slices)]).encode()
    parts = [(OCTETS, f"bulk/{n} a", ds.PixelData) for n, ds in enumerate(slices)]
    response = archive.post("/studies", body(("application/dicom+json", "", text), *parts), JSON)
    assert response.status_code == 200, response.text
    for ds in slices:
        kept = back(archive, ds)
        assert kept.PixelData == ds.PixelData
        assert kept.PatientName == ds.PatientName
        assert kept.SpecificCharacterSet == "ISO_IR 192"
        assert [element.tag for element in kept] == [element.tag for element in ds]
        assert kept.ImagePositionPatient == ds.ImagePositionPatient
    assert len(archive.json(f"/instances?SOPInstanceUID={slices[0].SOPInstanceUID}")) == 1


def test_STW_06_xml_metadata_and_bulk_data(archive: Archive):
    """Our own XML of one instance is stored again under other UIDs."""
    ds = ct_slice(PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう")
    ds.ReferencedStudySequence = [Dataset()]
    ds.ReferencedStudySequence[0].ReferencedSOPInstanceUID = "1.2.3"
    archive.store(ds)
    answer = archive.get(
        path_of(ds) + "/metadata", 'multipart/related; type="application/dicom+xml"'
    )
    document = answer.content.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
    other = ct_slice()
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        document = document.replace(ds[name].value.encode(), other[name].value.encode())
    uri = document.partition(b'<BulkData uri="')[2].partition(b'"')[0].decode()
    response = archive.post(
        f"/studies/{other.StudyInstanceUID}",
        body(("application/dicom+xml", "", document), (OCTETS, uri, ds.PixelData)),
        XML,
    )
    assert response.status_code == 200, response.text
    kept = back(archive, other)
    assert kept.PatientName == ds.PatientName
    assert kept.PixelData == ds.PixelData
    assert kept.ReferencedStudySequence[0].ReferencedSOPInstanceUID == "1.2.3"
    assert kept.WindowCenter == 40


def jpeg_metadata(frames: int = 1) -> tuple[Dataset, dict]:
    """A photograph whose metadata says nothing of its pixels."""
    ds = ct_slice()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    names = (
        "PixelData Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation "
        "SamplesPerPixel PhotometricInterpretation RescaleSlope RescaleIntercept "
        "WindowCenter WindowWidth"
    )
    for name in names.split():
        delattr(ds, name)
    if frames > 1:
        ds.NumberOfFrames = frames
    metadata = ds.to_json_dict()
    metadata["7FE00010"] = {"vr": "OB", "BulkDataURI": "cid:pixels"}
    return ds, metadata


def test_STW_05_STW_07_what_a_jpeg_tells_is_filled_in_and_recorded(archive: Archive):
    grey = np.add.outer(np.arange(24), np.arange(16)).astype(np.uint8) * 6
    ds, metadata = jpeg_metadata()
    response = archive.post(
        "/studies",
        body(
            ("application/dicom+json", "", json.dumps([metadata]).encode()),
            ("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50", "cid:pixels",
             imagecodecs.jpeg8_encode(grey, 95)),
        ),
        JSON,
    )  # fmt: skip
    assert response.status_code == 202, response.text
    assert "MONOCHROME2" in response.headers["Warning"]
    (item,) = response.json()["00081199"]["Value"]
    assert item["00081196"]["Value"] == [0xB000]
    kept = back(archive, ds)
    assert kept.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50"
    assert (kept.Rows, kept.Columns, kept.BitsStored) == (24, 16, 8)
    assert np.abs(kept.pixel_array.astype(int) - grey).max() < 12
    # STW-05: what was filled in is recorded in the object.
    (record,) = kept.OriginalAttributesSequence
    assert record.ModifyingSystem == "pacsweb"
    assert "PhotometricInterpretation" in record.ModifiedAttributesSequence[0]


def test_STW_06_compressed_frames_each_in_a_part(archive: Archive):
    frames = np.random.default_rng(3).integers(0, 4000, (3, 16, 12)).astype(np.uint16)
    ds, metadata = jpeg_metadata(frames=3)
    parts = [("image/jls", "cid:pixels", imagecodecs.jpegls_encode(frame)) for frame in frames]
    response = archive.post(
        "/studies",
        body(("application/dicom+json", "", json.dumps([metadata]).encode()), *parts),
        JSON,
    )
    assert response.status_code == 202, response.text
    kept = back(archive, ds)
    assert kept.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.80"
    assert np.array_equal(kept.pixel_array, frames)


def test_STW_06_metadata_alone_as_the_whole_body(archive: Archive):
    ds = ct_slice()
    del ds.PixelData
    text = json.dumps([ds.to_json_dict()])
    response = archive.post("/studies", text, "application/dicom+json")
    assert response.status_code == 200, response.text
    assert back(archive, ds).PatientID == ds.PatientID
    answer = archive.get(
        path_of(ds) + "/metadata", 'multipart/related; type="application/dicom+xml"'
    )
    document = answer.content.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
    other = ct_slice(study=ds.StudyInstanceUID, series=ds.SeriesInstanceUID)
    document = document.replace(ds.SOPInstanceUID.encode(), other.SOPInstanceUID.encode())
    response = archive.post("/studies", document, "application/dicom+xml")
    assert response.status_code == 200, response.text
    assert back(archive, other).PatientName == ds.PatientName


def test_STW_08_each_instance_has_its_own_outcome(archive: Archive):
    good, lost, nameless, elsewhere = (ct_slice() for _ in range(4))
    for ds in (lost, nameless):
        ds.StudyInstanceUID = good.StudyInstanceUID
    documents = [
        metadata_of(good, "here"),
        metadata_of(lost, "http://169.254.169.254/secret"),
        {**metadata_of(nameless, "here"), "00080018": {"vr": "UI"}},
        metadata_of(elsewhere, "here"),
    ]
    response = archive.post(
        f"/studies/{good.StudyInstanceUID}",
        body(
            ("application/dicom+json", "", json.dumps(documents).encode()),
            (OCTETS, "here", good.PixelData),
        ),
        JSON,
    )
    assert response.status_code == 202, response.text
    answer = response.json()
    assert len(answer["00081199"]["Value"]) == 1
    reasons = [item["00081197"]["Value"][0] for item in answer["00081198"]["Value"]]
    assert reasons == [0xC000, 0xC000, 0xA900]


BOMB = b'<!DOCTYPE a [<!ENTITY x "y">]><NativeDicomModel>&x;</NativeDicomModel>'


@pytest.mark.parametrize(
    ("content_type", "parts"),
    [
        (JSON, [("application/dicom+json", "", b"{")]),
        (JSON, [("application/dicom+json", "", b"[1]")]),
        (JSON, [("application/dicom+json", "", b"[" * 100_000)]),
        (JSON, [(OCTETS, "a", b"bulk before metadata")]),
        (JSON, [("application/dicom+json", "", b"[]"), (OCTETS, "", b"nameless")]),
        (XML, [("application/dicom+xml", "", b"<a/>")]),
        (XML, [("application/dicom+xml", "", BOMB)]),
        (XML, [("application/dicom+xml", "", b"<NativeDicomModel><")]),
    ],
)
def test_STW_01_malformed_metadata_is_the_senders_fault(archive: Archive, content_type, parts):
    response = archive.post("/studies", body(*parts), content_type)
    assert response.status_code == 400, response.text
    assert response.json()["message"].endswith(".")


@pytest.mark.parametrize(
    "element",
    [
        {"00280010": {"vr": "US", "Value": ["many"]}},
        {"00280010": {"vr": "US", "Value": [70000]}},
        {"00081140": {"vr": "SQ", "Value": [{"00280010": {"vr": "US", "Value": [-1]}}]}},
        {"00420011": {"vr": "OB", "InlineBinary": "*no base64*"}},
        {"0020000D": "text"},
        {"zzzzzzzz": {"vr": "LO"}},
        {"00081140": {"vr": "SQ", "Value": [1]}},
    ],
)
def test_STW_04_what_cannot_be_written_is_refused_by_instance(archive: Archive, element):
    ds = ct_slice()
    del ds.PixelData
    text = json.dumps([{**ds.to_json_dict(), **element}])
    response = archive.post("/studies", text, "application/dicom+json")
    assert response.status_code == 409, response.text
    (item,) = response.json()["00081198"]["Value"]
    assert item["00081197"]["Value"] == [0xC000]


def test_STW_06_metadata_without_a_type_is_what_the_whole_body_says(archive: Archive):
    ds = ct_slice()
    text = json.dumps([metadata_of(ds, "x")]).encode()
    sent = body(("", "", text), (OCTETS, "x", ds.PixelData)).replace(b"Content-Type: \r\n", b"", 1)
    assert archive.post("/studies", sent, JSON).status_code == 200
    assert back(archive, ds).PixelData == ds.PixelData


def test_UID_02_what_is_no_uid_stays_one_segment_of_every_link_and_out_of_the_log(archive: Archive):
    ds = ct_slice()
    del ds.PixelData
    odd = f"{ds.StudyInstanceUID[:40]} Doe?x=/../<b>\r\nSet-Cookie: a=b"
    text = json.dumps([{**ds.to_json_dict(), "0020000D": {"vr": "UI", "Value": [odd]}}])
    response = archive.post("/studies", text, "application/dicom+json")
    assert response.status_code == 200, response.text
    link = f"{archive.root}/studies/{quote(odd, safe='')}"
    assert response.headers["Location"] == link
    assert response.json()["00081190"]["Value"] == [link]
    assert "Set-Cookie" not in response.headers
    (found,) = archive.json(f"/instances?SOPInstanceUID={ds.SOPInstanceUID}")
    assert found["00081190"]["Value"][0].startswith(f"{link}/series/")
    assert "Doe" not in archive.stack.log(1 << 30)


def test_dicom_written_here_is_what_pydicom_writes(archive: Archive):
    ds = ct_slice()
    text = json.dumps([metadata_of(ds, "x")]).encode()
    archive.post(
        "/studies", body(("application/dicom+json", "", text), (OCTETS, "x", ds.PixelData)), JSON
    )
    kept = archive.get(path_of(ds), "application/dicom; transfer-syntax=*").content
    ours = pydicom.dcmread(pydicom.filebase.DicomBytesIO(kept))
    assert part10(ours).partition(b"DICM")[2][200:] == part10(ds).partition(b"DICM")[2][200:]
