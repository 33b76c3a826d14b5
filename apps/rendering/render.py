"""One frame's bytes to a picture that a browser shows (PS3.18 8.7.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from apps.dicom.pixels import DecodedFrame, PixelDescription, decode
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.errors import InvalidRequest
from apps.rendering.burned_in import annotated
from apps.rendering.color import palette_color, supplemental_color, true_color
from apps.rendering.encoding import written
from apps.rendering.frame_attributes import BulkData, FrameAttributes, text
from apps.rendering.geometry import pixel_aspect, place, placed
from apps.rendering.grey import grey_pipeline, render_grey, voi_alternatives
from apps.rendering.icc_profiles import with_profile
from apps.rendering.options import Region, RenderOptions
from apps.rendering.overlays import draw_overlay, overlay_planes
from apps.rendering.reduced import decode_reduced, halvings_for

LARGEST_THUMBNAIL: Final = 256
_LOSSY_IMAGE_COMPRESSION: Final = "00282110"
_PIXEL_PADDING_VALUE: Final = "00280120"
ICC_PROFILE: Final = "00282000"
_GREY_AXES: Final = 2


@dataclass(frozen=True, slots=True)
class RenderedImage:
    """A finished picture. `lossy` says whether any step on the way from the scanner lost detail."""

    media_type: str
    body: bytes
    width: int
    height: int
    lossy: bool


def render_frame(
    frame_bytes: bytes,
    dicom_json: Mapping[str, Any],
    transfer_syntax_uid: str,
    options: RenderOptions,
    frame_number: int = 1,
    *,
    bit_offset: int = 0,
    bulk_data: BulkData | None = None,
) -> RenderedImage:
    """Renders one frame with the object's own modality LUT, VOI, polarity, colours and overlays.

    `frame_bytes` is this frame alone, `frame_number` counts from 1, `dicom_json` is the instance's
    data set. `bulk_data` fetches lookup tables and overlays that stand behind a BulkDataURI.
    Raises UnsupportedPixels where the frame cannot be decoded or shown, InvalidRequest where the
    options do not fit the object.
    """
    description = PixelDescription.from_json(dicom_json, transfer_syntax_uid)
    if not 1 <= frame_number <= description.number_of_frames:
        raise InvalidRequest(f"The object has {description.number_of_frames} frames.")
    attributes = FrameAttributes(dicom_json, frame_number, bulk_data)
    placement = place(description.rows, description.columns, pixel_aspect(attributes), options)
    frame = None
    if _may_be_reduced(attributes, description, options):
        halvings = halvings_for(
            description.rows, description.columns, placement.height, placement.width
        )
        frame = decode_reduced(frame_bytes, description, halvings)
    if frame is not None:
        rows, columns = frame.pixels.shape[:2]
        placement = replace(placement, right=columns, bottom=rows)
    else:
        frame = decode(frame_bytes, description, bit_offset=bit_offset)
    pixels = display_pixels(frame, attributes, description, options)
    if options.overlays:
        for plane in overlay_planes(attributes, description, frame_number):
            pixels = draw_overlay(pixels, plane)
    return _finished(placed(pixels, placement), attributes, description, options)


def _finished(
    image: Image.Image,
    attributes: FrameAttributes,
    description: PixelDescription,
    options: RenderOptions,
) -> RenderedImage:
    """What is asked for beside the pixels: words burned in last, and a colour profile."""
    if options.annotation:
        image = annotated(image, dict(attributes.dataset), options.annotation)
    own = b""
    if options.icc_profile != "no":
        own = attributes.bytes_of(attributes.dataset, ICC_PROFILE)
    return encoded(image, options, lossy=was_lossy(attributes, description), own_profile=own)


def _may_be_reduced(
    attributes: FrameAttributes, description: PixelDescription, options: RenderOptions
) -> bool:
    """Whether a smaller decoded frame shows the same: all of it, with a window that is known.

    A thumbnail may take its window from the smaller frame, unless padding smeared by averaging
    would widen it.
    """
    viewport = options.viewport
    if viewport is None or viewport.region != Region() or options.overlays:
        return False
    if options.window is not None or voi_alternatives(attributes, description):
        return True
    small = max(viewport.width, viewport.height) <= LARGEST_THUMBNAIL
    return small and _PIXEL_PADDING_VALUE not in attributes.dataset


def display_pixels(
    frame: DecodedFrame,
    attributes: FrameAttributes,
    description: PixelDescription,
    options: RenderOptions,
) -> NDArray[np.uint8]:
    """Display values of one decoded frame: (rows, columns) grey, or (rows, columns, 3) RGB."""
    pixels, colors = frame.pixels, frame.photometric_interpretation
    if pixels.ndim > _GREY_AXES:
        return true_color(pixels, colors, description)
    if colors == "PALETTE COLOR":
        return palette_color(pixels, attributes, description)
    grey = render_grey(pixels, grey_pipeline(attributes, description, options))
    return supplemental_color(grey, pixels, attributes, description)


def was_lossy(attributes: FrameAttributes, description: PixelDescription) -> bool:
    """Lossy Image Compression (0028,2110), or a Transfer Syntax that loses (PS3.3 C.7.6.1.1.5)."""
    stated = text(attributes.dataset, _LOSSY_IMAGE_COMPRESSION) == "01"
    return stated or transfer_syntax(description.transfer_syntax_uid).lossy


def encoded(
    image: Image.Image, options: RenderOptions, *, lossy: bool, own_profile: bytes = b""
) -> RenderedImage:
    """The image in the media type of the request, at most 8 bits a channel.

    `own_profile` is the object's ICC profile, for requests that want one embedded.
    """
    embedded: dict[str, Any] = {}
    if options.icc_profile != "no":
        image, profile = with_profile(image, options.icc_profile, own_profile)
        embedded = {"icc_profile": profile}
    body, lost = written(image, options.media_type, options.quality, embedded)
    return RenderedImage(options.media_type, body, image.width, image.height, lossy or lost)
