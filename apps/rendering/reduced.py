"""Frames decoded at a half, a quarter or less of their size: all a small picture needs.

Wavelet codestreams hold the smaller pictures already (ITU-T T.800 B.5); JPEG can be scaled inside
its cosine transform. Values stay stored values, averaged over the pixels they stand for.
"""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Jpeg2KImagePlugin, JpegImagePlugin

from apps.dicom.codestreams import Codestream, inspect
from apps.dicom.pixel_codecs import check_size, colors_after, with_sign
from apps.dicom.pixels import DecodedFrame, PixelDescription
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.errors import UnsupportedPixels

_CODECS: Final = frozenset({"jpeg", "jpeg2000", "htj2k"})
_SHOWN: Final = frozenset({"MONOCHROME1", "MONOCHROME2", "RGB"})
_MOST_JPEG_HALVINGS: Final = 3
_BYTE_BITS: Final = 8
_WORD_BITS: Final = 16
_COLORS: Final = 3


def decode_reduced(
    data: bytes, description: PixelDescription, halvings: int
) -> DecodedFrame | None:
    """The frame at 1/2**halvings of its size, or the nearest larger one; None where none exists.

    None also says that the frame is better decoded whole: other codecs, palettes, odd codestreams.
    Raises UnsupportedPixels where the frame is corrupt.
    """
    codec = transfer_syntax(description.transfer_syntax_uid).codec
    colors = description.photometric_interpretation
    if halvings < 1 or codec not in _CODECS or not (colors in _SHOWN or colors.startswith("YBR_")):
        return None
    header = inspect(data)
    check_size(header, description.checked())
    if header.signed != description.signed:
        # Two's complement inside an unsigned codestream has no meaningful average.
        return None
    if not header.complete:
        raise UnsupportedPixels(f"The {header.family} frame ends early.")
    try:
        values = _read(data, header, halvings)
    except (RuntimeError, ValueError, OSError, SyntaxError) as error:
        raise UnsupportedPixels(f"The {header.family} frame cannot be decoded.") from error
    if values is None:
        return None
    return DecodedFrame(with_sign(values, header, description), colors_after(header, description))


def _read(data: bytes, header: Codestream, halvings: int) -> NDArray[Any] | None:
    if header.family == "jpeg":
        return _read_jpeg(data, header, min(halvings, _MOST_JPEG_HALVINGS))
    halvings = min(halvings, header.levels)
    if not halvings:
        return None
    return _read_jpeg2000(data, header, halvings)


def _read_jpeg(data: bytes, header: Codestream, halvings: int) -> NDArray[Any] | None:
    """8-bit JPEG; colours stay as coded. None where the stream does not name its colours."""
    modes = {"YBR": "YCbCr", "RGB": "RGB"}
    mode = "L" if header.samples == 1 else modes.get(header.color_transform)
    if header.lossless or header.precision != _BYTE_BITS or mode is None:
        return None
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    scale = 1 << halvings
    image.draft(mode, (max(1, header.columns // scale), max(1, header.rows // scale)))
    return np.asarray(image) if image.mode == mode else None


def _read_jpeg2000(data: bytes, header: Codestream, halvings: int) -> NDArray[Any] | None:
    """Bare codestreams of one sample up to 16 bits, or of three with 8, which Pillow reads."""
    grey = header.samples == 1 and header.precision <= _WORD_BITS
    color = header.samples == _COLORS and header.precision == _BYTE_BITS and not header.signed
    if header.start or not (grey or color):
        return None
    image = Jpeg2KImagePlugin.Jpeg2KImageFile(io.BytesIO(data))
    image.reduce = _readable_halvings(header, halvings)  # an option of this plugin
    values = np.asarray(image)
    if color:
        return values
    # Pillow fills the mode's width with the samples and adds half of it to signed ones.
    width = _BYTE_BITS if image.mode == "L" else _WORD_BITS
    plain = values >> (width - header.precision)
    if not header.signed:
        return plain
    kind = np.int8 if header.precision <= _BYTE_BITS else np.int16
    return (plain.astype(np.int32) - (1 << (header.precision - 1))).astype(kind)


def _readable_halvings(header: Codestream, halvings: int) -> int:
    """At most so many: Pillow rounds a reduced side to the nearest, the codestream always up.

    It refuses a picture that is not as large as it expected. One halving is rounded alike by both.
    """
    sides = (header.rows, header.columns)
    while any((side + (1 << halvings >> 1)) >> halvings != -(-side >> halvings) for side in sides):
        halvings -= 1
    return halvings


def halvings_for(rows: int, columns: int, height: int, width: int) -> int:
    """How often a frame can be halved and still be at least as large as it is shown."""
    ratio = min(rows / max(1, height), columns / max(1, width))
    return max(0, int(ratio).bit_length() - 1)
