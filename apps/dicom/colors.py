"""Colour spaces of samples with 8 bits (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_TO_RGB: Final = np.array(
    [[1.0, 0.0, 1.402], [1.0, -0.344136286201022, -0.714136286201022], [1.0, 1.772, 0.0]]
)
_FROM_RGB: Final = np.linalg.inv(_TO_RGB)


def ybr_full_to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """YBR_FULL of 8 bits to RGB (PS3.3 C.7.6.3.1.2)."""
    red, green, blue = _YBR_TABLES
    luminance = pixels[..., 0].astype(np.int32) << 16
    chroma_blue, chroma_red = pixels[..., 1], pixels[..., 2]
    rgb = np.empty(pixels.shape, dtype=np.uint8)
    rgb[..., 0] = _rounded(luminance + red[chroma_red])
    rgb[..., 1] = _rounded(luminance + green[0][chroma_blue] + green[1][chroma_red])
    rgb[..., 2] = _rounded(luminance + blue[chroma_blue])
    return rgb


def _rounded(fixed: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.asarray(np.clip((fixed + (1 << 15)) >> 16, 0, 255), dtype=np.int32)


def _ybr_tables() -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Contribution of each chrominance value, 16 bits behind the point."""
    chroma = np.arange(256) - 128
    scaled = [np.rint(chroma * factor * 65536).astype(np.int32) for factor in _factors()]
    return scaled[0], np.stack(scaled[1:3]), scaled[3]


def _factors() -> tuple[float, float, float, float]:
    return _TO_RGB[0, 2], _TO_RGB[1, 1], _TO_RGB[1, 2], _TO_RGB[2, 1]


_YBR_TABLES: Final = _ybr_tables()


def rgb_to_ybr_full(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB of 8 bits to YBR_FULL (PS3.3 C.7.6.3.1.2)."""
    ybr = pixels.astype(np.float32) @ _FROM_RGB.astype(np.float32).T
    ybr[..., 1:] += 128
    return np.asarray(np.clip(np.rint(ybr), 0, 255), dtype=np.uint8)


def ybr_partial_to_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """YBR_PARTIAL of 8 bits (luminance 16 to 235, chrominance 16 to 240) to RGB.

    PS3.3 C.7.6.3.1.2; the value ranges of ITU-R BT.601.
    """
    full = pixels.astype(np.float32)
    luminance = (full[..., 0] - 16) * (255 / 219)
    chrominance = (full[..., 1:] - 128) * (255 / 224)
    centred = np.concatenate([luminance[..., np.newaxis], chrominance], axis=-1)
    rgb = centred @ _TO_RGB.astype(np.float32).T
    return np.asarray(np.clip(np.rint(rgb), 0, 255), dtype=np.uint8)
