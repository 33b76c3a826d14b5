"""RLE Lossless (PS3.5 Annex G): byte planes, most significant first, each packed row by row."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from apps.dicom.pixel_description import PixelDescription
from apps.errors import UnsupportedPixels

_HEADER_LENGTH: Final = 64
_MOST_SEGMENTS: Final = 15
_SURPLUS: Final = 4096
"""Bytes that a segment may unpack to beyond its plane (padding) before it counts as corrupt."""


def decode(data: bytes, description: PixelDescription) -> NDArray[Any]:
    """Samples of one frame, shaped (samples, rows, columns), or packed bits for Bits Allocated 1.

    Raises UnsupportedPixels where the header does not fit the description or a segment is short.
    """
    offsets = _segment_offsets(data)
    if description.bits_allocated == 1:
        return _segment(data, offsets, 0, description.native_length)
    size = description.bits_allocated // 8
    samples = description.samples_per_pixel
    if len(offsets) - 1 != size * samples:
        raise UnsupportedPixels(
            f"The RLE frame has {len(offsets) - 1} segments; {size * samples} are needed."
        )
    plane = description.rows * description.columns
    # Bytes of a sample run from the most to the least significant one (PS3.5 G.2).
    cells = np.empty((samples, plane, size), dtype=np.uint8)
    for sample in range(samples):
        for byte in range(size):
            index = sample * size + byte
            cells[sample, :, size - 1 - byte] = _segment(data, offsets, index, plane)
    values = cells.reshape(-1).view(f"<u{size}")
    return values.reshape(samples, description.rows, description.columns)


def _segment_offsets(data: bytes) -> list[int]:
    """Begin of each segment, and the end of the last."""
    if len(data) < _HEADER_LENGTH:
        raise UnsupportedPixels("The RLE frame is shorter than its header.")
    count, *offsets = struct.unpack_from("<16I", data)
    offsets = [*offsets[: min(count, _MOST_SEGMENTS)], len(data)]
    ordered = all(first <= second for first, second in pairwise(offsets))
    if not 1 <= count <= _MOST_SEGMENTS or offsets[0] < _HEADER_LENGTH or not ordered:
        raise UnsupportedPixels("The RLE frame's header has impossible offsets.")
    return offsets


def _segment(data: bytes, offsets: list[int], index: int, length: int) -> NDArray[np.uint8]:
    packed = data[offsets[index] : offsets[index + 1]]
    buffer = bytearray(length + _SURPLUS)
    try:
        unpacked = imagecodecs.packbits_decode(packed, out=buffer)
    except (RuntimeError, ValueError) as error:
        raise UnsupportedPixels("An RLE segment cannot be unpacked.") from error
    if len(unpacked) < length:
        raise UnsupportedPixels(f"An RLE segment gives {len(unpacked)} bytes instead of {length}.")
    return np.frombuffer(unpacked, dtype=np.uint8, count=length)


def encode(planes: NDArray[Any]) -> bytes:
    """Packs unsigned samples shaped (samples, rows, columns) of 1, 2 or 4 bytes.

    Each row is packed on its own (PS3.5 G.3.1), each segment padded to an even length.
    """
    samples, rows, columns = planes.shape
    size = planes.dtype.itemsize
    little = planes.astype(planes.dtype.newbyteorder("<"), order="C")
    cells = little.view(np.uint8).reshape(samples, rows, columns, size)
    segments = []
    for sample in range(samples):
        for byte in reversed(range(size)):
            plane = cells[sample, :, :, byte].copy()
            packed = bytes(imagecodecs.packbits_encode(plane, axis=-1))
            segments.append(packed + b"\x00" * (len(packed) % 2))
    if len(segments) > _MOST_SEGMENTS:
        raise UnsupportedPixels("RLE holds at most 15 bytes a pixel.")
    offsets = [_HEADER_LENGTH]
    for segment in segments[:-1]:
        offsets.append(offsets[-1] + len(segment))
    offsets += [0] * (_MOST_SEGMENTS - len(offsets))
    return struct.pack("<16I", len(segments), *offsets) + b"".join(segments)
