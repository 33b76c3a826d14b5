"""A frame as a Presentation State shows it (PS3.4 N.2): grey values, shutters, area, graphics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from apps.dicom.pixels import PixelDescription, decode
from apps.errors import UnsupportedPixels
from apps.rendering.color import through_palette
from apps.rendering.frame_attributes import BulkData, FrameAttributes, text
from apps.rendering.geometry import LARGEST_OUTPUT, pixel_aspect
from apps.rendering.graphics import Canvas, draw_annotations
from apps.rendering.grey import grey_pipeline, voi_alternatives
from apps.rendering.options import RenderOptions, Viewport, VoiFunction, Window
from apps.rendering.overlays import OverlayPlane, draw_overlay, overlay_planes
from apps.rendering.presentation import DisplayedArea, PresentationState
from apps.rendering.render import ICC_PROFILE, RenderedImage, display_pixels, encoded, was_lossy
from apps.rendering.shutters import covered

LaidOver = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""Display values of a frame, grey or RGB, to RGB of the same size."""

_OVERLAY_GROUPS: Final = range(0x6000, 0x6020, 2)
_ACTIVATION, _OVERLAY_DATA = "1001", "3000"
_LARGEST_AREA: Final = 16384
_GREY_AXES: Final = 2


@dataclass(frozen=True, slots=True)
class FrameBytes:
    """One frame alone in its stored Transfer Syntax, and the data set it belongs to."""

    data: bytes
    dicom_json: Mapping[str, Any]
    transfer_syntax_uid: str
    bit_offset: int = 0
    bulk_data: BulkData | None = None

    @property
    def description(self) -> PixelDescription:
        """Raises UnsupportedPixels where the data set does not describe pixels."""
        return PixelDescription.from_json(self.dicom_json, self.transfer_syntax_uid)

    def attributes(self, frame_number: int) -> FrameAttributes:
        """What the data set says of the frame, counted from 1."""
        return FrameAttributes(self.dicom_json, frame_number, self.bulk_data)


def render_presented(
    frame: FrameBytes,
    options: RenderOptions,
    state: PresentationState,
    laid_over: LaidOver | None = None,
) -> RenderedImage:
    """Renders the frame the state was made for. Raises UnsupportedPixels.

    Of the options only media type, quality, ICC profile and the viewport's size count: all else is
    the state's to say (PS3.18 8.3.5.1). `laid_over` blends another image with the grey frame.
    """
    description = frame.description
    pixels = displayed(frame, state)
    if laid_over is not None:
        pixels = laid_over(pixels)
    elif state.pseudo_color and pixels.ndim == _GREY_AXES:
        pixels = through_palette(pixels, state.palette())
    for plane in _activated(state, frame.dicom_json, frame.bulk_data, description):
        pixels = draw_overlay(pixels, plane)
    pixels = covered(pixels, state.dataset)
    area = state.displayed_area(description.rows, description.columns)
    original = frame.attributes(state.frame_number)
    image, canvas = _shown(pixels, area, state, options, pixel_aspect(original))
    draw_annotations(image, state, canvas)
    own = b""
    if options.icc_profile != "no":
        own = state.palette().bytes_of(state.dataset, ICC_PROFILE)
    return encoded(image, options, lossy=was_lossy(original, description), own_profile=own)


def displayed(frame: FrameBytes, state: PresentationState) -> NDArray[np.uint8]:
    """Display values by the state's modality, VOI and presentation LUTs, without any palette."""
    description = frame.description
    decoded = decode(frame.data, description, bit_offset=frame.bit_offset)
    attributes = state.attributes(frame.dicom_json, frame.bulk_data)
    shown = state.description(description)
    return display_pixels(decoded, attributes, shown, _voi(attributes, shown))


def _voi(attributes: FrameAttributes, description: PixelDescription) -> RenderOptions:
    """Where the state names no VOI, all the modality LUT can give is shown (PS3.4 N.2.1.2)."""
    options = RenderOptions()
    if voi_alternatives(attributes, description):
        return options
    pipeline = grey_pipeline(attributes, description, options)
    bits = description.bits_stored
    least = -(1 << (bits - 1)) if description.signed else 0
    ends = np.array([least, least + (1 << bits) - 1], dtype=np.float64)
    if pipeline.modality_table is not None:
        ends = np.array([0.0, (1 << pipeline.modality_table.bits) - 1])
    else:
        ends = pipeline.modality_values(ends)
    low, high = float(ends.min()), float(ends.max())
    window = Window((low + high) / 2, max(high - low, 1.0), VoiFunction.LINEAR_EXACT)
    return replace(options, window=window)


def _activated(
    state: PresentationState,
    image: Mapping[str, Any],
    image_bulk_data: BulkData | None,
    description: PixelDescription,
) -> Iterator[OverlayPlane]:
    """Overlay planes the state switches on: its own, else the image's (PS3.3 C.11.7)."""
    for number in _OVERLAY_GROUPS:
        group = f"{number:04X}"
        if not text(state.dataset, group + _ACTIVATION):
            continue
        mine = group + _OVERLAY_DATA in state.dataset
        source = state.dataset if mine else image
        plane = {tag: element for tag, element in source.items() if tag.startswith(group)}
        bulk_data = state.bulk_data if mine else image_bulk_data
        attributes = FrameAttributes(plane, state.frame_number, bulk_data)
        yield from overlay_planes(attributes, description, state.frame_number)


def _shown(
    pixels: NDArray[np.uint8],
    area: DisplayedArea,
    state: PresentationState,
    options: RenderOptions,
    aspect: float,
) -> tuple[Image.Image, Canvas]:
    """The displayed area, turned, flipped and scaled, and how to draw on it."""
    columns, rows = area.right - area.left + 1, area.bottom - area.top + 1
    if max(columns, rows) > _LARGEST_AREA:
        raise UnsupportedPixels("The displayed area is too large.")
    cut = _cut(pixels, area)
    turned = np.rot90(cut, -state.rotation)
    if state.flipped:
        turned = turned[:, ::-1]
    aspect = area.aspect or aspect
    if state.rotation % 2:
        aspect = 1 / aspect
    height, width = turned.shape[:2]
    size = _size(width, height, aspect, area.magnification, options.viewport)
    image = Image.fromarray(np.ascontiguousarray(turned))
    if image.size != size:
        smaller = size[0] < image.width or size[1] < image.height
        filter_ = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
        image = image.resize(size, filter_, reducing_gap=2.0)
    canvas = Canvas(
        (area.left - 1, area.top - 1), (columns, rows), state.rotation, state.flipped, *size
    )
    return image, canvas


def _cut(pixels: NDArray[np.uint8], area: DisplayedArea) -> NDArray[np.uint8]:
    """The area's pixels; black where it reaches beyond the image."""
    rows, columns = pixels.shape[:2]
    shape = (area.bottom - area.top + 1, area.right - area.left + 1, *pixels.shape[2:])
    cut = np.zeros(shape, dtype=np.uint8)
    top, left = max(area.top, 1), max(area.left, 1)
    bottom, right = min(area.bottom, rows), min(area.right, columns)
    if top <= bottom and left <= right:
        inside = pixels[top - 1 : bottom, left - 1 : right]
        y, x = top - area.top, left - area.left
        cut[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return cut


def _size(
    columns: int, rows: int, aspect: float, magnification: float, viewport: Viewport | None
) -> tuple[int, int]:
    width, height = float(columns), float(rows)
    if aspect > 1:
        height *= aspect
    else:
        width /= aspect
    if viewport is not None:
        scale = min((viewport.width or width) / width, (viewport.height or height) / height)
    else:
        scale = magnification or 1.0
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size[0] * size[1] > LARGEST_OUTPUT:
        raise UnsupportedPixels("The rendered image would be too large; ask for a smaller one.")
    return size
