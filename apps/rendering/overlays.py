"""Overlay planes (60xx), drawn over the frame when asked for (PS3.3 C.9.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from apps.dicom.pixel_description import PixelDescription
from apps.errors import UnsupportedPixels
from apps.rendering.frame_attributes import FrameAttributes, integer, numbers

_FIRST_GROUP, _LAST_GROUP = 0x6000, 0x601E
_LARGEST_PLANE: Final = 64_000_000
_WHITE: Final = 255


@dataclass(frozen=True)
class OverlayPlane:
    """Where the plane's first pixel lies, 0 and 0 being the frame's, and which pixels are set."""

    top: int
    left: int
    bits: NDArray[np.bool_]


def overlay_planes(
    attributes: FrameAttributes, description: PixelDescription, frame_number: int
) -> Iterator[OverlayPlane]:
    """The planes that belong to the frame; those inside Pixel Data's unused bits are not drawn.

    Embedded planes are retired (PS3.3 C.9.2, 2004) and lost when a frame is compressed.
    """
    for group in range(_FIRST_GROUP, _LAST_GROUP + 2, 2):
        plane = _plane(attributes, f"{group:04X}", description, frame_number)
        if plane is not None:
            yield plane


def _plane(
    attributes: FrameAttributes, group: str, description: PixelDescription, frame_number: int
) -> OverlayPlane | None:
    dataset = attributes.dataset
    rows, columns = integer(dataset, f"{group}0010"), integer(dataset, f"{group}0011")
    if not rows or not columns or f"{group}3000" not in dataset:
        return None
    if rows * columns > _LARGEST_PLANE:
        raise UnsupportedPixels("An overlay plane is too large.")
    index = _frame_index(attributes, group, description, frame_number)
    if index is None:
        return None
    raw = np.frombuffer(attributes.bytes_of(dataset, f"{group}3000"), dtype=np.uint8)
    first, length = index * rows * columns, rows * columns
    packed = raw[first // 8 : (first + length + 7) // 8]
    bits = np.unpackbits(packed, bitorder="little")[first % 8 :][:length]
    if len(bits) < length:
        return None
    origin = [int(value) for value in numbers(dataset, f"{group}0050")] or [1, 1]
    top, left = (*origin, 1)[:2]
    return OverlayPlane(top - 1, left - 1, bits.reshape(rows, columns).astype(bool))


def _frame_index(
    attributes: FrameAttributes, group: str, description: PixelDescription, frame_number: int
) -> int | None:
    """Which of the overlay's frames lies over this frame of the image (PS3.3 C.9.3)."""
    count = integer(attributes.dataset, f"{group}0015")
    if count is None:
        return 0
    origin = integer(attributes.dataset, f"{group}0051") or 1
    index = frame_number - origin
    return index if 0 <= index < count and frame_number <= description.number_of_frames else None


def draw_overlay(image: NDArray[np.uint8], plane: OverlayPlane) -> NDArray[np.uint8]:
    """A copy of the frame, grey or RGB, with the plane's pixels white; what lies outside is cut."""
    drawn: NDArray[Any] = image.copy()
    rows, columns = image.shape[:2]
    top, left = max(0, plane.top), max(0, plane.left)
    bottom = min(rows, plane.top + plane.bits.shape[0])
    right = min(columns, plane.left + plane.bits.shape[1])
    if top >= bottom or left >= right:
        return drawn
    cut = plane.bits[top - plane.top : bottom - plane.top, left - plane.left : right - plane.left]
    drawn[top:bottom, left:right][cut] = _WHITE
    return drawn
