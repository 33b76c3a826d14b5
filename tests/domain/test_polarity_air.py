"""Whether the guard tells air from body, measured: radiographs of the corpus and phantoms."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from apps.polarity.air import find_air
from tests.radiographs import BODIES, COLLIMATORS, radiograph

# Where air lies in the stored values of the corpus's radiographs, looked at by eye.
RADIOGRAPHS = {
    "dicom/cr-dx-mg/966_fixed.dcm": 1,
    "dicom/cr-dx-mg/RG3_J2KI.dcm": 1,
    "dicom/cr-dx-mg/RG3_J2KR.dcm": 1,
    "dicom/cr-dx-mg/GH133.dcm": -1,
}
NO_RADIOGRAPHS = ("dicom/charset/SCSARAB", "dicom/lut/mlut_18.dcm", "dicom/sc-color/image_dfl")


def counted(values: NDArray[np.number], air: int, *, mammogram: bool, into: Counter[str]) -> None:
    """Looks at both polarities; which are right, wrong, or not to be told."""
    for each, end in ((values, air), (values.max() - values, -air)):
        found = find_air(each, straight_outlines=mammogram)
        if not found.end:
            into["unsure"] += 1
        elif found.end == end:
            into["right"] += 1
        else:
            into["wrong"] += 1
            into["wrong and certain"] += found.confidence >= 0.9


@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_both_polarities_of_the_corpus_radiographs_are_told(corpus: Path, name: str) -> None:
    dataset = pydicom.dcmread(corpus / name)
    counts: Counter[str] = Counter()
    mammogram = dataset.Modality == "MG"
    counted(dataset.pixel_array, RADIOGRAPHS[name], mammogram=mammogram, into=counts)
    assert counts == {"right": 2}


def test_crops_of_the_corpus_radiographs_are_never_told_wrongly(corpus: Path) -> None:
    counts: Counter[str] = Counter()
    draw = np.random.default_rng(3)
    for name in list(RADIOGRAPHS)[:2]:
        whole = pydicom.dcmread(corpus / name).pixel_array[::2, ::2]
        for _ in range(5):
            rows, columns = (int(side * draw.uniform(0.4, 0.95)) for side in whole.shape)
            y = draw.integers(0, whole.shape[0] - rows)
            x = draw.integers(0, whole.shape[1] - columns)
            part = whole[y : y + rows, x : x + columns]
            counted(part, RADIOGRAPHS[name], mammogram=False, into=counts)
    assert counts["wrong"] == 0
    assert counts["right"] >= 4


def test_phantoms_are_seldom_told_wrongly_and_never_with_certainty() -> None:
    """The figures in docs/decisions/photometric-guard.md are of more of the same."""
    counts: Counter[str] = Counter()
    draw = np.random.default_rng(20130101)
    for body in BODIES:
        for collimator in COLLIMATORS:
            values = radiograph(body, draw, collimator, lead=bool(draw.integers(2)))
            counted(values, -1, mammogram=body == "breast", into=counts)
    assert counts["wrong and certain"] == 0
    assert counts["wrong"] <= 2, counts
    assert counts["right"] >= 14, counts


@pytest.mark.parametrize("name", NO_RADIOGRAPHS)
def test_test_patterns_are_no_radiographs(corpus: Path, name: str) -> None:
    values = pydicom.dcmread(corpus / name).pixel_array
    assert find_air(values).end == 0


@pytest.mark.parametrize("side", [600, 900, 1400])
def test_a_page_of_text_with_a_diagram_is_no_radiograph(side: int) -> None:
    page = Image.new("L", (side, side), 255)
    pen = ImageDraw.Draw(page)
    for y in range(30, side - 40, side // 40):
        pen.text((40, y), "Dose report 0123456789 " * 4, fill=0, font_size=side // 55)
    assert find_air(np.asarray(page)).end == 0
    pen.ellipse((side * 0.2, side * 0.2, side * 0.8, side * 0.8), fill=100)
    assert find_air(np.asarray(page)).end == 0


def test_eight_bits_and_noise_are_enough() -> None:
    values = radiograph("skull", np.random.default_rng(4)) // 16
    assert find_air(values.astype(np.uint8)).end == -1


@pytest.mark.parametrize("shape", [(16, 16), (2000, 40), (300, 300)])
def test_what_shows_nothing_is_no_answer(shape: tuple[int, int]) -> None:
    found = find_air(np.full(shape, 7, dtype=np.uint16))
    assert (found.end, found.confidence) == (0, 0.0)
    assert found.why
