"""The grey pipeline, rule by rule (PS3.3 C.7.6.3, C.11; PS3.4 N.2)."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from apps.errors import InvalidRequest, UnsupportedPixels
from apps.rendering.grey import apply_voi
from apps.rendering.lookup_tables import LookupTable
from apps.rendering.options import PNG, RenderOptions, VoiFunction, Window
from apps.rendering.render import render_frame
from tests.domain.pictures import EXPLICIT, image, model, render, shown

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
FULL = {"WindowCenter": 128, "WindowWidth": 256}


def lut(first: int, entries: list[int], bits: int = 16) -> dict[str, Any]:
    data = np.array(entries, dtype="<u2").tobytes()
    return model(LUTDescriptor=[len(entries) % 65536, first, bits], LUTData=data)


# --- order and polarity


def test_PIX_01_modality_then_window_then_polarity() -> None:
    """Stored 100 is 2 * 100 - 50 = 150; in the window 150 +- 50 that is the middle."""
    pixels = np.array([[75, 100, 125]], dtype=np.uint16)
    attributes: dict[str, Any] = {
        "RescaleSlope": "2", "RescaleIntercept": "-50",
        "WindowCenter": "150", "WindowWidth": "100", "VOILUTFunction": "LINEAR_EXACT",
    }  # fmt: skip
    assert render(pixels, **attributes).tolist() == [[0, 128, 255]]
    negative = render(pixels, PhotometricInterpretation="MONOCHROME1", **attributes)
    assert negative.tolist() == [[255, 128, 0]]


def test_PIX_01_polarity_comes_after_the_window_so_the_window_means_the_same_values() -> None:
    """Inverting before the window would let it pick the other end of the values."""
    pixels = np.array([[0, 10, 4000]], dtype=np.uint16)
    window = {"WindowCenter": 5.5, "WindowWidth": 11}
    positive = render(pixels, **window)
    negative = render(pixels, PhotometricInterpretation="MONOCHROME1", **window)
    assert positive.tolist() == [[0, 255, 255]]
    assert negative.tolist() == [[255, 0, 0]]


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", None, False),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME1", None, True),
        ("MONOCHROME2", "INVERSE", True),
    ],
)
def test_PIX_02_two_statements_of_one_inversion_invert_once(
    photometric: str, shape: str | None, *, inverted: bool
) -> None:
    """PS3.3 C.8.11.3: DX says INVERSE together with MONOCHROME1 and means one inversion."""
    attributes = {"PresentationLUTShape": shape} if shape else {}
    drawn = render(RAMP, PhotometricInterpretation=photometric, **FULL, **attributes)
    expected = 255 - RAMP if inverted else RAMP
    np.testing.assert_array_equal(drawn, expected)


# --- modality LUT


def test_PIX_03_a_negative_slope_turns_the_values_round() -> None:
    pixels = np.array([[0, 50, 100]], dtype=np.uint16)
    drawn = render(pixels, RescaleSlope=-1, RescaleIntercept=0, WindowCenter=-49.5, WindowWidth=101)
    assert drawn[0, 0] == 255
    assert drawn[0, 2] == 0
    assert render(pixels, RescaleSlope=-1, RescaleIntercept=0)[0].tolist() == [255, 128, 0]


def test_PIX_03_signed_values_with_garbage_above_bits_stored() -> None:
    values = np.array([[-2048, 0, 2047]])
    words = (values & 0x0FFF | 0x5000).astype(np.uint16)
    drawn = render(
        words, BitsStored=12, HighBit=11, PixelRepresentation=1, WindowCenter=0, WindowWidth=4096
    )
    assert drawn.tolist() == [[0, 128, 255]]


def test_PIX_01_modality_lut_sequence_replaces_slope_and_intercept() -> None:
    pixels = np.array([[9, 10, 11, 12, 99]], dtype=np.uint8)
    drawn = render(
        pixels,
        ModalityLUTSequence=[lut(10, [0, 100, 200], bits=8)],
        WindowCenter=100,
        WindowWidth=200,
        VOILUTFunction="LINEAR_EXACT",
    )
    assert drawn.tolist() == [[0, 0, 128, 255, 255]]


# --- VOI


def by_the_formula(x: float, c: float, w: float, function: VoiFunction) -> float:
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2, literally, ymin 0 and ymax 255."""
    if function is VoiFunction.SIGMOID:
        return 255 / (1 + math.exp(min(-4 * (x - c) / w, 700)))
    if function is VoiFunction.LINEAR:
        below, above = c - 0.5 - (w - 1) / 2, c - 0.5 + (w - 1) / 2
    else:
        below, above = c - w / 2, c + w / 2
    if x <= below or x > above:
        return 0 if x <= below else 255
    if function is VoiFunction.LINEAR:
        return ((x - (c - 0.5)) / (w - 1) + 0.5) * 255
    return ((x - c) / w + 0.5) * 255


@settings(max_examples=300, deadline=None)
@given(
    st.integers(-5000, 5000),
    st.floats(-3000, 3000),
    st.floats(1, 4000),
    st.sampled_from(list(VoiFunction)),
)
def test_PIX_04_windows_follow_the_formulas_of_the_standard(
    value: int, center: float, width: float, function: VoiFunction
) -> None:
    level = apply_voi(np.array([float(value)]), Window(center, width, function))[0] * 255
    assert level == pytest.approx(by_the_formula(value, center, width, function), abs=1e-6)


def test_PIX_04_width_1_is_a_step_and_linear_differs_from_exact() -> None:
    pixels = np.array([[9, 10, 11]], dtype=np.uint16)
    assert render(pixels, WindowCenter=10, WindowWidth=1).tolist() == [[0, 255, 255]]
    eight = np.arange(0, 16, dtype=np.uint16).reshape(1, 16)
    drawn = {
        name: render(eight, WindowCenter=8, WindowWidth=8, VOILUTFunction=name)[0]
        for name in ("LINEAR", "LINEAR_EXACT", "SIGMOID")
    }
    assert drawn["LINEAR"][8] == 146
    assert drawn["LINEAR_EXACT"][8] == 128
    assert drawn["SIGMOID"][4] == 30
    assert drawn["LINEAR"].tolist() != drawn["LINEAR_EXACT"].tolist()


@pytest.mark.parametrize("width", [0, -5, "x"])
def test_PIX_04_a_senseless_window_of_the_object_is_passed_over(width: Any) -> None:
    pixels = np.array([[100, 200]], dtype=np.uint16)
    assert render(pixels, WindowCenter=10, WindowWidth=width).tolist() == [[0, 255]]


def test_PIX_05_voi_lut_clamps_below_its_first_value_and_above_its_last() -> None:
    pixels = np.array([[0, 20, 21, 22, 23, 60000]], dtype=np.uint16)
    drawn = render(pixels, VOILUTSequence=[lut(20, [51, 102, 153, 204], bits=8)])
    assert drawn.tolist() == [[51, 51, 102, 153, 204, 204]]


def test_PIX_05_zero_entries_stand_for_65536() -> None:
    entries = list(range(65536))
    pixels = np.array([[0, 32768, 65535]], dtype=np.uint16)
    assert render(pixels, VOILUTSequence=[lut(0, entries)]).tolist() == [[0, 128, 255]]


def test_PIX_05_first_value_of_signed_images_may_stand_as_unsigned() -> None:
    pixels = np.array([[-1000, -999, -998]], dtype=np.int16)
    table = lut(65536 - 1000, [0, 32768, 65535])
    assert render(pixels, VOILUTSequence=[table]).tolist() == [[0, 128, 255]]


def test_PIX_05_windows_and_voi_luts_are_alternatives() -> None:
    pixels = np.array([[0, 100]], dtype=np.uint8)
    attributes: dict[str, Any] = {
        "WindowCenter": [50.5, 100], "WindowWidth": [101, 1000],
        "VOILUTSequence": [lut(0, [255, 0], bits=8)],
    }  # fmt: skip
    drawn = [
        render(pixels, RenderOptions(PNG, voi_alternative=index), **attributes)[0].tolist()
        for index in range(3)
    ]
    assert drawn[0] == [0, 255]
    assert drawn[1] == [102, 128]
    assert drawn[2] == [255, 0]
    with pytest.raises(InvalidRequest):
        render(pixels, RenderOptions(PNG, voi_alternative=3), **attributes)


def test_PIX_05_lut_data_behind_a_uri_is_fetched_and_missed_when_nobody_fetches() -> None:
    pixels = np.array([[0, 1]], dtype=np.uint8)
    table = lut(0, [0, 65535])
    table["00283006"] = {"vr": "OW", "BulkDataURI": "/bulkdata/00283010/1/00283006"}
    dataset = image(pixels, VOILUTSequence=[table])
    asked = []

    def fetch(uri: str) -> bytes:
        asked.append(uri)
        return np.array([65535, 0], dtype="<u2").tobytes()

    drawn = render_frame(pixels.tobytes(), dataset, EXPLICIT, RenderOptions(PNG), bulk_data=fetch)
    assert shown(drawn).tolist() == [[255, 0]]
    assert asked == ["/bulkdata/00283010/1/00283006"]
    with pytest.raises(UnsupportedPixels):
        render_frame(pixels.tobytes(), dataset, EXPLICIT, RenderOptions(PNG))


@settings(max_examples=100)
@given(st.integers(-70000, 70000), st.integers(-1000, 1000), st.integers(1, 64))
def test_PIX_05_tables_take_the_nearest_entry_outside(value: int, first: int, count: int) -> None:
    table = LookupTable(first, np.arange(count, dtype=np.uint16), 16)
    expected = min(max(value - first, 0), count - 1)
    assert table.apply(np.array([value]))[0] == expected


# --- padding and defaults


def test_PIX_06_padding_takes_no_part_in_the_default_window_and_stays_black() -> None:
    pixels = np.array([[-2000, 0, 50, 100]], dtype=np.int16)
    assert render(pixels, PixelPaddingValue=-2000).tolist() == [[0, 0, 128, 255]]
    negative = render(pixels, PixelPaddingValue=-2000, PhotometricInterpretation="MONOCHROME1")
    assert negative.tolist() == [[0, 255, 128, 0]]


def test_PIX_06_a_padding_range_and_an_unsigned_spelling_of_a_signed_value() -> None:
    pixels = np.array([[-2000, -1990, 0, 100]], dtype=np.int16)
    drawn = render(pixels, PixelPaddingValue=65536 - 2000, PixelPaddingRangeLimit=-1990)
    assert drawn.tolist() == [[0, 0, 0, 255]]
    everything = np.full((1, 3), 7, dtype=np.int16)
    assert render(everything, PixelPaddingValue=7).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_without_a_window_the_frames_own_range_is_shown(dtype: str) -> None:
    pixels = np.array([[20, 70, 120]], dtype=dtype)
    assert render(pixels).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize(("keyword", "dtype"), [("Float", "f4"), ("DoubleFloat", "f8")])
def test_float_pixels_are_shown_and_what_is_no_number_is_black(keyword: str, dtype: str) -> None:
    pixels = np.array([[0.25, 0.5, 0.75, np.nan]], dtype=dtype)
    dataset = image(pixels)
    del dataset["00280101"], dataset["00280102"]
    dataset[{"Float": "7FE00008", "DoubleFloat": "7FE00009"}[keyword]] = {"vr": "OF"}
    drawn = shown(render_frame(pixels.tobytes(), dataset, EXPLICIT, RenderOptions(PNG)))
    assert drawn.tolist() == [[0, 128, 255, 0]]


def test_one_bit_frames_are_black_and_white_also_when_all_bits_are_equal() -> None:
    dataset = model(Rows=2, Columns=4, SamplesPerPixel=1, BitsAllocated=1, BitsStored=1)
    for bits, expected in ((0b10100101, [[255, 0, 255, 0], [0, 255, 0, 255]]), (0, [[0] * 4] * 2)):
        drawn = render_frame(bytes([bits]), dataset, EXPLICIT, RenderOptions(PNG))
        assert shown(drawn).tolist() == expected


# --- requests and functional groups


def test_WAD_14_the_requests_window_comes_before_the_objects() -> None:
    pixels = np.array([[0, 500, 1000]], dtype=np.uint16)
    options = RenderOptions(PNG, window=Window(500, 1000, VoiFunction.LINEAR_EXACT))
    assert render(pixels, options, WindowCenter=5, WindowWidth=10).tolist() == [[0, 128, 255]]


def test_PIX_08_functional_groups_of_the_frame_come_before_shared_ones() -> None:
    """PS3.3 C.7.6.16: Frame VOI LUT and Pixel Value Transformation, per frame or shared."""

    def window(center: float, width: float) -> dict[str, Any]:
        return model(FrameVOILUTSequence=[model(WindowCenter=center, WindowWidth=width)])

    scale = model(PixelValueTransformationSequence=[model(RescaleSlope="10", RescaleIntercept="0")])
    attributes: dict[str, Any] = {
        "NumberOfFrames": 2,
        "WindowCenter": 1, "WindowWidth": 1,
        "SharedFunctionalGroupsSequence": [{**window(50.5, 101), **scale}],
        "PerFrameFunctionalGroupsSequence": [window(500.5, 1001), {}],
    }  # fmt: skip
    pixels = np.array([[0, 5, 12, 100]], dtype=np.uint16)
    first, second = (render(pixels, None, number, **attributes) for number in (1, 2))
    assert first.tolist() == [[0, 13, 31, 255]]
    assert second.tolist() == [[0, 128, 255, 255]]
    with pytest.raises(InvalidRequest):
        render(pixels, None, 3, **attributes)


def test_lookup_and_arithmetic_agree_for_every_stored_value() -> None:
    """The table of 2**16 entries is the formula, value by value, signed or not."""
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for pixels in (every, every.view(np.int16)):
        drawn = render(
            pixels, RescaleSlope="0.5", RescaleIntercept="-100", WindowCenter=40, WindowWidth=400
        )
        values = pixels.astype(np.float64) * 0.5 - 100
        expected = np.vectorize(
            lambda x: int(by_the_formula(x, 40, 400, VoiFunction.LINEAR) + 0.5)
        )(values)
        np.testing.assert_array_equal(drawn, expected)


def test_grey_frames_give_grey_pictures() -> None:
    rendered = render_frame(RAMP.tobytes(), image(RAMP), EXPLICIT, RenderOptions(PNG))
    assert Image.open(io.BytesIO(rendered.body)).mode == "L"
