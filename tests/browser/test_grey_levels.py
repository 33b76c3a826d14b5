"""What the browser paints is what the server renders: the same greys, value by value."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid as new_uid

from tests.browser.conftest import sign_in
from tests.builders import ct_slice, part10
from tests.protocol.dicomweb_archive import Archive, path_of
from tests.stack import Stack

STUDY = new_uid()
SIZE = 64
RAMP = np.arange(SIZE * SIZE).reshape(SIZE, SIZE)
CORPUS = (
    "lut/mlut_18.dcm",
    "lut/vlut_04.dcm",
    "cr-dx-mg/GH133.dcm",
    "cr-dx-mg/966_fixed.dcm",
    "cr-dx-mg/CR-MONO1-10-chest",
    "ct/CT_small.dcm",
    "ct/IM-0001-0001-0001.dcm",
    "phantom-checkerboard",
    "phantom-orientation",
)


def _ramp(pixels: NDArray[Any] = RAMP, **attributes: Any) -> Dataset:
    """Values that rise by one a pixel, 12 bits unsigned, nothing said but what is given."""
    ds = ct_slice(study=STUDY, size=SIZE, PixelData=pixels.astype("<u2").tobytes())
    for keyword in ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept"):
        delattr(ds, keyword)
    ds.Modality, ds.PixelRepresentation = "DX", 0
    ds.BitsStored, ds.HighBit = 12, 11
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def _window(function: str, center: float, width: float) -> dict[str, Any]:
    return {"WindowCenter": center, "WindowWidth": width, "VOILUTFunction": function}


def _lut(entries: NDArray[Any], first: int, bits: int, name: str = "") -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item["LUTDescriptor"].VR = "US"
    if name:
        item.LUTExplanation = name
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return item


GAMMA = (65535 * (np.arange(65536) / 65535) ** 0.7).astype(int)
STAIRS = np.repeat(np.arange(0, 4096, 273), 128)[:2000]

BUILT: dict[str, Callable[[], Dataset]] = {
    "PIX_03 negative slope": lambda: _ramp(
        RescaleSlope=-10, RescaleIntercept=3000, **_window("LINEAR", -10000, 20000)
    ),
    "PIX_03 fractional slope": lambda: _ramp(
        RescaleSlope="0.0625", RescaleIntercept=-12, **_window("LINEAR", 60, 200)
    ),
    "PIX_03 garbage in high bits": lambda: _ramp(RAMP | 0xB000, **_window("LINEAR", 2000, 3000)),
    "PIX_03 high bit 15 of 12": lambda: _ramp(
        (RAMP << 4) | 0x000B, HighBit=15, **_window("LINEAR", 2000, 3000)
    ),
    "PIX_03 signed 12 of 16": lambda: _ramp(
        RAMP, PixelRepresentation=1, **_window("LINEAR", 100, 3000)
    ),
    "PIX_04 width one": lambda: _ramp(**_window("LINEAR", 1000, 1)),
    "PIX_04 exact": lambda: _ramp(**_window("LINEAR_EXACT", 100, 16)),
    "PIX_04 narrow": lambda: _ramp(**_window("LINEAR", 100, 16)),
    "PIX_04 sigmoid": lambda: _ramp(**_window("SIGMOID", 2048, 900)),
    "PIX_05 65536 entries": lambda: _ramp(
        RAMP * 16, BitsStored=16, HighBit=15, VOILUTSequence=Sequence([_lut(GAMMA, 0, 16)])
    ),
    "PIX_05 clamped stairs": lambda: _ramp(VOILUTSequence=Sequence([_lut(STAIRS, 1000, 12)])),
    "PIX_05 modality, then VOI": lambda: _ramp(
        ModalityLUTSequence=Sequence([_lut(4095 - np.arange(4096), 0, 12)]),
        VOILUTSequence=Sequence([_lut(STAIRS, 1000, 12)]),
    ),
    "PIX_06 padding": lambda: _ramp(
        PixelPaddingValue=0, PixelPaddingRangeLimit=400, **_window("LINEAR", 2048, 4096)
    ),
    "PIX_06 padding without window": lambda: _ramp(
        PixelPaddingValue=4000, PixelPaddingRangeLimit=4095
    ),
    "PIX_06 padding under MONOCHROME1": lambda: _ramp(
        PhotometricInterpretation="MONOCHROME1",
        PixelPaddingValue=0,
        PixelPaddingRangeLimit=400,
        **_window("SIGMOID", 2048, 1000),
    ),
    **{
        f"PIX_02 {photometric} {shape}": lambda photometric=photometric, shape=shape: _ramp(
            PhotometricInterpretation=photometric,
            PresentationLUTShape=shape,
            **_window("LINEAR", 1000, 3000),
        )
        for photometric in ("MONOCHROME1", "MONOCHROME2")
        for shape in ("IDENTITY", "INVERSE")
    },
}


def _from_corpus(path: Path) -> bytes:
    """The file in the tests' own study, its pixels and their description untouched."""
    if path.is_dir():
        path = sorted(path.iterdir())[20]
    ds = pydicom.dcmread(path, force=True)
    syntax = ds.file_meta.get("TransferSyntaxUID", pydicom.uid.ImplicitVRLittleEndian)
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = STUDY, new_uid(), new_uid()
    ds.PatientName, ds.PatientID = "Test^Patient", "T-1"
    return part10(ds, syntax)


@dataclass
class Painted:
    """A picture off the screen, and where its pixels lie in the image."""

    picture: NDArray[Any]
    columns: NDArray[np.float64]
    rows: NDArray[np.float64]

    @classmethod
    def of(cls, page: Page) -> Painted:
        answer = page.evaluate("() => window.pacsweb.painted(0)")
        data = base64.b64decode(answer["picture"].partition(",")[2])
        picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
        origin, right, down = (np.array(answer[key]) for key in ("origin", "right", "down"))
        height, width = picture.shape[:2]
        columns = origin[0] + np.arange(width) * (right[0] - origin[0]) / 1000
        rows = origin[1] + np.arange(height) * (down[1] - origin[1]) / 1000
        return cls(picture, columns, rows)

    def difference(self, expected: NDArray[Any]) -> tuple[int, int]:
        """Greatest difference in grey, over the pixels of the screen well inside one of the image;
        and how many of these there are.
        """
        x, y = np.rint(self.columns).astype(int), np.rint(self.rows).astype(int)
        inside_x = (abs(self.columns - x) < 0.25) & (x >= 0) & (x < expected.shape[1])
        inside_y = (abs(self.rows - y) < 0.25) & (y >= 0) & (y < expected.shape[0])
        painted = self.picture[np.ix_(inside_y, inside_x)]
        rendered = expected[np.ix_(y[inside_y], x[inside_x])]
        return int(abs(painted - rendered[..., np.newaxis]).max()), rendered.size


def _settled(page: Page, other_than: str = "") -> str:
    page.wait_for_function(
        "before => { const view = window.pacsweb?.views()[0];"
        " return view?.status === 'shown' && view.zoom !== undefined"
        " && view.shown.sopInstanceUID !== before; }",
        arg=other_than,
    )
    page.evaluate("() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
    return str(page.evaluate("() => window.pacsweb.views()[0].shown.sopInstanceUID"))


def _as_squares(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.keyboard.type("smooth pixels")
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)


@pytest.fixture(scope="module")
def archive(stack: Stack) -> Archive:
    return Archive(stack)


@pytest.fixture(scope="module")
def stored(archive: Archive, corpus: Path) -> dict[str, Dataset]:
    """All images, each a series of the one study, by name."""
    found: dict[str, Dataset] = {}
    for name in [*BUILT, *CORPUS]:
        built = BUILT.get(name)
        data = part10(built()) if built else _from_corpus(corpus / "dicom" / name)
        found[name] = pydicom.dcmread(io.BytesIO(data))
        assert archive.store(data).status_code == 200
    return found


@pytest.fixture(scope="module")
def page(browser: Browser, stack: Stack, stored: dict[str, Dataset]) -> Iterator[Page]:
    """The study open in the viewer, pixels as squares."""
    context = browser.new_context(viewport={"width": 1100, "height": 700})
    page = context.new_page()
    sign_in(page, stack)
    page.goto(stack.url(f"/viewer/{STUDY}"))
    _settled(page)
    _as_squares(page)
    yield page
    context.close()


@pytest.fixture(scope="module")
def painted(page: Page, stored: dict[str, Dataset]) -> dict[str, Painted]:
    """Every image's picture, by SOP Instance UID, in the order of the strip."""
    found: dict[str, Painted] = {}
    shown = _settled(page)
    while True:
        found[shown] = Painted.of(page)
        if len(found) == len(stored):
            return found
        page.keyboard.press(".")
        shown = _settled(page, other_than=shown)


def _rendered(archive: Archive, ds: Dataset) -> NDArray[Any]:
    png = archive.get(path_of(ds) + "/rendered", "image/png").content
    return np.asarray(Image.open(io.BytesIO(png)).convert("L")).astype(int)


@pytest.mark.parametrize("name", [*BUILT, *CORPUS])
def test_PIX_12_browser_and_server_differ_by_one_grey_level_at_most(
    name: str, archive: Archive, stored: dict[str, Dataset], painted: dict[str, Painted]
) -> None:
    rendered = _rendered(archive, stored[name])
    assert np.ptp(rendered) > 60, "a picture with nothing on it proves nothing"
    worst, compared = painted[stored[name].SOPInstanceUID].difference(rendered)
    assert compared > 20_000
    assert worst <= 1, (worst, compared)


def test_PIX_05_windows_and_VOI_LUTs_are_alternatives(
    page: Page, stored: dict[str, Dataset], painted: dict[str, Painted]
) -> None:
    """GH133 brings three sigmoid windows, keys 1 to 3, and three VOI LUTs, keys 4 to 6."""
    ds = stored["cr-dx-mg/GH133.dcm"]
    while _settled(page) != ds.SOPInstanceUID:
        page.keyboard.press(",")
        page.wait_for_timeout(100)
    assert page.evaluate("() => window.pacsweb.views()[0].offered") == [
        *("normal", "harder", "softer"),
        *("normal", "harder", "softer"),
    ]
    for key, item in zip("456", ds.VOILUTSequence, strict=True):
        page.keyboard.press(key)
        name = str(item.LUTExplanation).lower()
        expect(page.locator(".overlay")).to_contain_text(f"VOI LUT {name}")
        _settled(page)
        entries = np.array(item.LUTData)
        index = np.clip(ds.pixel_array.astype(int) - item.LUTDescriptor[1], 0, len(entries) - 1)
        grey = (entries[index] * 255 / 4095 + 0.5).astype(int)
        grey[ds.pixel_array == ds.PixelPaddingValue] = 0
        worst, compared = Painted.of(page).difference(grey)
        assert compared > 20_000
        assert worst <= 1
    page.keyboard.press("0")
    _settled(page)
    expect(page.locator(".overlay")).to_contain_text("sigmoid")
