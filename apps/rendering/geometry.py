"""Regions, viewports and square pixels: which pixels go where (PS3.18 8.3.5.1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import NDArray
from PIL import Image

from apps.errors import InvalidRequest, UnsupportedPixels
from apps.rendering.frame_attributes import FrameAttributes, Item, numbers
from apps.rendering.options import LARGEST_SIDE, Region, RenderOptions

_PIXEL_MEASURES: Final = "00289110"
_PIXEL_SPACING, _PIXEL_ASPECT_RATIO = "00280030", "00280034"
_IMAGER_PIXEL_SPACING, _NOMINAL_SCANNED = "00181164", "00182010"
_PAIR: Final = 2
_MOST_DISTORTION: Final = 20.0
_SQUARE_ENOUGH: Final = 0.001
LARGEST_OUTPUT: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class Placement:
    """A rectangle of the source in pixels, flips, and the size in pixels it is brought to."""

    left: int
    top: int
    right: int
    bottom: int
    width: int
    height: int
    mirrored: bool = False
    upside_down: bool = False


def pixel_aspect(attributes: FrameAttributes) -> float:
    """Height of a pixel by its width; 1 where the object says nothing believable.

    Pixel Spacing and its kin are row spacing, then column spacing (PS3.3 10.7.1.3); Pixel Aspect
    Ratio is vertical by horizontal (C.7.6.3.1.7).
    """
    measures = attributes.group(_PIXEL_MEASURES)
    candidates: tuple[tuple[Item, str], ...] = (
        (measures, _PIXEL_SPACING),
        (attributes.dataset, _IMAGER_PIXEL_SPACING),
        (attributes.dataset, _NOMINAL_SCANNED),
        (attributes.dataset, _PIXEL_ASPECT_RATIO),
    )
    for item, tag in candidates:
        pair = numbers(item, tag)
        if len(pair) != _PAIR or min(pair) <= 0:
            continue
        ratio = pair[0] / pair[1]
        if abs(ratio - 1) < _SQUARE_ENOUGH or not 1 / _MOST_DISTORTION < ratio < _MOST_DISTORTION:
            return 1.0
        return ratio
    return 1.0


def place(rows: int, columns: int, aspect: float, options: RenderOptions) -> Placement:
    """Where the image goes. Without a viewport it keeps its size, its coarser side enlarged.

    Raises InvalidRequest where the region lies outside the image.
    """
    viewport = options.viewport
    region = viewport.region if viewport else options.region or Region()
    left, right, mirrored = _span(region.left, region.width, columns, region)
    top, bottom, upside_down = _span(region.top, region.height, rows, region)
    width, height = float(right - left), float(bottom - top)
    if aspect > 1:
        height *= aspect
    else:
        width /= aspect
    if viewport:
        scale = min(
            (viewport.width or LARGEST_SIDE) / width, (viewport.height or LARGEST_SIDE) / height
        )
        width, height = width * scale, height * scale
    size = max(1, round(width)), max(1, round(height))
    if size[0] * size[1] > LARGEST_OUTPUT:
        raise UnsupportedPixels("The rendered image would be too large; ask for a smaller one.")
    return Placement(left, top, right, bottom, *size, mirrored, upside_down)


def _span(start: float, extent: float | None, size: int, region: Region) -> tuple[int, int, bool]:
    """First pixel, the one behind the last, and whether the extent's sign flips them."""
    scale = size if region.normalised else 1
    first = start * scale
    length = size - first if extent is None else abs(extent) * scale
    if first < 0 or first >= size or first + length > size + 0.5 or length <= 0:
        raise InvalidRequest(
            "The source region lies outside the image.",
            offending=("region" if region.normalised else "viewport",),
        )
    begin = min(int(first), size - 1)
    end = min(size, max(begin + 1, round(first + length)))
    return begin, end, extent is not None and extent < 0


def placed(pixels: NDArray[Any], placement: Placement) -> Image.Image:
    """The rectangle as an image of the placement's size, averaged where it becomes smaller."""
    cut = pixels[placement.top : placement.bottom, placement.left : placement.right]
    if placement.mirrored:
        cut = cut[:, ::-1]
    if placement.upside_down:
        cut = cut[::-1]
    image = Image.fromarray(cut)
    if image.size == (placement.width, placement.height):
        return image
    smaller = placement.width < image.width or placement.height < image.height
    filter_ = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    return image.resize((placement.width, placement.height), filter_, reducing_gap=2.0)
