"""WADO-RS in every Transfer Syntax we write, checked by two decoders that are not ours."""

from __future__ import annotations

import io
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from tests.builders import ct_slice, part10
from tests.protocol.dicomweb_archive import Archive, header, parts_of, path_of, read

INSTANCES = 'multipart/related; type="application/dicom"'
GDCM = Path(__file__).parent.parent / "standards" / "gdcm_oracle.py"
ROOT = "1.2.840.10008.1.2"
LOSSLESS = {
    "JPEG lossless": f"{ROOT}.4.57",
    "JPEG lossless, first order": f"{ROOT}.4.70",
    "JPEG-LS": f"{ROOT}.4.80",
    "JPEG 2000": f"{ROOT}.4.90",
    "HTJ2K": f"{ROOT}.4.201",
    "HTJ2K, RPCL": f"{ROOT}.4.202",
    "RLE": f"{ROOT}.5",
}
BASELINE = f"{ROOT}.4.50"


def photograph() -> Dataset:
    """Two frames of smooth colours."""
    ds = ct_slice(size=32, frames=2)
    for keyword in ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"):
        delattr(ds, keyword)
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.4"
    ds.SamplesPerPixel, ds.PlanarConfiguration, ds.PhotometricInterpretation = 3, 0, "RGB"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    x, y = np.meshgrid(np.arange(32), np.arange(32))
    one = np.stack([x * 8, y * 8, (x + y) * 4], axis=-1).astype(np.uint8)
    ds.PixelData = np.stack([one, one[::-1]]).tobytes()
    ds["PixelData"].VR = "OB"
    return ds


@pytest.fixture(scope="module")
def images(archive: Archive):
    """Stored once: grey with sign in two frames, colour, and grey in a deflated data set."""
    grey, colour, deflated = ct_slice(size=40, frames=2), photograph(), ct_slice(size=24)
    assert archive.store(grey, colour).status_code == 200
    packed = part10(deflated, DeflatedExplicitVRLittleEndian)
    assert archive.store(packed).status_code == 200
    return [grey, colour, deflated]


def by_gdcm(file: bytes, folder: Path, dtype: np.dtype) -> np.ndarray | None:
    path = folder / "back.dcm"
    path.write_bytes(file)
    done = subprocess.run(
        [sys.executable, str(GDCM), str(path)], capture_output=True, timeout=60, check=False
    )
    return np.frombuffer(done.stdout, dtype) if done.returncode == 0 else None


def by_pydicom(back: Dataset) -> np.ndarray | None:
    """Stored values by pylibjpeg or pyjpegls; None where neither knows the syntax."""
    decoder = get_decoder(back.file_meta.TransferSyntaxUID)
    if not decoder.is_available:
        return None
    return back.pixel_array


@pytest.mark.parametrize("syntax", LOSSLESS.values(), ids=LOSSLESS.keys())
def test_WAD_05_every_lossless_syntax_we_write_keeps_every_value(
    archive: Archive, images, tmp_path, syntax
):
    witnesses = 0
    for ds in images:
        response = archive.get(path_of(ds), f"{INSTANCES}; transfer-syntax={syntax}")
        assert response.status_code == 200, response.text
        ((head, body),) = parts_of(response)
        assert header(head, "Content-Type") == f"application/dicom; transfer-syntax={syntax}"
        assert int(header(head, "Content-Length")) == len(body)
        back = read(body)
        assert back.file_meta.TransferSyntaxUID == syntax
        assert back.SOPInstanceUID == ds.SOPInstanceUID
        assert back.PatientName == ds.PatientName
        assert "LossyImageCompression" not in back
        expected = np.frombuffer(ds.PixelData, "<i2" if ds.BitsAllocated == 16 else "u1")
        for values in (by_pydicom(back), by_gdcm(body, tmp_path, expected.dtype)):
            if values is not None:
                assert np.array_equal(values.ravel(), expected), syntax
                witnesses += 1
    # HTJ2K is read by one of the two only.
    assert witnesses >= len(images)


def test_PIX_11_compressed_with_loss_it_is_another_instance_and_says_so(archive: Archive, images):
    _, ds, _ = images
    answers = [
        parts_of(archive.get(path_of(ds), f"{INSTANCES}; transfer-syntax={BASELINE}"))
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    back = read(answers[0][0][1])
    assert back.SOPInstanceUID != ds.SOPInstanceUID
    assert back.file_meta.MediaStorageSOPInstanceUID == back.SOPInstanceUID
    assert back.SOPInstanceUID.startswith("2.25.")
    assert back.LossyImageCompression == "01"
    assert back.LossyImageCompressionMethod == "ISO_10918_1"
    assert float(back.LossyImageCompressionRatio) > 1
    assert back.PhotometricInterpretation == "YBR_FULL_422"
    assert [element.tag for element in back] == sorted(element.tag for element in back)
    pixels = back.pixel_array  # pydicom has turned them into RGB
    original = np.frombuffer(ds.PixelData, "u1").reshape(pixels.shape)
    assert np.abs(pixels.astype(int) - original).mean() < 4


def test_what_a_syntax_cannot_hold_is_406_in_words(archive: Archive, images):
    grey = images[0]
    refusal = archive.get(path_of(grey), f"{INSTANCES}; transfer-syntax={BASELINE}")
    assert refusal.status_code == 406
    assert refusal.json()["message"].endswith(".")


@pytest.mark.parametrize(
    ("media_type", "syntax"),
    [
        ("image/jls", f"{ROOT}.4.80"),
        ("image/jp2", f"{ROOT}.4.90"),
        ("image/jphc", f"{ROOT}.4.201"),
        ("image/dicom-rle", f"{ROOT}.5"),
        ("image/jpeg", f"{ROOT}.4.70"),
    ],
)
def test_WAD_05_frames_of_an_image_type_are_in_its_default_syntax(
    archive: Archive, images, media_type, syntax
):
    ds = images[0]
    for accept in (
        f'multipart/related; type="{media_type}"',
        f'multipart/related; type="{media_type}"; transfer-syntax={syntax}',
    ):
        response = archive.get(path_of(ds) + "/frames/2", accept)
        assert response.status_code == 200, response.text
        ((head, body),) = parts_of(response)
        assert header(head, "Content-Type") == f"{media_type}; transfer-syntax={syntax}"
    alone = archive.get(path_of(ds) + "/frames/2", media_type)
    assert alone.headers["Content-Type"] == f"{media_type}; transfer-syntax={syntax}"
    assert alone.content == body
    back = read(part10(ds))
    del back.NumberOfFrames
    back.file_meta.TransferSyntaxUID = UID(syntax)
    back.PixelData = encapsulate([body])
    values = by_pydicom(back)
    assert values is not None or media_type == "image/jphc"
    if values is not None:
        frame = np.frombuffer(ds.PixelData, "<i2").reshape(2, 40, 40)[1]
        assert np.array_equal(values.reshape(40, 40), frame)


def test_WAD_04_any_image_type_is_that_of_the_stored_or_lossless_jpeg(archive: Archive, images):
    answer = archive.get(path_of(images[0]) + "/frames/1", 'multipart/related; type="image/*"')
    ((head, _),) = parts_of(answer)
    assert header(head, "Content-Type") == "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.70"


def test_a_study_as_a_zip_archive(archive: Archive):
    study = ct_slice().StudyInstanceUID
    slices = [ct_slice(study=study, number=number) for number in (1, 2, 3)]
    assert archive.store(*slices).status_code == 200
    response = archive.get(f"/studies/{study}", "application/zip")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as packed:
        assert packed.testzip() is None
        names = packed.namelist()
        found = {pydicom.dcmread(io.BytesIO(packed.read(name))).SOPInstanceUID for name in names}
    assert found == {each.SOPInstanceUID for each in slices}
    assert {name.rpartition("/")[2] for name in names} == {f"{uid}.dcm" for uid in found}
    as_rle = archive.get(f"/studies/{study}?accept=application/zip;transfer-syntax={ROOT}.5")
    with zipfile.ZipFile(io.BytesIO(as_rle.content)) as packed:
        for name in packed.namelist():
            assert read(packed.read(name)).file_meta.TransferSyntaxUID == f"{ROOT}.5"


def test_a_zip_archive_is_made_in_flat_memory():
    """Four instances of 64 MB that exist only as chunks."""
    from apps.dicomweb.wado_rs.archives import zipped
    from apps.retrieve.instances import OutgoingInstance
    from apps.retrieve.locations import Location

    def located(number: int) -> Location:
        uids = ("1.2", "1.2.3", f"1.2.3.{number}", "1.2.9", ExplicitVRLittleEndian)
        return Location(number, *uids, f"key-{number}", 0, 0, b"", None)

    length = 64 << 20
    outgoing = (
        (
            located(number),
            OutgoingInstance(
                ExplicitVRLittleEndian, length, (bytes(1 << 20) for _ in range(length >> 20))
            ),
        )
        for number in range(4)
    )
    tracemalloc.start()
    total = sum(map(len, zipped(outgoing)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total > 4 * length
    assert peak < 16 << 20
