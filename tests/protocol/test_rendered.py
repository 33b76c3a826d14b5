"""`/rendered` beyond single pictures: moving ones, reports, documents, presentation states."""

from __future__ import annotations

import io
from itertools import product
from xml.etree import ElementTree as ET

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image, ImageCms
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from tests.builders import ct_slice, part10
from tests.protocol.dicomweb_archive import Archive, header, parts_of, path_of

MP4 = "1.2.840.10008.1.2.4.102"
EXPLICIT = "1.2.840.10008.1.2.1"


def picture(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


@pytest.fixture(scope="module")
def cine(archive: Archive):
    ds = ct_slice(frames=4, size=32, FrameTime=40)
    assert archive.store(ds).status_code == 200
    return ds


def ramp(**attributes) -> Dataset:
    """Eight rows and columns of stored values 0 to 63, shown as they are."""
    ds = ct_slice(size=8, **attributes)
    for keyword in ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"):
        delattr(ds, keyword)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = bytes(range(64))
    ds["PixelData"].VR = "OB"
    return ds


def state_for(*images: Dataset, **attributes) -> Dataset:
    """A Grayscale Softcopy Presentation State in the images' study."""
    ds = ct_slice(study=images[0].StudyInstanceUID)
    for keyword in ("PixelData", "Rows", "Columns", "WindowCenter", "WindowWidth", "RescaleSlope"):
        delattr(ds, keyword)
    del ds.RescaleIntercept
    ds.SOPClassUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.11.1", "PR"
    series = []
    for image in images:
        reference = Dataset()
        reference.ReferencedSOPClassUID = image.SOPClassUID
        reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
        item = Dataset()
        item.SeriesInstanceUID = image.SeriesInstanceUID
        item.ReferencedImageSequence = [reference]
        series.append(item)
    ds.ReferencedSeriesSequence = Sequence(series)
    ds.PresentationLUTShape = "IDENTITY"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def rendered(archive: Archive, ds: Dataset, query: str = "", below: str = "") -> np.ndarray:
    response = archive.get(f"{path_of(ds)}{below}/rendered{query}", "image/png")
    assert response.status_code == 200, response.text
    return np.asarray(picture(response.content))


# -- moving pictures


def test_a_multi_frame_as_gif_moves_at_its_frame_time(archive: Archive, cine):
    response = archive.get(path_of(cine) + "/rendered", "image/gif")
    image = picture(response.content)
    assert (image.n_frames, image.info["duration"], image.info["loop"]) == (4, 40, 0)
    still = [rendered(archive, cine), rendered(archive, cine, below="/frames/1")]
    assert np.array_equal(*still), "else the first frame"
    assert not np.array_equal(still[0], rendered(archive, cine, below="/frames/2"))
    two = picture(archive.get(path_of(cine) + "/frames/2,4/rendered", "image/gif").content)
    assert two.n_frames == 2
    for level in (path_of(cine).split("/instances")[0], f"/studies/{cine.StudyInstanceUID}"):
        assert picture(archive.get(f"{level}/rendered", "image/gif").content).n_frames == 4


def test_a_multi_frame_as_jpeg_xl_moves_too(archive: Archive, cine):
    response = archive.get(path_of(cine) + "/rendered", "image/jxl")
    assert response.headers["Content-Type"] == "image/jxl"
    moving = imagecodecs.jpegxl_decode(response.content)
    still = [rendered(archive, cine, below=f"/frames/{number}") for number in (1, 2, 3, 4)]
    assert np.array_equal(moving, still), "every value is kept"
    one = archive.get(path_of(cine) + "/frames/2/rendered", "image/jxl")
    assert np.array_equal(imagecodecs.jpegxl_decode(one.content), still[1])
    coarse = archive.get(path_of(cine) + "/rendered?quality=10", "image/jxl").content
    assert len(coarse) < len(response.content)


def test_every_frame_and_every_image_as_a_part(archive: Archive, cine):
    accept = 'multipart/related; type="image/jpeg"'
    parts = parts_of(archive.get(path_of(cine) + "/rendered", accept))
    assert [header(head, "Content-Location")[-11:] for head, _ in parts] == [
        f"/{number}/rendered" for number in (1, 2, 3, 4)
    ]
    other = ct_slice(study=cine.StudyInstanceUID, size=20)
    report = state_for(other)  # no image: left out
    archive.store(other, report)
    whole = parts_of(archive.get(f"/studies/{cine.StudyInstanceUID}/rendered", accept))
    assert len(whole) == 5


# -- what is asked of a picture


def test_WAD_16_annotation_is_burned_in(archive: Archive, cine):
    plain = rendered(archive, cine, "?viewport=400,400")
    named = rendered(archive, cine, "?viewport=400,400&annotation=patient")
    both = rendered(archive, cine, "?viewport=400,400&annotation=technique,patient")
    changed = named != plain
    assert changed[:200].any()
    assert not changed[200:].any()
    assert (both != plain)[200:].any()


def test_WAD_17_an_icc_profile_is_embedded_where_the_type_can(archive: Archive, cine):
    path = path_of(cine) + "/frames/1/rendered"
    for media_type in ("image/jpeg", "image/png"):
        image = picture(archive.get(path + "?iccprofile=srgb", media_type).content)
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        assert "icc_profile" not in picture(archive.get(path, media_type).content).info
    assert archive.get(path + "?iccprofile=yes", "image/gif").status_code == 400
    assert archive.get(path + "?iccprofile=wide", "image/png").status_code == 400


# -- what is no picture


def report() -> Dataset:
    def code(value: str, meaning: str) -> Dataset:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
        return item

    ds = ct_slice()
    del ds.PixelData
    ds.SOPClassUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.88.11", "SR"
    ds.ValueType, ds.ConceptNameCodeSequence = "CONTAINER", [code("126000", "Imaging report")]
    finding = Dataset()
    finding.RelationshipType, finding.ValueType = "CONTAINS", "TEXT"
    finding.ConceptNameCodeSequence = [code("121071", "Finding")]
    finding.TextValue = "No <script>alert(1)</script> & nothing else"
    ds.ContentSequence = [finding]
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
    return ds


def test_WAD_18_a_report_is_html_text_or_xml(archive: Archive):
    ds = report()
    archive.store(ds)
    page = archive.get(path_of(ds) + "/rendered")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<script>" not in page.text
    assert "No &lt;script&gt;alert(1)&lt;/script&gt; &amp; nothing else" in page.text
    assert "sandbox" in page.headers["Content-Security-Policy"]
    text = archive.get(path_of(ds) + "/rendered", "text/plain")
    assert "Finding: No <script>alert(1)</script> & nothing else" in text.text
    assert text.headers["Content-Type"].startswith("text/plain")
    xml = archive.get(path_of(ds) + "/rendered", "text/xml")
    root = ET.fromstring(xml.content)
    assert "Imaging report" in "".join(root.itertext())
    assert archive.get(path_of(ds) + "/rendered", "image/png").status_code == 406
    key_object = report()
    key_object.SOPClassUID, key_object.Modality = "1.2.840.10008.5.1.4.1.1.88.59", "KO"
    archive.store(key_object)
    for media_type in ("text/html", "text/plain", "text/xml"):
        shown = archive.get(path_of(key_object) + "/rendered", media_type)
        assert shown.headers["Content-Type"].startswith(media_type)
        assert "nothing else" in shown.text
    # The series holds nothing else, so its rendering is the report's.
    series = path_of(ds).partition("/instances/")[0]
    assert archive.get(series + "/rendered", "text/html").text == page.text
    assert archive.get(path_of(ds) + "/thumbnail").headers["Content-Type"] == "image/png"


def test_a_pdf_passes_through_and_gives_ranges(archive: Archive):
    ds = ct_slice()
    del ds.PixelData
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocument = b"%PDF-1.4 " + bytes(range(256)) * 4
    archive.store(ds)
    whole = archive.get(path_of(ds) + "/rendered")
    assert whole.headers["Content-Type"] == "application/pdf"
    assert whole.content.startswith(b"%PDF-1.4 ")
    some = archive.get(path_of(ds) + "/rendered", "application/pdf", headers={"Range": "bytes=0-7"})
    assert (some.status_code, some.content) == (206, b"%PDF-1.4")
    assert archive.get(path_of(ds) + "/rendered", "image/png").status_code == 406
    by_uri = (
        f"/wado?requestType=WADO&studyUID={ds.StudyInstanceUID}&seriesUID={ds.SeriesInstanceUID}"
        f"&objectUID={ds.SOPInstanceUID}&contentType=application/pdf"
    )
    assert archive.stack.get(by_uri).content == whole.content
    # What is no image has a drawing for a thumbnail, at every level and in the type asked for.
    series = path_of(ds).partition("/instances/")[0]
    for path in (path_of(ds), series, f"/studies/{ds.StudyInstanceUID}"):
        drawn = archive.get(f"{path}/thumbnail?viewport=64,48", "image/jpeg")
        assert drawn.headers["Content-Type"] == "image/jpeg"
        assert Image.open(io.BytesIO(drawn.content)).size == (48, 48)


def test_other_documents_pass_through_in_their_own_type(archive: Archive):
    kinds = (("104.2", "text/xml"), ("104.3", "model/stl"), ("104.4", "model/obj"))
    for number, media_type in kinds:
        ds = ct_slice()
        del ds.PixelData
        ds.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.{number}"
        ds.MIMETypeOfEncapsulatedDocument = media_type
        ds.EncapsulatedDocument = b"<script>alert(1)</script>" + bytes(1)
        archive.store(ds)
        answer = archive.get(path_of(ds) + "/rendered")
        assert answer.headers["Content-Type"] == media_type
        assert answer.content == ds.EncapsulatedDocument
        assert "sandbox" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("syntax", "media_types"),
    [
        ("1.2.840.10008.1.2.4.100", ["video/mpeg"]),
        ("1.2.840.10008.1.2.4.107", ["video/mp4", "video/H265"]),
    ],
)
def test_videos_of_other_kinds_are_of_their_types(archive: Archive, syntax, media_types):
    ds = ct_slice(size=16, NumberOfFrames=2)
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
    ds.PixelData = encapsulate([b"a stream of bytes."], has_bot=False)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    assert archive.store(part10(ds, syntax)).status_code == 200
    for accept in ("*/*", *media_types):
        answer = archive.get(path_of(ds) + "/rendered", accept)
        expected = media_types[0] if accept == "*/*" else accept
        assert answer.headers["Content-Type"].lower() == expected.lower()
        assert answer.content == b"a stream of bytes."
    assert archive.get(path_of(ds) + "/rendered", "video/webm").status_code == 406


def test_a_video_passes_through_and_gives_ranges(archive: Archive):
    stream = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40
    ds = ct_slice(size=16, NumberOfFrames=3)
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
    ds.PixelData = encapsulate([stream], fragments_per_frame=3, has_bot=False)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    assert archive.store(part10(ds, MP4)).status_code == 200
    whole = archive.get(path_of(ds) + "/rendered", "video/*")
    assert whole.headers["Content-Type"] == "video/mp4"
    assert whole.content[: len(stream)] == stream
    middle = archive.get(
        path_of(ds) + "/rendered", "video/mp4", headers={"Range": "bytes=3000-4099"}
    )
    assert middle.status_code == 206
    assert middle.content == whole.content[3000:4100]
    octets = 'multipart/related; type="application/octet-stream"'
    unmade = f'multipart/related; type="application/octet-stream"; transfer-syntax={EXPLICIT}'
    for resource, accept in product(
        ("/frames/1", "/pixeldata", "/bulkdata"),
        # There is nothing else that it could be (PS3.18 8.7.3).
        (f"{octets}; transfer-syntax=*", octets, f"{unmade}, {octets}"),
    ):
        ((head, body),) = parts_of(archive.get(path_of(ds) + resource, accept))
        assert header(head, "Content-Type") == f"application/octet-stream; transfer-syntax={MP4}"
        assert body == whole.content


def test_a_series_of_videos_is_shown_by_one_and_a_study_rather_by_an_image(archive: Archive):
    ds = ct_slice(size=16, NumberOfFrames=2)
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
    ds.PixelData = encapsulate([b"\0\0\0\x18ftypmp42" + bytes(64)], has_bot=False)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    still = ct_slice(study=ds.StudyInstanceUID, SeriesNumber=2)
    assert archive.store(part10(ds, MP4), part10(still)).status_code == 200
    study, series = f"/studies/{ds.StudyInstanceUID}", path_of(ds).split("/instances")[0]
    for path, media_type in ((series, "video/mp4"), (study, "image/jpeg")):
        answer = archive.get(f"{path}/rendered", "*/*")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
    assert archive.get(f"{series}/rendered", "image/jpeg").status_code == 406


# -- presentation states


@pytest.fixture(scope="module")
def image(archive: Archive):
    ds = ramp()
    assert archive.store(ds).status_code == 200
    return ds


def values(ds: Dataset) -> np.ndarray:
    return np.frombuffer(ds.PixelData, np.uint8).reshape(8, 8)


def test_PIX_10_without_a_voi_all_values_are_shown(archive: Archive, image):
    state = state_for(image)
    archive.store(state)
    assert np.array_equal(rendered(archive, state), values(image))


def test_PIX_10_window_and_shape_are_the_states(archive: Archive, image):
    voi = Dataset()
    voi.WindowCenter, voi.WindowWidth = 32, 64
    state = state_for(image, SoftcopyVOILUTSequence=[voi], PresentationLUTShape="INVERSE")
    archive.store(state)
    expected = 255 - (values(image) / 63 * 255)
    assert np.abs(rendered(archive, state) - expected).max() <= 1


def test_PIX_02_the_states_shape_counts_and_not_monochrome1(archive: Archive):
    negative = ramp(PhotometricInterpretation="MONOCHROME1")
    for shape in ("IDENTITY", "INVERSE"):
        state = state_for(negative, PresentationLUTShape=shape)
        archive.store(negative, state)
        expected = values(negative) if shape == "IDENTITY" else 255 - values(negative)
        assert np.array_equal(rendered(archive, state), expected)


def test_states_for_angiography_colour_and_pseudo_colour(archive: Archive, image):
    grey = values(image)
    angio = state_for(image, PresentationLUTShape="INVERSE")
    angio.SOPClassUID = "1.2.840.10008.5.1.4.1.1.11.5"
    pseudo = state_for(image)
    pseudo.SOPClassUID = "1.2.840.10008.5.1.4.1.1.11.3"
    ramp_up = np.arange(256, dtype="<u2") * 257
    for name, table in (("Red", ramp_up[::-1]), ("Green", ramp_up), ("Blue", ramp_up * 0)):
        setattr(pseudo, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(pseudo, f"{name}PaletteColorLookupTableData", table.tobytes())
    photo = ramp()
    photo.SamplesPerPixel, photo.PlanarConfiguration = 3, 0
    photo.PhotometricInterpretation = "RGB"
    samples = np.random.default_rng(4).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    photo.PixelData = samples.tobytes()
    color = state_for(photo, ImageHorizontalFlip="Y", ImageRotation=0)
    color.SOPClassUID = "1.2.840.10008.5.1.4.1.1.11.2"
    assert archive.store(angio, pseudo, photo, color).status_code == 200
    assert np.array_equal(rendered(archive, angio), 255 - grey)
    shown = rendered(archive, pseudo).astype(int)
    expected = np.stack([255 - grey, grey, grey * 0], axis=-1)
    assert np.abs(shown - expected).max() <= 1
    assert np.array_equal(rendered(archive, color), samples[:, ::-1])


def test_PIX_10_area_rotation_and_flip(archive: Archive, image):
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner = [3, 2], [10, 5]
    area.PresentationSizeMode, area.PresentationPixelAspectRatio = "SCALE TO FIT", ["1", "1"]
    state = state_for(
        image,
        DisplayedAreaSelectionSequence=[area],
        ImageRotation=90,
        ImageHorizontalFlip="Y",
    )
    archive.store(state)
    cut = np.zeros((4, 8), np.uint8)
    cut[:, :6] = values(image)[1:5, 2:8]
    assert np.array_equal(rendered(archive, state), np.rot90(cut, -1)[:, ::-1])


def test_PIX_10_shutters_and_graphics(archive: Archive, image):
    line = Dataset()
    line.GraphicAnnotationUnits, line.GraphicDimensions = "PIXEL", 2
    line.NumberOfGraphicPoints, line.GraphicData = 2, [1.5, 4.5, 6.5, 4.5]
    line.GraphicType, line.GraphicFilled = "POLYLINE", "N"
    annotation = Dataset()
    annotation.GraphicLayer, annotation.GraphicObjectSequence = "ONE", [line]
    state = state_for(
        image,
        ShutterShape="RECTANGULAR",
        ShutterLeftVerticalEdge=1,
        ShutterRightVerticalEdge=8,
        ShutterUpperHorizontalEdge=1,
        ShutterLowerHorizontalEdge=8,
        ShutterPresentationValue=0xC800,
        GraphicAnnotationSequence=[annotation],
    )
    archive.store(state)
    shown = rendered(archive, state)
    assert set(shown[0]) == set(shown[7]) == set(shown[:, 0]) == {0xC8}
    assert set(shown[4, 2:6]) == {255}
    assert np.array_equal(shown[2, 1:7], values(image)[2, 1:7])


def test_PIX_10_all_images_of_a_state_as_parts(archive: Archive):
    first = ramp()
    second = ramp(study=first.StudyInstanceUID)
    absent = ramp(study=first.StudyInstanceUID)
    state = state_for(first, absent, second)
    archive.store(first, second, state)
    accept = 'multipart/related; type="image/png"'
    assert len(parts_of(archive.get(path_of(state) + "/rendered", accept))) == 2


def test_WAD_14_WAD_15_what_a_state_says_cannot_be_asked(archive: Archive, image):
    state = state_for(image)
    archive.store(state)
    path = path_of(state) + "/rendered"
    assert archive.get(path + "?window=40,400,linear", "image/png").status_code == 400
    assert archive.get(path + "?viewport=8,8,0,0,4,4", "image/png").status_code == 400
    assert rendered(archive, state, "?viewport=16,16").shape == (16, 16)
    nothing = state_for(ramp())
    archive.store(nothing)
    assert archive.get(path_of(nothing) + "/rendered", "image/png").status_code == 404


def test_URI_02_a_presentation_state_by_wado_uri(archive: Archive, image):
    state = state_for(image, PresentationLUTShape="INVERSE")
    archive.store(state)
    base = (
        f"/wado?requestType=WADO&studyUID={image.StudyInstanceUID}"
        f"&seriesUID={image.SeriesInstanceUID}&objectUID={image.SOPInstanceUID}"
        f"&contentType=image/png&presentationUID={state.SOPInstanceUID}"
    )
    with_series = f"{base}&presentationSeriesUID={state.SeriesInstanceUID}"
    shown = np.asarray(picture(archive.stack.get(with_series).content))
    assert np.array_equal(shown, 255 - values(image))
    assert archive.stack.get(base).status_code == 400
    assert archive.stack.get(with_series + "&windowCenter=1&windowWidth=2").status_code == 400
    others = state_for(ramp(study=image.StudyInstanceUID))
    archive.store(others)
    theirs = with_series.replace(state.SOPInstanceUID, others.SOPInstanceUID)
    theirs = theirs.replace(state.SeriesInstanceUID, others.SeriesInstanceUID)
    refused = archive.stack.get(theirs)
    assert (refused.status_code, "for other images" in refused.text) == (400, True)


def test_PIX_05_three_scrambled_tables_give_the_picture_back(archive: Archive, corpus):
    """A test object of OFFIS: pixels, modality LUT and VOI LUT are scrambled, together they fit."""
    folder = corpus / "dicom" / "pr"
    paths = folder / "prLUTs.dcm", folder / "imageForPrLUTs.dcm"
    state, scrambled = (pydicom.dcmread(path) for path in paths)
    archive.store_files(*paths)
    response = archive.get(path_of(state) + "/rendered", "image/png")
    assert response.status_code == 200, response.text
    shown = np.asarray(picture(response.content)).astype(int)
    assert shown.shape == (512, 512)
    tables = (
        state.ModalityLUTSequence[0],
        state.SoftcopyVOILUTSequence[0].VOILUTSequence[0],
        state.PresentationLUTSequence[0],
    )
    expected = scrambled.pixel_array.astype(int)
    for table in tables:
        expected = np.asarray(table.LUTData, dtype=int)[expected]
    assert np.abs(shown - expected).max() <= 1
    # Scrambled, neighbours differ wildly; put together again, hardly.
    assert np.abs(np.diff(shown)).mean() * 3 < np.abs(np.diff(scrambled.pixel_array * 1.0)).mean()
