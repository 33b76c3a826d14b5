"""WADO-URI over real HTTP (PS3.18 section 9)."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.builders import ct_slice, part10
from tests.protocol.dicomweb_archive import Archive, read


@pytest.fixture(scope="module")
def image(archive: Archive):
    ds = ct_slice(size=32, frames=2)
    assert archive.store(part10(ds, ImplicitVRLittleEndian)).status_code == 200
    return ds


def ask(archive: Archive, ds, query: str = "", **options):
    uids = (
        f"studyUID={ds.StudyInstanceUID}&seriesUID={ds.SeriesInstanceUID}"
        f"&objectUID={ds.SOPInstanceUID}"
    )
    return archive.stack.get(f"/wado?requestType=WADO&{uids}&{query}", **options)


def test_a_picture_by_default(archive: Archive, image):
    response = ask(archive, image)
    assert response.headers["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(response.content)).size == (32, 32)


@pytest.mark.parametrize(
    ("accept", "content_type", "given"),
    [
        ("application/dicom", "", "application/dicom"),
        ("image/png, application/dicom", "", "image/png"),
        ("application/dicom;q=0.5, image/*;q=0.7", "", "image/jpeg"),
        ("text/html,*/*;q=0.8", "", "image/jpeg"),
        ("application/dicom", "image/gif", "image/gif"),
        ("text/csv", "", "406"),
    ],
)
def test_URI_01_the_header_counts_where_contentType_does_not_say(
    archive: Archive, image, accept: str, content_type: str, given: str
):
    query = f"contentType={content_type}" if content_type else ""
    response = ask(archive, image, query, headers={"Accept": accept})
    assert given in {str(response.status_code), response.headers["Content-Type"].split(";")[0]}


@pytest.mark.parametrize(
    "query",
    ["rows=0", "columns=x", "imageQuality=101", "frameNumber=0", "windowWidth=0&windowCenter=1"],
)
def test_what_is_refused_is_called_by_the_name_it_was_given(archive: Archive, image, query: str):
    refused = ask(archive, image, query)
    assert refused.status_code == 400
    assert refused.json()["offending"] == [query.partition("=")[0]]


def test_size_window_and_frame_of_the_picture(archive: Archive, image):
    query = "contentType=image/png&rows=16&columns=16&windowCenter=40&windowWidth=400"
    pictures = [ask(archive, image, f"{query}&frameNumber={n}").content for n in (1, 2)]
    assert all(Image.open(io.BytesIO(each)).size == (16, 16) for each in pictures)
    assert pictures[0] != pictures[1]


def test_URI_02_each_parameter_of_a_picture_does_what_it_says(archive: Archive, image):
    def shown(query: str) -> np.ndarray:
        answer = ask(archive, image, f"contentType=image/png&{query}")
        assert answer.status_code == 200, answer.text
        return np.asarray(Image.open(io.BytesIO(answer.content))).astype(int)

    whole = shown("")
    assert np.array_equal(shown("region=0,0,0.5,0.25"), whole[:8, :16])
    values = np.frombuffer(image.PixelData[: 32 * 32 * 2], "<i2")
    middle = float(np.median(values)) * image.RescaleSlope + image.RescaleIntercept
    assert len(np.unique(shown(f"windowCenter={middle}&windowWidth=1"))) == 2
    named = shown("rows=400&columns=400&annotation=patient") != shown("rows=400&columns=400")
    assert named[:200].any()
    assert not named[200:].any()
    coarse, fine = (len(ask(archive, image, f"imageQuality={q}").content) for q in (5, 95))
    assert coarse < fine
    listed = "contentType=application/dicom&transferSyntax=1.2.3,1.2.840.10008.1.2.4.80"
    syntax = read(ask(archive, image, listed).content).file_meta.TransferSyntaxUID
    assert syntax == "1.2.840.10008.1.2.4.80"


def test_URI_01_as_dicom_in_the_default_syntax(archive: Archive, image):
    response = ask(archive, image, "contentType=application%2Fdicom")
    back = read(response.content)
    assert back.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert back.PixelData == image.PixelData
    assert response.headers["Content-Length"] == str(len(response.content))


def test_objects_that_are_no_images_come_as_dicom(archive: Archive):
    ds = ct_slice()
    del ds.PixelData
    archive.store(ds)
    assert read(ask(archive, ds).content).SOPInstanceUID == ds.SOPInstanceUID
    assert ask(archive, ds, "contentType=image/jpeg").status_code == 406


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("contentType=text/csv", 406),
        ("contentType=text/csv,image/png", 200),
        ("frameNumber=3", 404),
        ("frameNumber=x", 400),
        ("windowCenter=40", 400),
        ("windowCenter=a&windowWidth=b", 400),
        ("rows=0", 400),
        ("region=0,0,2,2", 400),
        ("region=0,0,0.5,0.5", 200),
        ("presentationUID=1.2.3", 400),
        ("contentType=application/dicom&frameNumber=1", 400),
        ("contentType=application/dicom&anonymize=yes", 400),
        ("anonymize=yes", 400),
        ("anonymize=no", 200),
        ("contentType=application/dicom&transferSyntax=1.2.840.10008.1.2.4.81", 406),
        ("contentType=application/dicom&transferSyntax=1.2.840.10008.1.2.1", 200),
        ("contentType=application/dicom&transferSyntax=*", 200),
        ("contentType=application/dicom&transferSyntax=1.2.3,1.2.840.10008.1.2.4.80", 200),
        ("contentType=application/dicom&transferSyntax=1.2.3,x y", 400),
    ],
)
def test_URI_02_what_is_refused(archive: Archive, image, query, status):
    response = ask(archive, image, query)
    assert response.status_code == status, response.text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("requestType=WADO", 400),
        ("requestType=OTHER&studyUID=1&seriesUID=1&objectUID=1", 400),
        ("requestType=WADO&studyUID=a b&seriesUID=1&objectUID=1", 400),
        ("requestType=WADO&studyUID=1&seriesUID=1&objectUID=1", 404),
    ],
)
def test_requests_that_name_nothing(archive: Archive, query, status):
    response = archive.stack.get(f"/wado?{query}")
    assert response.status_code == status
    assert response.json()["message"].endswith(".")


def test_nobody_sees_a_picture_without_signing_in(archive: Archive, image):
    response = archive.stack.get("/wado?requestType=WADO", auth=None)
    assert response.status_code == 401
