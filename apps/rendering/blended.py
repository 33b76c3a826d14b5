"""Two images in one: Blending Softcopy Presentation States (PS3.3 A.33.4, C.11.14; PS3.4 N.2.4).

The superimposed image takes the state's palette and is laid over the grey underlying one where
both are: `(1 - opacity) * underlying + opacity * superimposed`. It is brought into the underlying
image's pixels by the patient's coordinates; both must share a frame of reference, and their planes
must be parallel. Which of its frames is meant is a question of distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from apps.errors import UnsupportedPixels
from apps.rendering.frame_attributes import FrameAttributes, Item, items, number, numbers, text

BLENDING: Final = "1.2.840.10008.5.1.4.1.1.11.4"
UNDERLYING, SUPERIMPOSED = "UNDERLYING", "SUPERIMPOSED"
_SOP_CLASS: Final = "00080016"
_BLENDING_SEQUENCE, _POSITION, _OPACITY = "00700402", "00700405", "00700403"
_REGISTRATIONS: Final = "00700404"
# What an item says in the place of the state: its study, its images, how they become grey.
_OF_ITEMS: Final = (
    "0020000D", "00081115", "00281052", "00281053", "00281054", "00283000", "00283110",
)  # fmt: skip
_PLANE_POSITION, _PLANE_ORIENTATION, _PIXEL_MEASURES = "00209113", "00209116", "00289110"
_IMAGE_POSITION, _IMAGE_ORIENTATION, _PIXEL_SPACING = "00200032", "00200037", "00280030"
_FRAME_OF_REFERENCE, _SLICE_THICKNESS = "00200052", "00180050"
_PARALLEL: Final = 0.9999
_ROWS_AT_ONCE: Final = 128

Vector = NDArray[np.float64]


def is_blending(state: Item) -> bool:
    """Whether it is a state of this kind."""
    return text(state, _SOP_CLASS) == BLENDING


def layer_of(state: Item, position: str) -> Item:
    """The state as one of its two images sees it; `position` is UNDERLYING or SUPERIMPOSED.

    Raises UnsupportedPixels where the state does not say what to blend.
    """
    for item in items(state, _BLENDING_SEQUENCE):
        if text(item, _POSITION) == position:
            mine = {tag: item[tag] for tag in _OF_ITEMS if tag in item}
            return {tag: each for tag, each in state.items() if tag not in _OF_ITEMS} | mine
    raise UnsupportedPixels(f"The Presentation State names no {position.lower()} image.")


def opacity_of(state: Item) -> float:
    """Relative Opacity of the superimposed image, 0 to 1. Raises UnsupportedPixels."""
    opacity = number(state, _OPACITY)
    if opacity is None or not 0 <= opacity <= 1:
        raise UnsupportedPixels("The Presentation State names no Relative Opacity from 0 to 1.")
    if items(state, _REGISTRATIONS):
        raise UnsupportedPixels("Images that need a Spatial Registration are not blended here.")
    return opacity


@dataclass(frozen=True, slots=True)
class Plane:
    """Where a frame lies in the patient, in mm (PS3.3 C.7.6.2.1.1).

    `across` and `down` lead from one pixel to the next of a row, and of a column.
    """

    frame_of_reference: str
    origin: Vector
    across: Vector
    down: Vector
    thickness: float

    @property
    def normal(self) -> Vector:
        """Of length 1."""
        normal = np.cross(self.across, self.down)
        return np.asarray(normal / np.linalg.norm(normal))


def plane_of(attributes: FrameAttributes) -> Plane | None:
    """The frame's plane; None where the object does not say it."""
    position = numbers(attributes.group(_PLANE_POSITION), _IMAGE_POSITION)
    orientation = numbers(attributes.group(_PLANE_ORIENTATION), _IMAGE_ORIENTATION)
    measures = attributes.group(_PIXEL_MEASURES)
    spacing = numbers(measures, _PIXEL_SPACING)
    reference = text(attributes.dataset, _FRAME_OF_REFERENCE)
    if (len(position), len(orientation), len(spacing)) != (3, 6, 2) or not reference:
        return None
    across, down = np.array(orientation[:3]), np.array(orientation[3:])
    usable = min(spacing) > 0 and np.linalg.norm(np.cross(across, down)) > _PARALLEL
    if not usable or not np.isfinite([*position, *orientation, *spacing]).all():
        return None
    return Plane(
        reference,
        np.array(position),
        across * spacing[1],
        down * spacing[0],
        max(number(measures, _SLICE_THICKNESS) or 0.0, 0.0),
    )


def nearest(underlying: Plane, planes: Sequence[Plane | None]) -> int | None:
    """The index of the plane that shows the same slice; None where none is near enough.

    Near is half a slice: half the distance to the next plane, or half the thickness of the only
    one. Raises UnsupportedPixels where no plane is parallel in the same frame of reference.
    """
    normal = underlying.normal
    distances = {
        index: float((plane.origin - underlying.origin) @ normal)
        for index, plane in enumerate(planes)
        if plane is not None
        and plane.frame_of_reference == underlying.frame_of_reference
        and abs(float(plane.normal @ normal)) > _PARALLEL
    }
    if not distances:
        raise UnsupportedPixels(
            "The images to be blended do not share a frame of reference and parallel planes."
        )
    index = min(distances, key=lambda each: abs(distances[each]))
    steps = np.diff(np.unique(np.round(list(distances.values()), 3)))
    plane = planes[index]
    step = float(steps.min()) if steps.size else (plane.thickness if plane else 0.0) or 1.0
    return index if abs(distances[index]) <= step / 2 + 1e-3 else None


def resampled(
    grey: NDArray[np.uint8], plane: Plane, onto: Plane, rows: int, columns: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """`grey` in the pixels of `onto`, `rows` by `columns`, and where there is any of it.

    Between pixel centres it is interpolated; beyond the outermost half a pixel it ends.
    """
    values = np.zeros((rows, columns), dtype=np.uint8)
    inside = np.zeros((rows, columns), dtype=bool)
    # A few rows at a time: coordinates take ten times the room of the picture.
    for first in range(0, rows, _ROWS_AT_ONCE):
        some = slice(first, min(first + _ROWS_AT_ONCE, rows))
        values[some], inside[some] = _sampled(grey, plane, onto, np.arange(rows)[some], columns)
    return values, inside


def _sampled(
    grey: NDArray[np.uint8], plane: Plane, onto: Plane, rows: NDArray[np.intp], columns: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    offset = onto.origin - plane.origin
    across, down = (each / float(each @ each) for each in (plane.across, plane.down))
    r, c = rows[:, None].astype(np.float64), np.arange(columns, dtype=np.float64)
    x = float(offset @ across) + c * float(onto.across @ across) + r * float(onto.down @ across)
    y = float(offset @ down) + c * float(onto.across @ down) + r * float(onto.down @ down)
    height, width = grey.shape
    inside = (np.abs(x - (width - 1) / 2) <= width / 2) & (
        np.abs(y - (height - 1) / 2) <= height / 2
    )
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = x.astype(np.intp), y.astype(np.intp)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    fx, fy = x - left, y - top
    upper = grey[top, left] * (1 - fx) + grey[top, right] * fx
    lower = grey[bottom, left] * (1 - fx) + grey[bottom, right] * fx
    return (upper * (1 - fy) + lower * fy + 0.5).astype(np.uint8), inside


def blended(
    underlying: NDArray[np.uint8],
    superimposed: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    opacity: float,
) -> NDArray[np.uint8]:
    """Grey values and colours of the same size, mixed where `inside` is true."""
    under = np.repeat(underlying[..., np.newaxis], 3, axis=-1)
    mixed = under * (1 - opacity) + superimposed * opacity
    return np.where(inside[..., np.newaxis], (mixed + 0.5).astype(np.uint8), under)
