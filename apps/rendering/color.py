"""Colour frames to RGB of 8 bits: RGB, the YBR family and palettes (PS3.3 C.7.6.3.1.2, C.7.9)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from apps.dicom.colors import ybr_full_to_rgb, ybr_partial_to_rgb
from apps.dicom.pixel_description import PixelDescription
from apps.errors import UnsupportedPixels
from apps.rendering.frame_attributes import FrameAttributes, text
from apps.rendering.lookup_tables import LookupTable, read_palette

_PIXEL_PRESENTATION: Final = "00089205"
_BYTE: Final = 255
_COLOR_SAMPLES: Final = 3
_SMALL: Final = 65536


def true_color(
    pixels: NDArray[Any], photometric_interpretation: str, description: PixelDescription
) -> NDArray[np.uint8]:
    """Three samples a pixel to RGB, whatever their colour space and depth."""
    if pixels.shape[-1] != _COLOR_SAMPLES:
        raise UnsupportedPixels(f"{pixels.shape[-1]} samples a pixel cannot be shown.")
    shallow = _to_bytes(pixels, description)
    if photometric_interpretation.startswith("YBR_FULL"):
        return ybr_full_to_rgb(shallow)
    if photometric_interpretation.startswith("YBR_PARTIAL"):
        return ybr_partial_to_rgb(shallow)
    if photometric_interpretation in ("HSV", "CMYK", "ARGB"):
        raise UnsupportedPixels(f"{photometric_interpretation} is retired and cannot be shown.")
    return shallow


def _to_bytes(pixels: NDArray[Any], description: PixelDescription) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8 and description.bits_stored == description.bits_allocated:
        return pixels
    most = (1 << description.bits_stored) - 1
    if pixels.dtype.kind == "i":
        pixels = pixels.astype(np.int64) + (1 << (description.bits_stored - 1))
    return (pixels.astype(np.float64) * (_BYTE / most) + 0.5).astype(np.uint8)


def palette_color(
    pixels: NDArray[Any], attributes: FrameAttributes, description: PixelDescription
) -> NDArray[np.uint8]:
    """PALETTE COLOR: each stored value stands for an entry of three tables."""
    palette = read_palette(attributes, signed_input=description.signed)
    if not palette:
        raise UnsupportedPixels("The image has no palette.")
    return _look_up(pixels, palette)


def through_palette(grey: NDArray[np.uint8], attributes: FrameAttributes) -> NDArray[np.uint8]:
    """Finished grey values as colours of the palette, its whole range used (PS3.4 N.2.4)."""
    palette = read_palette(attributes, signed_input=False)
    if not palette:
        raise UnsupportedPixels("The Presentation State has no palette.")
    last = len(palette[0].entries) - 1
    index = (grey.astype(np.float64) * (last / _BYTE) + 0.5).astype(np.int64)
    return _look_up(index + palette[0].first, palette)


def supplemental_color(
    grey: NDArray[np.uint8],
    pixels: NDArray[Any],
    attributes: FrameAttributes,
    description: PixelDescription,
) -> NDArray[np.uint8]:
    """A grey frame whose values from the palette's first one on are coloured (PS3.3 C.8.16.2.1.1).

    Pixel Presentation COLOR or MIXED says that there are such values; otherwise grey comes back.
    """
    if text(attributes.dataset, _PIXEL_PRESENTATION) not in ("COLOR", "MIXED"):
        return grey
    palette = read_palette(attributes, signed_input=description.signed)
    if not palette:
        return grey
    first = palette[0].first
    last = first + len(palette[0].entries) - 1
    colored = (pixels >= first) & (pixels <= last)
    if not colored.any():
        return grey
    rgb = np.repeat(grey[..., np.newaxis], _COLOR_SAMPLES, axis=-1)
    rgb[colored] = _look_up(pixels[colored], palette)
    return rgb


def _look_up(pixels: NDArray[Any], palette: list[LookupTable]) -> NDArray[np.uint8]:
    tables = [_bytes_of(table) for table in palette]
    if pixels.size < _SMALL or any(table.first != palette[0].first for table in palette):
        return np.stack(
            [
                np.take(
                    entries, np.clip(pixels.astype(np.int64) - table.first, 0, len(entries) - 1)
                )
                for table, entries in zip(palette, tables, strict=True)
            ],
            axis=-1,
        )
    length = min(len(entries) for entries in tables)
    joined = np.stack([entries[:length] for entries in tables], axis=-1)
    index = np.clip(pixels.astype(np.int32) - palette[0].first, 0, length - 1)
    return np.take(joined, index, axis=0)


def _bytes_of(table: LookupTable) -> NDArray[np.uint8]:
    """Entries scaled to 8 bits; of 16 bits the high byte counts, as in every display card."""
    if table.bits > 8:  # noqa: PLR2004 bits of a byte
        return (table.entries >> (table.bits - 8)).astype(np.uint8)
    most = (1 << table.bits) - 1
    return (table.entries * (_BYTE / most) + 0.5).astype(np.uint8)
