"""Data sets in DICOM JSON for rendering tests, and the way back from a picture to its pixels."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.datadict import dictionary_VR, tag_for_keyword

from apps.rendering.options import PNG, RenderOptions
from apps.rendering.render import RenderedImage, render_frame

EXPLICIT = "1.2.840.10008.1.2.1"


def model(**attributes: Any) -> dict[str, Any]:
    """The DICOM JSON Model of the attributes; lists of dictionaries are sequences."""
    dataset: dict[str, Any] = {}
    for keyword, value in attributes.items():
        tag = f"{tag_for_keyword(keyword):08X}"
        vr = dictionary_VR(keyword).split(" ")[0]
        if isinstance(value, bytes):
            dataset[tag] = {"vr": "OW", "InlineBinary": base64.b64encode(value).decode()}
        elif vr == "SQ":
            dataset[tag] = {"vr": "SQ", "Value": value}
        else:
            values = list(value) if isinstance(value, (list, tuple)) else [value]
            dataset[tag] = {"vr": vr, "Value": values}
    return dataset


def image(pixels: NDArray[Any], **attributes: Any) -> dict[str, Any]:
    """The image attributes that fit the pixels; keywords override them."""
    bits = pixels.dtype.itemsize * 8
    samples = 3 if pixels.ndim == 3 else 1
    fitting = {
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": "RGB" if samples == 3 else "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    return model(**{**fitting, **attributes})


def shown(rendered: RenderedImage) -> NDArray[np.uint8]:
    """The picture's samples."""
    return np.asarray(Image.open(io.BytesIO(rendered.body)))


def render(
    pixels: NDArray[Any],
    options: RenderOptions | None = None,
    frame_number: int = 1,
    **attributes: Any,
) -> NDArray[np.uint8]:
    """Renders native pixels to PNG with the attributes and gives the picture's samples."""
    stored = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    dataset = image(pixels, **attributes)
    rendered = render_frame(stored, dataset, EXPLICIT, options or RenderOptions(PNG), frame_number)
    return shown(rendered)
