"""The requests that an unmodified OHIF 3.13 was recorded to send, replayed from another origin."""

from __future__ import annotations

from collections.abc import Iterator

import pydicom
import pytest
import requests

from tests.builders import ct_slice
from tests.protocol.dicomweb_archive import Archive, header, parts_of, path_of
from tests.stack import Stack

VIEWER = "http://viewer.example:3000"
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0.0.0 Safari/537.36",
    "Accept-Encoding": "gzip, deflate, br, zstd",
}
JSON = "application/dicom+json"


@pytest.fixture(scope="module")
def across() -> Iterator[Archive]:
    """An installation that lets the viewer's origin read."""
    stack = Stack(environment={"PACSWEB_CORS_ORIGINS": VIEWER})
    try:
        yield Archive(stack.start())
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def study(across: Archive):
    uid, series = pydicom.uid.generate_uid(), pydicom.uid.generate_uid()
    slices = [ct_slice(study=uid, series=series, number=n, PatientID="OHIF 1") for n in range(1, 6)]
    assert across.store(*slices).status_code == 200
    return slices


def ask(archive: Archive, path: str, accept: str, **headers: str) -> requests.Response:
    """A GET as the page sends it; the answer must be readable from the viewer's origin."""
    response = archive.get(path, accept, headers={**BROWSER, "Origin": VIEWER, **headers})
    assert response.status_code in {200, 206}, (response.status_code, response.text[:300])
    assert response.headers["Access-Control-Allow-Origin"] == VIEWER
    return response


def test_study_list(across: Archive, study):
    fields = "includefield=00081030%2C00080060%2C00080090%2C00100030"
    rows = ask(across, f"/studies?limit=101&offset=0&fuzzymatching=true&{fields}", JSON).json()
    row = next(r for r in rows if r["0020000D"]["Value"] == [study[0].StudyInstanceUID])
    assert row["00081030"]["Value"] == ["Head"]
    assert row["00100030"]["Value"] == ["19700101"]
    assert row["00080090"] == {"vr": "PN"}
    assert row["00201208"]["Value"] == [5]
    assert row["00080061"]["Value"] == ["CT"]


def test_list_filters_mix_keywords_and_tags(across: Archive, study):
    filters = (
        "PatientName=*Patient*&00100020=*HIF*&AccessionNumber=*A-*&StudyDescription=*ead*"
        "&ModalitiesInStudy=CT&StudyDate=20240101-20241231"
    )
    rows = ask(across, f"/studies?limit=101&offset=0&fuzzymatching=true&{filters}", JSON).json()
    assert [row["0020000D"]["Value"][0] for row in rows] == [study[0].StudyInstanceUID]


def test_opening_a_study(across: Archive, study):
    uid = study[0].StudyInstanceUID
    rows = ask(across, f"/studies?limit=101&offset=0&StudyInstanceUID={uid}", JSON).json()
    assert len(rows) == 1
    fields = "includefield=00080021%2C00080031%2C0008103E%2C00200011"
    (series,) = ask(across, f"/studies/{uid}/series?{fields}", JSON).json()
    assert series["0020000E"]["Value"] == [study[0].SeriesInstanceUID]
    assert series["00080060"]["Value"] == ["CT"]
    assert series["0008103E"]["Value"] == ["Axial"]
    others = ask(across, "/studies?00100020=OHIF%201", JSON).json()
    assert [row["0020000D"]["Value"][0] for row in others] == [uid]


def test_series_metadata_holds_what_a_picture_needs(across: Archive, study):
    path = f"/studies/{study[0].StudyInstanceUID}/series/{study[0].SeriesInstanceUID}/metadata"
    rows = ask(across, path, JSON).json()
    assert len(rows) == 5
    row = rows[0]
    assert row["00280010"]["Value"] == [16]
    assert row["00280030"]["Value"] == [0.5, 0.5]
    assert row["00200032"]["Value"] == [0, 0, 1]
    needed = "0020000D 0020000E 00280100 00280101 00280102 00280103 00280002 00280004 00080016"
    needed += " 00200037 00200052 00281052 00281053 00281050 00281051 00080060 00200013 00080008"
    assert set(needed.split()) <= set(row)


def test_frames_have_their_syntax_in_the_part_header(across: Archive, study):
    accept = "multipart/related; type=application/octet-stream; transfer-syntax=*"
    for ds in study:
        response = ask(across, path_of(ds) + "/frames/1", accept)
        ((head, body),) = parts_of(response)
        assert head.splitlines()[0] == (
            "Content-Type: application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
        )
        assert body == ds.PixelData
        assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize("resource", ["rendered", "thumbnail"])
def test_thumbnails_by_accept_parameter(across: Archive, study, resource):
    path = f"{path_of(study[0])}/{resource}?accept=image%2Fjpeg"
    response = ask(across, path, 'multipart/related; type="application/octet-stream"')
    assert response.headers["Content-Type"] == "image/jpeg"
    assert response.content.startswith(b"\xff\xd8\xff")


def test_a_whole_object_for_segmentations(across: Archive, study):
    response = ask(across, path_of(study[0]), 'multipart/related; type="application/dicom"')
    ((head, body),) = parts_of(response)
    assert header(head, "Content-Type").startswith("application/dicom; transfer-syntax=")
    assert body[128:132] == b"DICM"


def test_a_pdf_by_its_bulk_data_uri(across: Archive):
    ds = ct_slice()
    del ds.PixelData
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocument = b"%PDF-1.4" + b"x" * 2000
    across.store(ds)
    row = ask(across, path_of(ds) + "/metadata", JSON).json()[0]
    uri = row["00420011"]["BulkDataURI"]
    accept = (
        'multipart/related; type="application/pdf", '
        'multipart/related; type="application/octet-stream"'
    )
    ((_, body),) = parts_of(ask(across, uri.removeprefix(across.root), accept))
    assert body.rstrip(b"\0") == ds.EncapsulatedDocument


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_preflight_needs_no_sign_in(across: Archive, study, method):
    path = path_of(study[0]) if method == "GET" else "/studies"
    response = requests.options(
        across.root + path,
        headers={
            **BROWSER,
            "Origin": VIEWER,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "accept,authorization,content-type,range",
        },
        timeout=10,
    )
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == VIEWER
    assert method in response.headers["Access-Control-Allow-Methods"]
    allowed = response.headers["Access-Control-Allow-Headers"].lower()
    assert {"accept", "authorization", "content-type", "range"} <= set(
        allowed.replace(" ", "").split(",")
    )


def test_what_the_page_may_read_of_an_answer(across: Archive, study):
    response = ask(across, "/studies?limit=1", JSON)
    exposed = response.headers["Access-Control-Expose-Headers"]
    for name in ("Content-Type", "Content-Length", "Content-Range", "Warning", "ETag", "Location"):
        assert name in exposed
    assert "Origin" in response.headers["Vary"]


def test_errors_can_be_read_across_origins_too(across: Archive, study):
    headers = {"Origin": VIEWER}
    missing = across.get("/studies/1.2.3/metadata", JSON, headers=headers)
    nobody = across.get("/studies", JSON, headers=headers, auth=None)
    assert (missing.status_code, nobody.status_code) == (404, 401)
    for response in (missing, nobody):
        assert response.headers["Access-Control-Allow-Origin"] == VIEWER


def test_other_origins_may_not_read(across: Archive, study):
    for again in range(2):
        response = across.get("/studies?limit=1", JSON, headers={"Origin": "http://evil.example"})
        assert "Access-Control-Allow-Origin" not in response.headers, again


def test_a_page_gets_no_basic_dialog(across: Archive):
    headers = {**BROWSER, "Sec-Fetch-Mode": "cors"}
    response = across.get("/studies", JSON, headers=headers, auth=None)
    assert response.status_code == 401
    assert not response.headers["WWW-Authenticate"].startswith("Basic")
