"""Decode and transcode a frame: the one place that turns stored bytes into stored values.

Stored values are what PS3.3 C.7.6.3 calls them: no modality LUT, no window, no palette, no
conversion from YBR to RGB. Only the frame's own bytes are needed.
"""

# ruff: noqa: PLR2004 - bits a sample and samples a pixel read best as the numbers they are

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from numpy.typing import NDArray

from apps.dicom import native_pixels, pixel_codecs
from apps.dicom.colors import rgb_to_ybr_full, ybr_full_to_rgb, ybr_partial_to_rgb
from apps.dicom.pixel_codecs import Codec, DecodedFrame
from apps.dicom.pixel_description import PixelDescription
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.errors import UnsupportedPixels

__all__ = [
    "DecodedFrame",
    "PixelDescription",
    "browser_safe",
    "browser_transfer_syntax",
    "decode",
    "decode_frame",
    "lossy_attributes",
    "transcode_frame",
    "transcoded",
    "uncompressed_as_read",
    "writable",
]

_EXPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
_JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"


def decode(data: bytes, description: PixelDescription, *, bit_offset: int = 0) -> DecodedFrame:
    """Stored values of one frame with the colour space they are in after decoding.

    `data` is the whole frame: native bytes, or its fragments joined. Raises UnsupportedPixels
    where there is no codec, the frame is corrupt, or it would be too big.
    """
    return _codec(description.checked().transfer_syntax_uid).decode(
        bytes(data), description, bit_offset
    )


def decode_frame(
    data: bytes, description: PixelDescription, *, bit_offset: int = 0
) -> NDArray[Any]:
    """Stored values of one frame, (rows, columns) or (rows, columns, samples); see `decode`."""
    return decode(data, description, bit_offset=bit_offset).pixels


def writable(transfer_syntax_uid: str) -> bool:
    """Whether frames can be compressed to the Transfer Syntax here."""
    codec = pixel_codecs.TABLE.get(transfer_syntax_uid)
    encapsulated = transfer_syntax(transfer_syntax_uid).encapsulated
    return encapsulated and codec is not None and codec.encode is not None


def _codec(transfer_syntax_uid: str) -> Codec:
    codec = pixel_codecs.TABLE.get(transfer_syntax_uid)
    if codec is None:
        row = transfer_syntax(transfer_syntax_uid)
        kind = "video" if row.video else "pixels"
        raise UnsupportedPixels(f"There is no decoder for {kind} in {row.name}.")
    return codec


def transcoded(description: PixelDescription, target_transfer_syntax_uid: str) -> PixelDescription:
    """What the Image Pixel Module must say once the frames are in the target Transfer Syntax.

    Photometric Interpretation and Planar Configuration are the only attributes of it that change
    without loss. Into JPEG Baseline also the lossy attributes change (PS3.3 C.7.6.1.1.5): Lossy
    Image Compression becomes 01 and the instance needs a new SOP Instance UID.
    """
    target = transfer_syntax(target_transfer_syntax_uid)
    source = transfer_syntax(description.transfer_syntax_uid)
    changed = replace(description, transfer_syntax_uid=target.uid, pixel_vr="")
    if target.uid == source.uid or not (target.encapsulated or source.encapsulated):
        return changed
    colors = description.photometric_interpretation
    if colors in ("YBR_RCT", "YBR_ICT"):
        colors = "RGB"
    colors = colors.removesuffix("_422").removesuffix("_420")
    planar = description.planar_configuration
    if target.encapsulated and description.samples_per_pixel > 1:
        planar = 0
    if target.uid == _JPEG_BASELINE and description.samples_per_pixel == 3:
        colors = "YBR_FULL_422"
    return replace(changed, photometric_interpretation=colors, planar_configuration=planar)


def transcode_frame(
    data: bytes,
    description: PixelDescription,
    target_transfer_syntax_uid: str,
    *,
    bit_offset: int = 0,
) -> bytes:
    """The frame in another Transfer Syntax; `transcoded` says what the attributes are then.

    Exact for every target but JPEG Baseline. Frames that need no change are returned as they are.
    The result begins on a byte and, where encapsulated, has an even length. Raises
    UnsupportedPixels where the source cannot be read or the target cannot hold it.
    """
    source = transfer_syntax(description.transfer_syntax_uid)
    target = transfer_syntax(target_transfer_syntax_uid)
    if source.uid == target.uid and not bit_offset:
        return data
    changed = transcoded(description, target.uid)
    if not (source.encapsulated or target.encapsulated):
        return _between_native(data, description, changed, bit_offset)
    encode = _codec(target.uid).encode
    if encode is None:
        raise UnsupportedPixels(f"Frames cannot be written in {target.name}.")
    frame = decode(data, description, bit_offset=bit_offset)
    values = _colors_as_stated(frame, changed, target.uid)
    inside = replace(changed, photometric_interpretation=_inside(frame, changed))
    try:
        return encode(values, inside)
    except (RuntimeError, ValueError) as error:
        raise UnsupportedPixels(f"The frame cannot be written in {target.name}.") from error


def uncompressed_as_read(
    data: bytes, description: PixelDescription, *, bit_offset: int = 0
) -> bytes:
    """The frame uncompressed for who knows the attributes of the stored instance only.

    YBR_FULL_422 and its like say that half of the chrominance is there, which is true of the
    compressed frame alone. Viewers tell by the length that all of it came, and take the samples
    for RGB, as other archives send them; so that is what they are given. As `transcode_frame` else.
    """
    stated, source = description.photometric_interpretation, description.transfer_syntax_uid
    halved = stated.endswith(("_422", "_420")) and description.bits_allocated == 8
    if not halved or not transfer_syntax(source).encapsulated:
        return transcode_frame(data, description, _EXPLICIT_LITTLE_ENDIAN, bit_offset=bit_offset)
    frame = decode(data, description, bit_offset=bit_offset)
    changed = transcoded(description, _EXPLICIT_LITTLE_ENDIAN)
    return native_pixels.encode(_rgb_of(frame), replace(changed, photometric_interpretation="RGB"))


def _rgb_of(frame: DecodedFrame) -> NDArray[Any]:
    colors = frame.photometric_interpretation
    if colors.startswith("YBR_PARTIAL"):
        return ybr_partial_to_rgb(frame.pixels)
    return ybr_full_to_rgb(frame.pixels) if colors.startswith("YBR") else frame.pixels


def _inside(frame: DecodedFrame, changed: PixelDescription) -> str:
    """The colour space the encoder is given its samples in."""
    if changed.photometric_interpretation == "YBR_FULL_422":
        return frame.photometric_interpretation
    return changed.photometric_interpretation


def _colors_as_stated(
    frame: DecodedFrame, changed: PixelDescription, target_uid: str
) -> NDArray[Any]:
    """Samples in the colour space that the attributes state.

    A JPEG frame may contradict its Photometric Interpretation; decoded, nothing in the frame would
    tell the reader any more, so the samples are brought to what the attribute says.
    """
    stated, inside = changed.photometric_interpretation, frame.photometric_interpretation
    if target_uid == _JPEG_BASELINE or stated[:3] == inside[:3] or changed.samples_per_pixel != 3:
        return frame.pixels
    if changed.bits_allocated != 8:
        raise UnsupportedPixels(
            "Colours of more than 8 bits contradict Photometric Interpretation."
        )
    if inside.startswith("YBR"):
        return ybr_full_to_rgb(frame.pixels)
    return rgb_to_ybr_full(frame.pixels)


def _between_native(
    data: bytes, description: PixelDescription, changed: PixelDescription, bit_offset: int
) -> bytes:
    """Byte order and bit alignment only; unused bits stay as they are."""
    description.checked()
    if description.bits_allocated == 1:
        values = native_pixels.decode(data, description, bit_offset=bit_offset)
        return native_pixels.encode(values, changed)
    if not description.big_endian:
        return data
    # A description of samples without colours keeps planes and half chrominance in their order.
    bits = description.bits_allocated
    flat = replace(
        description,
        rows=1,
        columns=description.native_bits // bits,
        samples_per_pixel=1,
        planar_configuration=0,
        photometric_interpretation="MONOCHROME2",
    )
    values = native_pixels.decode(data, flat, big_endian=True)
    return native_pixels.encode(
        values, replace(flat, transfer_syntax_uid=changed.transfer_syntax_uid)
    )


def lossy_attributes(
    description: PixelDescription, target_transfer_syntax_uid: str, frame_length: int
) -> dict[str, str]:
    """Attributes by keyword that must say so when we have compressed with loss; else none.

    `frame_length` is the compressed frame's, in bytes. The values belong behind those of earlier
    losses, and the instance needs a new SOP Instance UID (PS3.3 C.7.6.1.1.5).
    """
    if not transfer_syntax(target_transfer_syntax_uid).lossy:
        return {}
    return {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": f"{description.native_length / max(1, frame_length):.4g}",
        "LossyImageCompressionMethod": "ISO_10918_1",
    }


def browser_transfer_syntax(description: PixelDescription) -> tuple[str, str] | None:
    """The Transfer Syntax a browser needs instead of the stored one, and why; None if none.

    Says nothing of frames that no decoder here reads either (video, JPEG 2000 part 2): the viewer
    has to refuse those.
    """
    if description.transfer_syntax_uid not in pixel_codecs.TABLE:
        return None
    for row in BROWSER_TABLE:
        if description.transfer_syntax_uid in row.transfer_syntax_uids and row.applies(description):
            return _EXPLICIT_LITTLE_ENDIAN, row.reason
    return None


def browser_safe(transfer_syntax_uid: str, description: PixelDescription) -> bool:
    """Whether the viewer's decoders read such a frame as stored."""
    described = replace(description, transfer_syntax_uid=transfer_syntax_uid)
    readable = transfer_syntax_uid in pixel_codecs.TABLE
    return readable and browser_transfer_syntax(described) is None


@dataclass(frozen=True)
class NotForBrowsers:
    """One row: frames that have to be transcoded on their way to a browser."""

    transfer_syntax_uids: frozenset[str]
    applies: Callable[[PixelDescription], bool]
    reason: str


def _always(_description: PixelDescription) -> bool:
    return True


def _over_8_bits(description: PixelDescription) -> bool:
    return description.bits_allocated > 8


def _over_16_bits(description: PixelDescription) -> bool:
    return description.bits_allocated > 16


def _one_bit(description: PixelDescription) -> bool:
    return description.bits_allocated == 1


def _uids(*suffixes: str) -> frozenset[str]:
    return frozenset(f"1.2.840.10008.1.2.{suffix}" for suffix in suffixes)


BROWSER_TABLE: Final[tuple[NotForBrowsers, ...]] = (
    NotForBrowsers(_uids("2"), _always, "DICOMweb never sends Big Endian (PS3.18 8.7.3.4)"),
    NotForBrowsers(
        _uids("4.51"), _over_8_bits, "the viewer decodes 12-bit JPEG about 15 levels too high"
    ),
    NotForBrowsers(_uids("4.53", "4.55"), _always, "the viewer has no decoder for this process"),
    NotForBrowsers(_uids("5"), _over_16_bits, "the viewer's RLE decoder refuses 32-bit samples"),
    NotForBrowsers(
        _uids("5", "4.90", "4.91"), _one_bit, "the viewer does not unpack compressed single bits"
    ),
    NotForBrowsers(_uids("8.1"), _always, "the viewer was never seen to inflate frames"),
)
