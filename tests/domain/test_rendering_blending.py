"""Blending presentation states, against the sum worked out pixel by pixel in the patient."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from django.test import Client
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from apps.access.models import User
from apps.dicom.part10 import HEAD_LENGTH, Provenance
from apps.ingest import inbox
from apps.ingest.actions.drain_inbox import drain_inbox
from apps.rendering.rgb_spaces import profile_of
from tests.builders import ct_slice, new_uid, part10

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_folders")]
STATE = "1.2.840.10008.5.1.4.1.1.11.4"


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(
        User.objects.create_superuser("root", password="a long password"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


def receive(*datasets: Dataset) -> None:
    for dataset in datasets:
        raw = part10(dataset)
        provenance = Provenance("dimse", "CT1", "PACSWEB", "10.0.0.1")
        inbox.receive_part10(provenance, raw[:HEAD_LENGTH], [raw[HEAD_LENGTH:]])
    drain_inbox(60)


def grey(values: NDArray[Any], **attributes: Any) -> Dataset:
    """An image of 8 bits without windows of its own."""
    ds = ct_slice(size=4)
    for keyword in ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"):
        delattr(ds, keyword)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.Rows, ds.Columns = values.shape
    ds.PixelData = values.astype(np.uint8).tobytes()
    ds["PixelData"].VR = "OB"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def reference(*images: Dataset) -> list[Dataset]:
    series = []
    for image in images:
        one, item = Dataset(), Dataset()
        one.ReferencedSOPClassUID = image.SOPClassUID
        one.ReferencedSOPInstanceUID = image.SOPInstanceUID
        item.SeriesInstanceUID, item.ReferencedImageSequence = image.SeriesInstanceUID, [one]
        series.append(item)
    return series


def layer(position: str, *images: Dataset, **attributes: Any) -> Dataset:
    item = Dataset()
    item.BlendingPosition, item.StudyInstanceUID = position, images[0].StudyInstanceUID
    item.ReferencedSeriesSequence = reference(*images)
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def window(center: float, width: float) -> Dataset:
    voi = Dataset()
    voi.WindowCenter, voi.WindowWidth = center, width
    voi.VOILUTFunction = "LINEAR_EXACT"
    return voi


# Red rises, green falls, blue is a saw: no channel could be taken for another.
PALETTE = np.stack(
    [np.arange(256), 255 - np.arange(256), np.arange(256) * 3 % 256], axis=-1
).astype(np.uint16)


def state_of(*layers: Dataset, **attributes: Any) -> Dataset:
    ds = ct_slice(study=layers[0].StudyInstanceUID)
    for keyword in ("PixelData", "Rows", "Columns", "WindowCenter", "WindowWidth", "RescaleSlope"):
        delattr(ds, keyword)
    del ds.RescaleIntercept
    ds.SOPClassUID, ds.Modality = STATE, "PR"
    ds.BlendingSequence, ds.RelativeOpacity = list(layers), 0.25
    for channel, name in enumerate(("Red", "Green", "Blue")):
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        data = (PALETTE[:, channel] * 257).astype("<u2").tobytes()
        setattr(ds, f"{name}PaletteColorLookupTableData", data)
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def ask(client: Client, ds: Dataset, accept: str = "image/png", query: str = "") -> Any:
    path = f"/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
    address = f"{path}/instances/{ds.SOPInstanceUID}/rendered{query}"
    return client.get(address, headers={"Accept": accept})


def shown(client: Client, ds: Dataset) -> NDArray[np.uint8]:
    answer = ask(client, ds)
    body = b"".join(answer)
    assert answer.status_code == 200, body
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))


def where(ds: Dataset, row: int, column: int) -> NDArray[np.float64]:
    across, down = np.split(np.array(ds.ImageOrientationPatient, dtype=float), 2)
    spacing = [float(each) for each in ds.PixelSpacing]
    origin = np.array(ds.ImagePositionPatient, dtype=float)
    return origin + across * spacing[1] * column + down * spacing[0] * row


def sample(ds: Dataset, values: NDArray[Any], point: NDArray[np.float64]) -> float | None:
    """The image's value at a point of the patient, by solving for row and column."""
    steps = np.stack([where(ds, 1, 0) - where(ds, 0, 0), where(ds, 0, 1) - where(ds, 0, 0)], 1)
    (row, column), *_ = np.linalg.lstsq(steps, point - where(ds, 0, 0), rcond=None)
    rows, columns = values.shape
    if not (-0.5 <= row <= rows - 0.5 and -0.5 <= column <= columns - 0.5):
        return None
    row, column = min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)
    found = 0.0
    for r in {int(row), min(int(row) + 1, rows - 1)}:
        for c in {int(column), min(int(column) + 1, columns - 1)}:
            found += values[r, c] * max(0, 1 - abs(row - r)) * max(0, 1 - abs(column - c))
    return found


def summed(
    under: Dataset, under_grey: NDArray[Any], over: Dataset, over_grey: NDArray[Any], opacity: float
) -> NDArray[np.float64]:
    expected = np.repeat(under_grey[..., None].astype(float), 3, axis=-1)
    for row, column in np.ndindex(under_grey.shape):
        value = sample(over, over_grey, where(under, row, column))
        if value is not None:
            color = PALETTE[int(value + 0.5)]
            expected[row, column] = (1 - opacity) * under_grey[row, column] + opacity * color
    return expected


RAMP = np.arange(0, 240, 4, dtype=np.uint8).reshape(6, 10)
DOTS = np.random.default_rng(5).integers(0, 256, (5, 4), dtype=np.uint8)


@pytest.mark.parametrize(
    "placed",
    [
        # The same place and size.
        {"ImagePositionPatient": [0, 0, 1], "PixelSpacing": [0.5, 0.5]},
        # Coarser, beginning beside the other and ending within it.
        {"ImagePositionPatient": [-1.2, 0.7, 1], "PixelSpacing": [0.8, 1.1]},
        # Mirrored and turned by a right angle, as another scanner may have it.
        {
            "ImagePositionPatient": [4, 2.5, 1],
            "PixelSpacing": [0.9, 0.6],
            "ImageOrientationPatient": [0, -1, 0, -1, 0, 0],
        },
        # Turned by 30 degrees in its plane.
        {
            "ImagePositionPatient": [1.1, -0.4, 1],
            "PixelSpacing": [0.7, 0.7],
            "ImageOrientationPatient": [0.8660254, 0.5, 0, -0.5, 0.8660254, 0],
        },
    ],
)
def test_each_pixel_is_the_sum_of_both_images(root: Client, placed: dict[str, Any]):
    under = grey(RAMP, ImagePositionPatient=[0, 0, 1])
    over = grey(DOTS, **placed)
    over.StudyInstanceUID = under.StudyInstanceUID
    state = state_of(layer("SUPERIMPOSED", over), layer("UNDERLYING", under))
    receive(under, over, state)
    picture = shown(root, state)
    expected = summed(under, RAMP, over, DOTS, 0.25)
    assert picture.shape == (6, 10, 3)
    assert np.abs(picture - expected).max() <= 2
    assert np.abs(picture - RAMP[..., None].astype(float)).max() > 20


def test_each_image_has_a_window_and_a_slope_of_its_own(root: Client):
    under = grey(RAMP)
    over = grey(RAMP[::-1], StudyInstanceUID=under.StudyInstanceUID)
    state = state_of(
        layer("UNDERLYING", under, SoftcopyVOILUTSequence=[window(100, 100)]),
        layer(
            "SUPERIMPOSED",
            over,
            RescaleSlope=2,
            RescaleIntercept=-10,
            RescaleType="US",
            SoftcopyVOILUTSequence=[window(200, 300)],
        ),
        RelativeOpacity=0.5,
    )
    receive(under, over, state)
    dark = np.clip((RAMP - 100.0) / 100 + 0.5, 0, 1) * 255
    bright = np.clip((RAMP[::-1] * 2.0 - 10 - 200) / 300 + 0.5, 0, 1) * 255
    expected = summed(under, np.round(dark), over, np.round(bright), 0.5)
    assert np.abs(shown(root, state) - expected).max() <= 3


def test_the_slice_that_lies_there_is_taken_or_none(root: Client):
    under = [grey(RAMP, ImagePositionPatient=[0, 0, z]) for z in (0, 3, 9)]
    over = [grey(np.full((6, 10), v), ImagePositionPatient=[0, 0, z])
            for v, z in ((200, 4), (100, 0), (50, 2))]  # fmt: skip
    for each in (*under, *over):
        each.StudyInstanceUID = under[0].StudyInstanceUID
    state = state_of(layer("UNDERLYING", *under), layer("SUPERIMPOSED", *over))
    receive(*under, *over, state)
    answer = ask(root, state, 'multipart/related; type="image/png"')
    body = b"".join(answer)
    starts = [at for at in range(len(body)) if body.startswith(b"\x89PNG", at)]
    pictures = [np.asarray(Image.open(io.BytesIO(body[at:])).convert("RGB")) for at in starts]
    assert len(pictures) == 3
    for picture, ramp, color in zip(pictures, under, (PALETTE[100], None, None), strict=True):
        plain = np.repeat(RAMP[..., None].astype(float), 3, axis=-1)
        if ramp is under[1]:
            # Half way between two slices: either is as near.
            sums = [plain * 0.75 + PALETTE[value] * 0.25 for value in (200, 50)]
            assert min(np.abs(picture - each).max() for each in sums) <= 2
            continue
        expected = plain if color is None else plain * 0.75 + color * 0.25
        assert np.abs(picture - expected).max() <= 2


COLORED = {
    "PhotometricInterpretation": "RGB",
    "SamplesPerPixel": 3,
    "PlanarConfiguration": 0,
    "PixelData": bytes(3 * RAMP.size),
}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"FrameOfReferenceUID": "1.2.9"}, b"frame of reference"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, 1]}, b"parallel"),
        (COLORED, b"grey"),
    ],
)
def test_what_cannot_be_laid_over_is_refused_in_words(
    root: Client, wrong: dict[str, Any], words: bytes
):
    under, over = grey(RAMP), grey(RAMP)
    over.StudyInstanceUID = under.StudyInstanceUID
    for keyword, value in wrong.items():
        setattr(over, keyword, value)
    state = state_of(layer("UNDERLYING", under), layer("SUPERIMPOSED", over))
    receive(under, over, state)
    answer = ask(root, state)
    assert answer.status_code == 406
    assert words in b"".join(answer)


def test_a_state_that_says_too_little_and_an_image_that_is_not_here(root: Client):
    under, over = grey(RAMP), grey(RAMP)
    over.StudyInstanceUID = under.StudyInstanceUID
    opaque = state_of(layer("UNDERLYING", under), layer("SUPERIMPOSED", over), RelativeOpacity=7.0)
    alone = state_of(layer("UNDERLYING", under))
    registered = state_of(layer("UNDERLYING", under), layer("SUPERIMPOSED", over))
    registered.ReferencedSpatialRegistrationSequence = [Dataset()]
    registered.ReferencedSpatialRegistrationSequence[0].StudyInstanceUID = new_uid()
    absent = state_of(layer("UNDERLYING", under), layer("SUPERIMPOSED", grey(RAMP)))
    receive(under, over, opaque, alone, registered, absent)
    for state, words in ((opaque, b"Opacity"), (alone, b"superimposed"), (registered, b"Regist")):
        answer = ask(root, state)
        assert answer.status_code == 406
        assert words in b"".join(answer)
    assert ask(root, absent).status_code == 404
    assert ask(root, absent, query="?window=1,2,linear").status_code == 400


def test_the_states_own_profile_says_what_its_colours_are(root: Client):
    under, over = grey(RAMP), grey(RAMP)
    over.StudyInstanceUID = under.StudyInstanceUID
    own = profile_of("displayp3")
    state = state_of(layer("UNDERLYING", under), layer("SUPERIMPOSED", over), ICCProfile=own)
    receive(under, over, state)
    answer = ask(root, state, query="?iccprofile=yes")
    assert Image.open(io.BytesIO(b"".join(answer))).info["icc_profile"] == own
