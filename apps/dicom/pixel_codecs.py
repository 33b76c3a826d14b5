"""TABLE: which codec reads and writes the frames of which Transfer Syntax.

All compressed formats go through imagecodecs: libjpeg-turbo (JPEG 8, 12 and 16 bit, all
processes, all lossless predictors), CharLS, OpenJPEG, OpenJPH and libjxl.
"""

# ruff: noqa: PLR2004 - bits a sample and samples a pixel read best as the numbers they are

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from apps.dicom import native_pixels, rle
from apps.dicom.codestreams import Codestream, inspect
from apps.dicom.pixel_description import PixelDescription
from apps.errors import UnsupportedPixels

Pixels = NDArray[Any]


@dataclass(frozen=True)
class DecodedFrame:
    """Stored values of one frame, and the colour space they are in now.

    `pixels` is shaped (rows, columns) or (rows, columns, samples). The component transforms of
    JPEG 2000 and JPEG XL are undone by their decoders, so such frames say RGB here.
    """

    pixels: Pixels
    photometric_interpretation: str


@dataclass(frozen=True)
class Codec:
    """How the frames of one family of Transfer Syntaxes are read and, where we can, written."""

    decode: Callable[[bytes, PixelDescription, int], DecodedFrame]
    encode: Callable[[Pixels, PixelDescription], bytes] | None = None


def _decode_native(data: bytes, description: PixelDescription, bit_offset: int) -> DecodedFrame:
    values = native_pixels.decode(
        data, description, big_endian=description.big_endian, bit_offset=bit_offset
    )
    return _native_frame(native_pixels.within_stored_bits(values, description), description)


def _native_frame(values: Pixels, description: PixelDescription) -> DecodedFrame:
    return DecodedFrame(values, _full_resolution(description.photometric_interpretation))


def _full_resolution(photometric_interpretation: str) -> str:
    return photometric_interpretation.removesuffix("_422").removesuffix("_420")


def _decode_deflated(data: bytes, description: PixelDescription, _bit_offset: int) -> DecodedFrame:
    """Deflated Image Frame Compression: a native frame as a raw deflate stream (PS3.5 8.2.16)."""
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        frame = inflater.decompress(data, description.native_length)
    except zlib.error as error:
        raise UnsupportedPixels("The deflated frame cannot be inflated.") from error
    values = native_pixels.decode(frame, description)
    return _native_frame(native_pixels.within_stored_bits(values, description), description)


def _encode_deflated(values: Pixels, description: PixelDescription) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = deflater.compress(native_pixels.encode(values, description)) + deflater.flush()
    return packed + b"\x00" * (len(packed) % 2)


def _decode_rle(data: bytes, description: PixelDescription, _bit_offset: int) -> DecodedFrame:
    planes = rle.decode(data, description)
    if description.bits_allocated == 1:
        return _native_frame(native_pixels.decode(planes.tobytes(), description), description)
    values = planes.view(description.dtype)
    pixels = values[0] if len(values) == 1 else np.ascontiguousarray(np.moveaxis(values, 0, -1))
    return _native_frame(native_pixels.within_stored_bits(pixels, description), description)


def _encode_rle(values: Pixels, description: PixelDescription) -> bytes:
    if description.bits_allocated == 1:
        packed = np.packbits(values.reshape(-1), bitorder="little")
        return rle.encode(packed.reshape(1, 1, -1))
    planes = values[np.newaxis] if values.ndim == 2 else np.moveaxis(values, -1, 0)
    return rle.encode(planes.view(f"u{values.dtype.itemsize}"))


def _decode_codestream(
    data: bytes, description: PixelDescription, _bit_offset: int
) -> DecodedFrame:
    """JPEG, JPEG-LS, JPEG 2000, HTJ2K or JPEG XL, by what the bytes are rather than by the UID."""
    header = inspect(data)
    if header.family != "jpeg-xl":
        check_size(header, description)
    if not header.complete:
        raise UnsupportedPixels(f"The {header.family} frame ends early.")
    target = np.empty(description.shape, dtype=_decoder_dtype(header, description))
    try:
        values = _READERS[header.family](data, header, target)
    except (RuntimeError, ValueError, OverflowError, MemoryError) as error:
        raise UnsupportedPixels(f"The {header.family} frame cannot be decoded.") from error
    values = with_sign(np.asarray(values).reshape(description.shape), header, description)
    return DecodedFrame(values, colors_after(header, description))


def check_size(header: Codestream, description: PixelDescription) -> None:
    inside = (header.rows, header.columns, header.samples)
    outside = (description.rows, description.columns, description.samples_per_pixel)
    if inside != outside:
        raise UnsupportedPixels(
            f"The {header.family} frame is {inside[0]} x {inside[1]} x {inside[2]}; "
            f"the attributes say {outside[0]} x {outside[1]} x {outside[2]}."
        )


def _decoder_dtype(header: Codestream, description: PixelDescription) -> str:
    """The type the decoder library writes for this precision."""
    if header.family == "jpeg-xl":
        return "u1" if description.bits_stored <= 8 else "u2"
    kind = "i" if header.signed else "u"
    if header.precision <= 8:
        return f"{kind}1"
    return f"{kind}2" if header.precision <= 16 else f"{kind}4"


def with_sign(values: Pixels, header: Codestream, description: PixelDescription) -> Pixels:
    """Values in the type of Pixel Representation and Bits Allocated.

    Only JPEG 2000 can say that samples are signed, and encoders get it wrong (the codestream
    unsigned, Pixel Representation 1, or the reverse). A signed sample then lies in the stream
    either as Bits Stored bits or sign-extended to the stream's precision; values beyond
    Bits Stored tell which.
    """
    if header.family == "jpeg" and header.lossless and header.precision > description.bits_stored:
        values = values & values.dtype.type((1 << description.bits_stored) - 1)
    if header.signed == description.signed or header.family == "jpeg-xl":
        return _in_container(values, description)
    bits = header.precision
    if description.signed and description.bits_stored < bits:
        bits = bits if values.max(initial=0) >> description.bits_stored else description.bits_stored
    container = description.dtype if description.dtype.itemsize >= values.dtype.itemsize else None
    wide = values.astype(container or f"{description.dtype.kind}{values.dtype.itemsize}")
    spare = wide.dtype.itemsize * 8 - bits
    if spare:
        wide = np.right_shift(np.left_shift(wide, spare), spare)
    return _in_container(wide, description)


def _in_container(values: Pixels, description: PixelDescription) -> Pixels:
    """Bits Allocated wide; one bit a pixel stays one byte."""
    if values.dtype.itemsize > description.dtype.itemsize:
        limits = np.iinfo(description.dtype)
        if values.min(initial=0) < limits.min or values.max(initial=0) > limits.max:
            raise UnsupportedPixels("The frame's values need more bits than Bits Allocated.")
    return values.astype(description.dtype, copy=False)


def colors_after(header: Codestream, description: PixelDescription) -> str:
    """Photometric Interpretation of the decoded samples (PS3.3 C.7.6.3.1.2).

    A lossy JPEG frame is believed more than the attribute: an RGB frame that is labelled YBR, or
    the reverse, would otherwise be shown in false colours.
    """
    stated = _full_resolution(description.photometric_interpretation)
    if description.samples_per_pixel != 3:
        return stated
    if header.family in ("jpeg2000", "htj2k") and stated in ("YBR_RCT", "YBR_ICT"):
        return "RGB"
    if header.family == "jpeg-xl":
        return "RGB"
    if header.family == "jpeg" and header.color_transform:
        inside = "YBR_FULL" if header.color_transform == "YBR" else "RGB"
        if not header.lossless or header.color_transform == "RGB":
            return stated if stated.startswith(inside[:3]) else inside
    return stated


def _read_jpeg(data: bytes, header: Codestream, target: Pixels) -> Pixels:
    if header.samples == 1:
        return np.asarray(imagecodecs.jpeg8_decode(data, out=target))
    # Equal names on both sides keep libjpeg from converting the samples.
    kept = "YCbCr" if header.samples == 3 else "CMYK"
    return np.asarray(
        imagecodecs.jpeg8_decode(data, colorspace=kept, outcolorspace=kept, out=target)
    )


def _read_jpeg_ls(data: bytes, _header: Codestream, target: Pixels) -> Pixels:
    return np.asarray(imagecodecs.jpegls_decode(data, out=target))


def _read_jpeg2000(data: bytes, _header: Codestream, target: Pixels) -> Pixels:
    """By OpenJPEG, HTJ2K too.

    OpenJPH is twice as fast, but does not clip what the lossy transform overshoots, and its
    binding keeps the errors of corrupt frames to itself.
    """
    return np.asarray(imagecodecs.jpeg2k_decode(data, planar=False, out=target))


def _read_jpeg_xl(data: bytes, _header: Codestream, target: Pixels) -> Pixels:
    return np.asarray(imagecodecs.jpegxl_decode(data, out=target))


_READERS: Final[dict[str, Callable[[bytes, Codestream, Pixels], Pixels]]] = {
    "jpeg": _read_jpeg,
    "jpeg-ls": _read_jpeg_ls,
    "jpeg2000": _read_jpeg2000,
    "htj2k": _read_jpeg2000,
    "jpeg-xl": _read_jpeg_xl,
}


def _raw(values: Pixels) -> Pixels:
    """The same bits without a sign."""
    return values.view(f"u{values.dtype.itemsize}")


def _at_most_16_bits(values: Pixels) -> Pixels:
    """A copy with one sample after another; numpy calls odd strides of single pixels contiguous."""
    if values.dtype.itemsize > 2 or values.dtype.kind == "f":
        raise UnsupportedPixels("This Transfer Syntax holds samples of at most 16 bits.")
    return values.copy(order="C")


def _whole_bytes(values: Pixels, description: PixelDescription) -> Pixels:
    """For the two that PS3.5 8.2.1 and 8.2.3 have no single bits in; RLE and JPEG 2000 do."""
    if description.bits_allocated == 1:
        raise UnsupportedPixels("This Transfer Syntax does not hold samples of one bit.")
    return _at_most_16_bits(values)


def _even(packed: bytes | bytearray) -> bytes:
    """Fragments have an even length (PS3.5 A.4)."""
    return bytes(packed) + b"\x00" * (len(packed) % 2)


def _room(values: Pixels) -> int:
    """A buffer that also noise fits into, which no codec makes smaller."""
    return values.nbytes * 2 + 4096


def _encode_jpeg_baseline(values: Pixels, description: PixelDescription) -> bytes:
    if values.dtype != np.uint8 or description.bits_stored > 8 or description.bits_allocated == 1:
        raise UnsupportedPixels("JPEG Baseline holds unsigned samples of 8 bits.")
    if values.ndim == 2:
        return _even(imagecodecs.jpeg8_encode(values, 90, out=_room(values)))
    inside = "RGB" if description.photometric_interpretation == "RGB" else "YCbCr"
    return _even(
        imagecodecs.jpeg8_encode(
            values.copy(order="C"),
            90,
            colorspace=inside,
            outcolorspace="YCbCr",
            subsampling="422",
            out=_room(values),
        )
    )


def _encode_jpeg_lossless(values: Pixels, description: PixelDescription) -> bytes:
    raw = _raw(_whole_bytes(values, description))
    bits = raw.dtype.itemsize * 8 if description.signed else max(2, description.bits_stored)
    if bits <= 8:
        raw = raw.astype(np.uint8)
    colors: dict[str, Any] = {}
    if raw.ndim == 3:
        # Alike on both sides, so that nothing is converted. libjpeg-turbo 3.1 writes a second
        # Huffman table for YCbCr that its scan header does not name: others could not read it.
        inside = "UNKNOWN" if description.photometric_interpretation.startswith("YBR") else "RGB"
        colors = {"colorspace": inside, "outcolorspace": inside, "subsampling": "444"}
    return _even(
        imagecodecs.jpeg8_encode(
            raw, lossless=True, predictor=1, bitspersample=bits, out=_room(raw), **colors
        )
    )


def _encode_jpeg_ls(values: Pixels, description: PixelDescription) -> bytes:
    raw = _raw(_whole_bytes(values, description))
    return _even(imagecodecs.jpegls_encode(raw, out=_room(raw)))


def _encode_jpeg2000(values: Pixels, description: PixelDescription) -> bytes:
    plain = _at_most_16_bits(values)
    return _even(
        imagecodecs.jpeg2k_encode(
            plain,
            0,
            codecformat="j2k",
            reversible=True,
            mct=False,
            bitspersample=description.bits_stored,
            resolutions=_resolutions(plain),
            out=_room(plain),
        )
    )


def _encode_htj2k(values: Pixels, _description: PixelDescription) -> bytes:
    """Progression RPCL with TLM markers, the smallest picture at most 64 wide (PS3.5 A.4.4)."""
    plain = _at_most_16_bits(values)
    return _even(
        imagecodecs.htj2k_encode(
            plain,
            reversible=True,
            rgb=False,
            planar=False,
            tlm=True,
            resolutions=_resolutions(plain),
            out=_room(plain),
        )
    )


def _resolutions(values: Pixels) -> int:
    """Pictures inside a wavelet codestream: halve until the longer side has at most 64 pixels."""
    longest = int(max(values.shape[:2]))
    return max(1, (longest - 1) // 64 + 1).bit_length()


_NATIVE: Final = Codec(_decode_native, native_pixels.encode)
_UNCOMPRESSED: Final = Codec(_decode_native, native_pixels.encode)
_CODESTREAM: Final = Codec(_decode_codestream)

_ROOT: Final = "1.2.840.10008.1.2"

# fmt: off
TABLE: Final[dict[str, Codec]] = {
    _ROOT:             _NATIVE,
    f"{_ROOT}.1":      _NATIVE,
    f"{_ROOT}.1.98":   _UNCOMPRESSED,
    f"{_ROOT}.1.99":   _NATIVE,
    f"{_ROOT}.2":      Codec(_decode_native),
    f"{_ROOT}.4.50":   Codec(_decode_codestream, _encode_jpeg_baseline),
    f"{_ROOT}.4.51":   _CODESTREAM,
    f"{_ROOT}.4.53":   _CODESTREAM,
    f"{_ROOT}.4.55":   _CODESTREAM,
    f"{_ROOT}.4.57":   Codec(_decode_codestream, _encode_jpeg_lossless),
    f"{_ROOT}.4.70":   Codec(_decode_codestream, _encode_jpeg_lossless),
    f"{_ROOT}.4.80":   Codec(_decode_codestream, _encode_jpeg_ls),
    f"{_ROOT}.4.81":   _CODESTREAM,
    f"{_ROOT}.4.90":   Codec(_decode_codestream, _encode_jpeg2000),
    f"{_ROOT}.4.91":   _CODESTREAM,
    f"{_ROOT}.4.110":  _CODESTREAM,
    f"{_ROOT}.4.111":  _CODESTREAM,
    f"{_ROOT}.4.112":  _CODESTREAM,
    f"{_ROOT}.4.201":  Codec(_decode_codestream, _encode_htj2k),
    f"{_ROOT}.4.202":  Codec(_decode_codestream, _encode_htj2k),
    f"{_ROOT}.4.203":  _CODESTREAM,
    f"{_ROOT}.5":      Codec(_decode_rle, _encode_rle),
    f"{_ROOT}.8.1":    Codec(_decode_deflated, _encode_deflated),
}
# fmt: on
