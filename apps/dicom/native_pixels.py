"""Native frames: uncompressed samples as they lie in Pixel Data (PS3.5 8.1.1, PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.dicom.pixel_description import PixelDescription
from apps.errors import UnsupportedPixels


def decode(
    data: bytes, description: PixelDescription, *, big_endian: bool = False, bit_offset: int = 0
) -> NDArray[Any]:
    """Stored values shaped as `description.shape`, chrominance at full resolution.

    `bit_offset` is the position of the first pixel in the first byte when one pixel is one bit.
    Raises UnsupportedPixels where the frame is shorter than Rows and Columns say. A frame that
    is labelled YBR_FULL_422 but long enough for all chrominance is taken to hold it.
    """
    if description.subsampled and len(data) * 8 >= description.samples * description.bits_allocated:
        description = replace(description, photometric_interpretation="YBR_FULL")
    needed = (description.native_bits + bit_offset + 7) // 8
    if len(data) < needed:
        raise UnsupportedPixels(f"The frame has {len(data)} bytes; {needed} are needed.")
    if description.bits_allocated == 1:
        return _unpack_bits(data, description, bit_offset)
    cells = _cells(data, description, big_endian=big_endian)
    if description.subsampled:
        return _full_chrominance(cells, description)
    if description.samples_per_pixel > 1 and description.planar_configuration == 1:
        samples = description.samples_per_pixel
        planes = cells.reshape(samples, description.rows, description.columns)
        return np.ascontiguousarray(np.moveaxis(planes, 0, -1))
    return cells.reshape(description.shape)


def _unpack_bits(data: bytes, description: PixelDescription, bit_offset: int) -> NDArray[np.uint8]:
    """The first pixel is the least significant bit of the first byte (PS3.5 D.3)."""
    packed = np.frombuffer(data, dtype=np.uint8)
    bits = np.unpackbits(packed, bitorder="little", count=bit_offset + description.samples)
    return bits[bit_offset:].reshape(description.shape)


def _cells(data: bytes, description: PixelDescription, *, big_endian: bool) -> NDArray[Any]:
    count = description.native_bits // description.bits_allocated
    if big_endian and description.dtype.itemsize == 1 and description.pixel_vr == "OW":
        return _swapped_bytes(data, count).view(description.dtype)
    stored = description.dtype.newbyteorder(">" if big_endian else "<")
    cells = np.frombuffer(data, dtype=stored, count=count)
    return cells.astype(description.dtype, copy=False)


def _swapped_bytes(data: bytes, count: int) -> NDArray[np.uint8]:
    """8-bit samples written as 16-bit words, most significant byte first."""
    if count > len(data) - len(data) % 2:
        raise UnsupportedPixels("A Big Endian frame of 8-bit words ends in the middle of a word.")
    words = np.frombuffer(data, dtype=np.uint16, count=len(data) // 2).byteswap()
    return words.view(np.uint8)[:count]


def _full_chrominance(cells: NDArray[Any], description: PixelDescription) -> NDArray[Any]:
    """Y1 Y2 CB CR becomes Y1 CB CR, Y2 CB CR (PS3.3 C.7.6.3.1.2, YBR_FULL_422)."""
    pairs = cells.reshape(-1, 4)
    full = np.empty((pairs.shape[0], 2, 3), dtype=cells.dtype)
    full[:, 0, 0] = pairs[:, 0]
    full[:, 1, 0] = pairs[:, 1]
    full[:, :, 1] = pairs[:, 2:3]
    full[:, :, 2] = pairs[:, 3:4]
    return full.reshape(description.shape)


def within_stored_bits(values: NDArray[Any], description: PixelDescription) -> NDArray[Any]:
    """Keeps Bits Stored up to High Bit and extends the sign; other bits carry no meaning.

    PS3.5 8.1.1: unused bits may hold overlays or garbage.
    """
    allocated = values.dtype.itemsize * 8
    stored = description.bits_stored
    if stored >= allocated or description.sample_format != "integer":
        return values
    above = allocated - 1 - description.high_bit
    if not description.signed and above == allocated - stored:
        return np.asarray(np.bitwise_and(values, values.dtype.type((1 << stored) - 1)))
    return np.asarray(np.right_shift(np.left_shift(values, above), allocated - stored))


def encode(values: NDArray[Any], description: PixelDescription) -> bytes:
    """One frame in Little Endian, planes or pixels as the description says, one bit packed."""
    if description.bits_allocated == 1:
        return np.packbits(values.reshape(-1), bitorder="little").tobytes()
    if description.subsampled:
        return _half_chrominance(values).tobytes()
    little = values.astype(description.dtype.newbyteorder("<"), copy=False)
    if description.samples_per_pixel > 1 and description.planar_configuration == 1:
        little = np.moveaxis(little, -1, 0)
    return np.ascontiguousarray(little).tobytes()


def _half_chrominance(values: NDArray[Any]) -> NDArray[Any]:
    """The chrominance of each first pixel of two stands for both."""
    pixels = values.reshape(-1, 2, 3)
    pairs = np.empty((pixels.shape[0], 4), dtype=values.dtype)
    pairs[:, 0] = pixels[:, 0, 0]
    pairs[:, 1] = pixels[:, 1, 0]
    pairs[:, 2:] = pixels[:, 0, 1:]
    return pairs
