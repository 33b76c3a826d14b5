"""Colours, palettes and overlays (PS3.3 C.7.6.3.1.2, C.7.9, C.9.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from apps.errors import UnsupportedPixels
from apps.rendering.lookup_tables import expand_segments
from apps.rendering.options import PNG, RenderOptions
from apps.rendering.render import render_frame
from tests.domain.pictures import EXPLICIT, image, model, render, shown

WITH_OVERLAYS = RenderOptions(PNG, overlays=True)


def palette(first: int, colors: list[tuple[int, int, int]], bits: int = 16) -> dict[str, Any]:
    kind = "<u2" if bits == 16 else "u1"
    found: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for index, name in enumerate(("Red", "Green", "Blue")):
        found[f"{name}PaletteColorLookupTableDescriptor"] = [len(colors) % 65536, first, bits]
        data = np.array([color[index] for color in colors], dtype=kind).tobytes()
        found[f"{name}PaletteColorLookupTableData"] = data + b"\0" * (len(data) % 2)
    return found


def test_PIX_07_sixteen_bit_entries_show_their_high_byte() -> None:
    pixels = np.array([[9, 10, 11, 12, 200]], dtype=np.uint8)
    colors = [(0xFF00, 0, 0x8000), (0, 0xFFFF, 0), (0x1234, 0x5678, 0x9ABC)]
    drawn = render(pixels, **palette(10, colors))[0].tolist()
    last = [0x12, 0x56, 0x9A]
    assert drawn == [[255, 0, 128], [255, 0, 128], [0, 255, 0], last, last]


def test_PIX_07_eight_bit_entries_and_sixteen_that_hold_only_bytes() -> None:
    pixels = np.array([[0, 1, 2]], dtype=np.uint8)
    colors = [(255, 0, 0), (0, 128, 0), (0, 0, 64)]
    expected = [list(color) for color in colors]
    assert render(pixels, **palette(0, colors, bits=8))[0].tolist() == expected
    assert render(pixels, **palette(0, colors, bits=16))[0].tolist() == expected


def test_PIX_07_signed_palette_indices_and_large_frames() -> None:
    pixels = np.tile(np.array([[-2, -1, 0]], dtype=np.int16), (200, 200))
    colors = [(0xFF00, 0, 0), (0, 0xFF00, 0), (0, 0, 0xFF00)]
    drawn = render(pixels, **palette(65536 - 2, colors))
    assert drawn[150, :3].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


def test_PIX_07_segmented_palettes_are_expanded() -> None:
    """PS3.3 C.7.9.2: discrete, linear, and indirect segments that repeat both."""
    words = [0, 2, 10, 20, 1, 4, 60, 2, 2, 0, 0]
    assert expand_segments(words, 12, 16) == [10, 20, 30, 40, 50, 60, 10, 20, 30, 40, 50, 60]
    segmented: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, end in (("Red", 0xFF00), ("Green", 0), ("Blue", 0x8000)):
        segmented[f"{name}PaletteColorLookupTableDescriptor"] = [3, 0, 16]
        data = np.array([0, 1, 0, 1, 2, end], dtype="<u2").tobytes()
        segmented[f"Segmented{name}PaletteColorLookupTableData"] = data
    drawn = render(np.array([[0, 1, 2]], dtype=np.uint8), **segmented)
    assert drawn[0].tolist() == [[0, 0, 0], [127, 0, 64], [255, 0, 128]]


@pytest.mark.parametrize("words", [[1, 4, 60], [3, 1, 1], [0], [2, 1, 0, 0], [0, 5, 1]])
def test_PIX_07_a_broken_segmented_palette_is_refused(words: list[int]) -> None:
    broken = palette(0, [(0, 0, 0)])
    for name in ("Red", "Green", "Blue"):
        del broken[f"{name}PaletteColorLookupTableData"]
        broken[f"{name}PaletteColorLookupTableDescriptor"] = [12, 0, 16]
        data = np.array(words, dtype="<u2").tobytes()
        broken[f"Segmented{name}PaletteColorLookupTableData"] = data
    with pytest.raises(UnsupportedPixels):
        render(np.array([[0]], dtype=np.uint8), **broken)


def test_PIX_07_a_palette_image_without_palette_is_refused() -> None:
    with pytest.raises(UnsupportedPixels):
        render(np.array([[0]], dtype=np.uint8), PhotometricInterpretation="PALETTE COLOR")


def test_PIX_07_supplemental_palette_colours_only_its_own_values() -> None:
    """PS3.3 C.8.16.2.1.1: grey below the first mapped value, colours from there on."""
    pixels = np.array([[0, 100, 1000, 1001]], dtype=np.uint16)
    attributes = {
        **palette(1000, [(0xFF00, 0, 0), (0, 0xFF00, 0)]),
        "PhotometricInterpretation": "MONOCHROME2",
        "WindowCenter": 50.5,
        "WindowWidth": 101,
    }
    drawn = render(pixels, PixelPresentation="COLOR", **attributes)
    assert drawn[0].tolist() == [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0]]
    assert render(pixels, **attributes).ndim == 2


def test_PIX_07_true_colours_of_every_family() -> None:
    red = np.array([[[255, 0, 0]]], dtype=np.uint8)
    assert render(red)[0, 0].tolist() == [255, 0, 0]
    deep = np.array([[[65535, 0, 32768]]], dtype=np.uint16)
    assert render(deep)[0, 0].tolist() == [255, 0, 128]
    twelve = np.array([[[4095, 0, 2048]]], dtype=np.uint16)
    assert render(twelve, BitsStored=12, HighBit=11)[0, 0].tolist() == [255, 0, 128]
    ybr = np.array([[[76, 85, 255]]], dtype=np.uint8)
    full = render(ybr, PhotometricInterpretation="YBR_FULL")[0, 0]
    assert np.abs(full.astype(int) - [254, 0, 0]).max() <= 1
    partial = np.array([[[81, 90, 240]]], dtype=np.uint8)
    shown_partial = render(partial, PhotometricInterpretation="YBR_PARTIAL_420")[0, 0]
    assert np.abs(shown_partial.astype(int) - [254, 0, 0]).max() <= 2
    with pytest.raises(UnsupportedPixels):
        render(red, PhotometricInterpretation="HSV")


def test_PIX_07_planes_are_shown_like_pixels() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    dataset = image(pixels, PlanarConfiguration=1)
    planes = np.moveaxis(pixels, -1, 0).tobytes()
    drawn = shown(render_frame(planes, dataset, EXPLICIT, RenderOptions(PNG)))
    np.testing.assert_array_equal(drawn, pixels)


def overlay(rows: int, columns: int, bits: list[int], **changes: Any) -> dict[str, Any]:
    packed = np.packbits(bits, bitorder="little").tobytes()
    plane = {
        "60000010": {"vr": "US", "Value": [rows]},
        "60000011": {"vr": "US", "Value": [columns]},
        "60000050": {"vr": "SS", "Value": [1, 1]},
        "60000100": {"vr": "US", "Value": [1]},
        "60003000": model(LUTData=packed + b"\0" * (len(packed) % 2))["00283006"],
    }
    plane.update({tag: {"vr": "US", "Value": value} for tag, value in changes.items()})
    return plane


def test_WAD_19_overlays_are_drawn_white_when_asked_for() -> None:
    pixels = np.zeros((3, 3), dtype=np.uint8)
    dataset = {**image(pixels), **overlay(2, 2, [1, 0, 0, 1])}
    drawn = shown(render_frame(pixels.tobytes(), dataset, EXPLICIT, WITH_OVERLAYS))
    assert drawn.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 0]]
    plain = shown(render_frame(pixels.tobytes(), dataset, EXPLICIT, RenderOptions(PNG)))
    assert not plain.any()


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ([2, 2], [[0, 0, 0], [0, 255, 255], [0, 255, 255]]),
        ([0, 0], [[255, 0, 0], [0, 0, 0], [0, 0, 0]]),
        ([3, 3], [[0, 0, 0], [0, 0, 0], [0, 0, 255]]),
        ([9, 9], [[0] * 3] * 3),
    ],
)
def test_WAD_19_overlays_lie_where_their_origin_says_and_are_cut_at_the_edge(
    origin: list[int], expected: list[list[int]]
) -> None:
    pixels = np.zeros((3, 3), dtype=np.uint8)
    dataset = {**image(pixels), **overlay(2, 2, [1, 1, 1, 1], **{"60000050": origin})}
    drawn = shown(render_frame(pixels.tobytes(), dataset, EXPLICIT, WITH_OVERLAYS))
    assert drawn.tolist() == expected


def test_WAD_19_multi_frame_overlays_follow_their_frames() -> None:
    pixels = np.zeros((1, 3), dtype=np.uint8)
    planes = overlay(1, 3, [1, 0, 0, 0, 1, 0], **{"60000015": [2], "60000051": [2]})
    dataset = {**image(pixels, NumberOfFrames=4), **planes}
    drawn = [
        shown(render_frame(pixels.tobytes(), dataset, EXPLICIT, WITH_OVERLAYS, number))[0].tolist()
        for number in (1, 2, 3, 4)
    ]
    assert drawn == [[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 0]]
