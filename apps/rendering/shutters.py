"""Display shutters: what lies outside is covered (PS3.3 C.7.6.11, C.7.6.15)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from apps.rendering.frame_attributes import Item, integer, numbers

_SHAPE, _VALUE = "00181600", "00181622"
_LEFT, _RIGHT, _UPPER, _LOWER = "00181602", "00181604", "00181606", "00181608"
_CENTER, _RADIUS, _VERTICES = "00181610", "00181612", "00181620"
_PAIR: Final = 2
_CORNERS: Final = 3


def covered(pixels: NDArray[np.uint8], dataset: Item) -> NDArray[np.uint8]:
    """The frame with everything outside its shutters in the Shutter Presentation Value."""
    rows, columns = pixels.shape[:2]
    open_ = np.ones((rows, columns), dtype=bool)
    for shape in dataset.get(_SHAPE, {}).get("Value") or []:
        opening = _OPENINGS.get(str(shape).strip().upper())
        if opening is not None:
            open_ &= opening(dataset, rows, columns)
    if open_.all():
        return pixels
    shut = pixels.copy()
    shut[~open_] = min(max(integer(dataset, _VALUE) or 0, 0), 0xFFFF) >> 8
    return shut


def _rectangle(dataset: Item, rows: int, columns: int) -> NDArray[np.bool_]:
    left, right, upper, lower = (integer(dataset, tag) for tag in (_LEFT, _RIGHT, _UPPER, _LOWER))
    y, x = np.ogrid[1 : rows + 1, 1 : columns + 1]
    inside = np.ones((rows, columns), dtype=bool)
    if left is not None:
        inside &= x > left
    if right is not None:
        inside &= x < right
    if upper is not None:
        inside &= y > upper
    if lower is not None:
        inside &= y < lower
    return inside


def _circle(dataset: Item, rows: int, columns: int) -> NDArray[np.bool_]:
    center, radius = numbers(dataset, _CENTER), integer(dataset, _RADIUS)
    if len(center) != _PAIR or radius is None:
        return np.ones((rows, columns), dtype=bool)
    y, x = np.ogrid[1 : rows + 1, 1 : columns + 1]
    return np.asarray((y - center[0]) ** 2 + (x - center[1]) ** 2 <= radius**2)


def _polygon(dataset: Item, rows: int, columns: int) -> NDArray[np.bool_]:
    flat = numbers(dataset, _VERTICES)
    points = [(column - 1, row - 1) for row, column in zip(flat[::2], flat[1::2], strict=False)]
    if len(points) < _CORNERS:
        return np.ones((rows, columns), dtype=bool)
    mask = Image.new("1", (columns, rows))
    ImageDraw.Draw(mask).polygon(points, fill=1, outline=1)
    return np.asarray(mask, dtype=bool)


_OPENINGS: Final = {"RECTANGULAR": _rectangle, "CIRCULAR": _circle, "POLYGONAL": _polygon}
