"""Decoding and transcoding of frames, by the rules of PS3.5 and PS3.3."""

from __future__ import annotations

import random
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from apps.dicom import rle
from apps.dicom.codestreams import inspect
from apps.dicom.colors import rgb_to_ybr_full, ybr_full_to_rgb, ybr_partial_to_rgb
from apps.dicom.pixel_description import MAXIMUM_SAMPLES
from apps.dicom.pixels import (
    BROWSER_TABLE,
    PixelDescription,
    browser_safe,
    browser_transfer_syntax,
    decode,
    decode_frame,
    lossy_attributes,
    transcode_frame,
    transcoded,
    uncompressed_as_read,
)
from apps.errors import UnsupportedPixels
from tests.corpus_images import read_image

EXPLICIT, BIG_ENDIAN, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"
JPEG, JPEG_12 = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS, JPEG_LS = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"
J2K, HTJ2K_RPCL, JPEG_XL = (
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.110",
)
DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"


def grey(rows: int, columns: int, **changes: Any) -> PixelDescription:
    plain = PixelDescription(rows, columns, 1, 16, 16, 15, 0, "MONOCHROME2")
    return replace(plain, **changes)


def color(rows: int, columns: int, **changes: Any) -> PixelDescription:
    plain = PixelDescription(rows, columns, 3, 8, 8, 7, 0, "RGB")
    return replace(plain, **changes)


# --- native frames


@pytest.mark.parametrize(
    ("stored", "high_bit", "signed", "word", "value"),
    [
        (12, 11, 0, 0xF123, 0x123),
        (12, 11, 1, 0x0800, -2048),
        (12, 11, 1, 0xF7FF, 2047),
        (12, 11, 1, 0x0FFF, -1),
        (12, 15, 0, 0x123F, 0x123),
        (12, 15, 1, 0x800F, -2048),
        (10, 12, 0, 0xE00F | 0x155 << 3, 0x155),
        (16, 15, 1, 0x8000, -32768),
    ],
)
def test_PIX_03_only_stored_bits_count_whatever_lies_above_or_below(
    stored: int, high_bit: int, signed: int, word: int, value: int
) -> None:
    """PS3.5 8.1.1: unused bits may hold anything; High Bit need not be Bits Stored - 1."""
    description = grey(1, 1, bits_stored=stored, high_bit=high_bit, pixel_representation=signed)
    assert decode_frame(word.to_bytes(2, "little"), description).tolist() == [[value]]
    big = replace(description, transfer_syntax_uid=BIG_ENDIAN)
    assert decode_frame(word.to_bytes(2, "big"), big).tolist() == [[value]]
    packed = rle.encode(np.array([[[word]]], dtype="<u2"))
    assert decode_frame(packed, replace(description, transfer_syntax_uid=RLE)).tolist() == [[value]]


def test_one_bit_pixels_begin_with_the_least_significant_bit() -> None:
    description = grey(3, 3, bits_allocated=1, bits_stored=1, high_bit=0)
    bits = [1, 0, 0, 1, 1, 0, 1, 0, 1]
    packed = np.packbits(bits, bitorder="little").tobytes()
    assert decode_frame(packed, description).ravel().tolist() == bits
    later = np.packbits([0] * 5 + bits, bitorder="little").tobytes()
    assert decode_frame(later, description, bit_offset=5).ravel().tolist() == bits
    assert transcode_frame(later, description, EXPLICIT, bit_offset=5) == packed


@pytest.mark.parametrize("target", [JPEG_LOSSLESS, JPEG_LS, "1.2.840.10008.1.2.4.50"])
def test_one_bit_pixels_are_not_written_where_the_standard_has_none(target: str) -> None:
    description = grey(8, 8, bits_allocated=1, bits_stored=1, high_bit=0)
    with pytest.raises(UnsupportedPixels):
        transcode_frame(bytes(range(8)), description, target)
    for other in (RLE, J2K):
        packed = transcode_frame(bytes(range(8)), description, other)
        assert transcode_frame(packed, transcoded(description, other), EXPLICIT) == bytes(range(8))


@pytest.mark.parametrize(("format_", "dtype"), [("float", "<f4"), ("double", "<f8")])
def test_float_and_double_pixel_data_keep_their_numbers(format_: Any, dtype: str) -> None:
    values = np.array([[1.5, -2.25], [np.inf, np.nan]], dtype=dtype)
    bits = values.itemsize * 8
    description = grey(
        2, 2, bits_allocated=bits, bits_stored=bits, high_bit=bits - 1, sample_format=format_
    )
    np.testing.assert_array_equal(decode_frame(values.tobytes(), description), values)


def test_PIX_07_planes_and_pixels_give_the_same_samples() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    planes = np.moveaxis(pixels, -1, 0).tobytes()
    np.testing.assert_array_equal(decode_frame(pixels.tobytes(), color(2, 4)), pixels)
    by_plane = color(2, 4, planar_configuration=1)
    np.testing.assert_array_equal(decode_frame(planes, by_plane), pixels)


def test_PIX_07_ybr_full_422_repeats_the_chrominance_of_each_pair() -> None:
    description = color(1, 4, photometric_interpretation="YBR_FULL_422")
    frame = decode(bytes([10, 20, 100, 200, 30, 40, 110, 210]), description)
    assert frame.photometric_interpretation == "YBR_FULL"
    assert frame.pixels.tolist() == [
        [[10, 100, 200], [20, 100, 200], [30, 110, 210], [40, 110, 210]]
    ]


def test_PIX_07_ybr_full_422_with_all_chrominance_is_read_as_it_is() -> None:
    description = color(1, 2, photometric_interpretation="YBR_FULL_422")
    frame = decode(bytes([10, 100, 200, 20, 101, 201]), description)
    assert frame.pixels.tolist() == [[[10, 100, 200], [20, 101, 201]]]


def test_eight_bit_words_in_big_endian_are_swapped() -> None:
    description = grey(1, 4, bits_allocated=8, bits_stored=8, high_bit=7, pixel_vr="OW")
    swapped = replace(description, transfer_syntax_uid=BIG_ENDIAN)
    assert decode_frame(b"\2\1\4\3", swapped).tolist() == [[1, 2, 3, 4]]
    as_bytes = replace(swapped, pixel_vr="OB")
    assert decode_frame(b"\1\2\3\4", as_bytes).tolist() == [[1, 2, 3, 4]]
    assert transcode_frame(b"\2\1\4\3", swapped, EXPLICIT) == b"\1\2\3\4"


@pytest.mark.parametrize("bits", [16, 32])
def test_big_endian_frames_become_little_endian_word_by_word(bits: int) -> None:
    values = (np.arange(18) * 1000).astype(f">u{bits // 8}")
    description = color(
        2, 3, bits_allocated=bits, bits_stored=bits, high_bit=bits - 1, planar_configuration=1,
        transfer_syntax_uid=BIG_ENDIAN,
    )  # fmt: skip
    little = transcode_frame(values.tobytes(), description, EXPLICIT)
    assert little == values.astype(f"<u{bits // 8}").tobytes()
    np.testing.assert_array_equal(
        decode_frame(little, transcoded(description, EXPLICIT)),
        decode_frame(values.tobytes(), description),
    )


# --- compressed frames


def test_deflated_frames_inflate_to_a_bound() -> None:
    """A raw deflate stream (PS3.5 A.4.13); a bomb ends where the frame is full."""
    description = grey(4, 4, transfer_syntax_uid=DEFLATED_FRAME)
    values = np.arange(16, dtype="<u2")
    deflater = zlib.compressobj(wbits=-15)
    packed = deflater.compress(values.tobytes() + b"\0" * 50_000_000) + deflater.flush()
    assert decode_frame(packed, description).ravel().tolist() == values.tolist()


@pytest.mark.parametrize("bits_stored", [12, 16])
def test_J2K_signed_samples_in_an_unsigned_codestream_keep_their_sign(bits_stored: int) -> None:
    """The codestream says unsigned, Pixel Representation says signed, and the reverse."""
    values = np.array([[-2000, -1, 0, 1896]], dtype=np.int16)
    raw = values.view(np.uint16) & np.uint16((1 << bits_stored) - 1)
    packed = imagecodecs.jpeg2k_encode(raw, 0, codecformat="j2k", bitspersample=bits_stored)
    description = grey(
        1, 4, bits_stored=bits_stored, high_bit=bits_stored - 1, pixel_representation=1,
        transfer_syntax_uid=J2K,
    )  # fmt: skip
    assert decode_frame(packed, description).tolist() == values.tolist()
    signed = imagecodecs.jpeg2k_encode(values, 0, codecformat="j2k", bitspersample=bits_stored)
    unsigned = replace(description, pixel_representation=0)
    assert decode_frame(signed, unsigned).tolist() == raw.tolist()


@pytest.mark.parametrize("extended", [False, True])
def test_JPEG_LS_signed_samples_masked_or_sign_extended_keep_their_sign(extended: bool) -> None:
    """JPEG-LS knows no sign: encoders either mask to Bits Stored or keep the whole word."""
    values = np.array([[-2048, -1, 0, 2047] * 2] * 4, dtype=np.int16)
    raw = values.view(np.uint16) if extended else values.view(np.uint16) & np.uint16(0xFFF)
    packed = imagecodecs.jpegls_encode(raw, out=10_000)
    description = grey(
        4, 8, bits_stored=12, high_bit=11, pixel_representation=1, transfer_syntax_uid=JPEG_LS
    )
    assert decode_frame(packed, description).tolist() == values.tolist()


@pytest.mark.parametrize(
    ("inside", "stated", "expected"),
    [
        ("RGB", "YBR_FULL_422", "RGB"),
        ("RGB", "RGB", "RGB"),
        ("YCbCr", "RGB", "YBR_FULL"),
        ("YCbCr", "YBR_FULL_422", "YBR_FULL"),
        ("UNKNOWN", "RGB", "RGB"),
        ("UNKNOWN", "YBR_FULL", "YBR_FULL"),
    ],
)
def test_PIX_07_a_JPEG_frame_knows_its_colours_better_than_the_attribute(
    inside: str, stated: str, expected: str
) -> None:
    pixels = np.full((8, 8, 3), (200, 100, 50), dtype=np.uint8)
    packed = imagecodecs.jpeg8_encode(pixels, 100, colorspace=inside, outcolorspace=inside)
    description = color(8, 8, photometric_interpretation=stated, transfer_syntax_uid=JPEG)
    frame = decode(packed, description)
    assert frame.photometric_interpretation == expected
    assert np.abs(frame.pixels.astype(int) - pixels).max() <= 2


def test_PIX_07_transcoding_brings_contradicting_colours_to_what_the_attribute_says() -> None:
    pixels = np.full((8, 8, 3), (200, 100, 50), dtype=np.uint8)
    packed = imagecodecs.jpeg8_encode(pixels, 100, colorspace="RGB", outcolorspace="RGB")
    description = color(8, 8, photometric_interpretation="YBR_FULL", transfer_syntax_uid=JPEG)
    native = transcode_frame(packed, description, EXPLICIT)
    changed = transcoded(description, EXPLICIT)
    assert changed.photometric_interpretation == "YBR_FULL"
    shown = ybr_full_to_rgb(decode_frame(native, changed))
    assert np.abs(shown.astype(int) - pixels).max() <= 2


@pytest.mark.parametrize(
    ("inside", "stated", "expected"),
    [
        ("YCbCr", "YBR_FULL_422", "RGB"),
        ("RGB", "YBR_FULL_422", "RGB"),
        ("YCbCr", "YBR_FULL", "YBR"),
    ],
)
def test_PIX_07_uncompressed_frames_are_what_viewers_take_them_for(
    inside: str, stated: str, expected: str
) -> None:
    """Stated to have half of the chrominance and long enough for all of it, samples are RGB."""
    pixels = np.full((16, 16, 3), (200, 100, 50), dtype=np.uint8)
    packed = imagecodecs.jpeg8_encode(pixels, 100, colorspace="RGB", outcolorspace=inside)
    description = color(16, 16, photometric_interpretation=stated, transfer_syntax_uid=JPEG)
    sent = uncompressed_as_read(packed, description)
    samples = np.frombuffer(sent, np.uint8).reshape(16, 16, 3)
    shown = samples if expected == "RGB" else ybr_full_to_rgb(samples)
    assert np.abs(shown.astype(int) - pixels).max() <= 2
    assert (sent == transcode_frame(packed, description, EXPLICIT)) is (expected == "YBR")


def test_JPEG_2000_component_transforms_are_undone_and_said_to_be() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    packed = imagecodecs.jpeg2k_encode(pixels, 0, codecformat="j2k", mct=True)
    description = color(32, 32, photometric_interpretation="YBR_RCT", transfer_syntax_uid=J2K)
    frame = decode(packed, description)
    assert frame.photometric_interpretation == "RGB"
    np.testing.assert_array_equal(frame.pixels, pixels)
    assert transcoded(description, EXPLICIT).photometric_interpretation == "RGB"


def test_JPEG_XL_frames_decode() -> None:
    values = np.random.default_rng(2).integers(0, 4096, (40, 30)).astype(np.uint16)
    packed = imagecodecs.jpegxl_encode(values, lossless=True)
    description = grey(40, 30, bits_stored=12, high_bit=11, transfer_syntax_uid=JPEG_XL)
    np.testing.assert_array_equal(decode_frame(packed, description), values)
    pixels = np.random.default_rng(3).integers(0, 256, (40, 30, 3)).astype(np.uint8)
    packed = imagecodecs.jpegxl_encode(pixels, lossless=True)
    frame = decode(packed, color(40, 30, transfer_syntax_uid=JPEG_XL))
    np.testing.assert_array_equal(frame.pixels, pixels)


def test_frames_are_decoded_by_what_they_are_not_by_what_they_are_called() -> None:
    """A JPEG-LS frame under a JPEG 2000 UID, as some gateways write them."""
    values = np.random.default_rng(4).integers(0, 4096, (16, 16)).astype(np.uint16)
    packed = imagecodecs.jpegls_encode(values, out=10_000)
    description = grey(16, 16, bits_stored=12, high_bit=11, transfer_syntax_uid=J2K)
    np.testing.assert_array_equal(decode_frame(packed, description), values)


# --- transcoding


def frames(draw: st.DrawFn) -> tuple[PixelDescription, NDArray[Any]]:
    rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    samples = draw(st.sampled_from([1, 1, 3]))
    allocated = draw(st.sampled_from([8, 16]))
    stored = draw(st.integers(2, allocated)) if samples == 1 else allocated
    signed = draw(st.booleans()) if samples == 1 else False
    description = PixelDescription(
        rows,
        columns,
        samples,
        allocated,
        stored,
        stored - 1,
        int(signed),
        "RGB" if samples == 3 else "MONOCHROME2",
        draw(st.sampled_from([0, 1])) if samples == 3 else 0,
    )
    low = -(1 << stored - 1) if signed else 0
    random_ = np.random.default_rng(draw(st.integers(0, 2**32)))
    noise = random_.integers(low, low + (1 << stored), description.shape)
    smooth = draw(st.booleans())
    values = np.sort(noise, axis=1) if smooth else noise
    return description, values.astype(description.dtype)


LOSSLESS = [RLE, JPEG_LOSSLESS, JPEG_LS, J2K, HTJ2K_RPCL, DEFLATED_FRAME, EXPLICIT]


@pytest.mark.parametrize("target", LOSSLESS)
@settings(max_examples=60, deadline=None)
@given(frame=st.composite(frames)())
def test_transcoding_without_loss_round_trips(
    target: str, frame: tuple[PixelDescription, NDArray[Any]]
) -> None:
    description, values = frame
    planes = np.moveaxis(values, -1, 0) if description.planar_configuration else values
    native = np.ascontiguousarray(planes).tobytes()
    packed = transcode_frame(native, description, target)
    changed = transcoded(description, target)
    np.testing.assert_array_equal(decode_frame(packed, changed), values)
    assert target == EXPLICIT or len(packed) % 2 == 0
    back = transcode_frame(packed, changed, EXPLICIT)
    np.testing.assert_array_equal(decode_frame(back, transcoded(changed, EXPLICIT)), values)


@pytest.mark.parametrize("size", [(40, 1), (64, 64), (65, 64), (513, 700), (70, 2100)])
def test_HTJ2K_RPCL_frames_have_the_options_of_their_transfer_syntax(
    size: tuple[int, int],
) -> None:
    """PS3.5 A.4.4: progression RPCL, TLM markers, the smallest resolution at most 64 wide."""
    values = np.arange(size[0] * size[1], dtype=np.uint16).reshape(size)
    packed = transcode_frame(values.tobytes(), grey(*size), HTJ2K_RPCL)
    style = packed.index(b"\xff\x52")
    progression, levels = packed[style + 5], packed[style + 9]
    assert progression == 2
    assert b"\xff\x55" in packed[: packed.index(b"\xff\x90")]
    assert max(size) / 2**levels <= 64
    header = inspect(packed)
    assert (header.family, header.lossless, header.levels) == ("htj2k", True, levels)


def test_JPEG_baseline_is_close_and_says_what_it_became() -> None:
    pixels = np.kron(
        np.random.default_rng(5).integers(0, 256, (4, 4, 3)), np.ones((16, 16, 1))
    ).astype(np.uint8)
    packed = transcode_frame(pixels.tobytes(), color(64, 64), JPEG)
    changed = transcoded(color(64, 64), JPEG)
    assert changed.photometric_interpretation == "YBR_FULL_422"
    shown = ybr_full_to_rgb(decode_frame(packed, changed))
    assert np.abs(shown.astype(int) - pixels).mean() < 8
    with pytest.raises(UnsupportedPixels):
        transcode_frame(b"\0\0", grey(1, 1), JPEG)


def test_PIX_11_recompressing_with_loss_names_the_attributes_that_must_say_so() -> None:
    """PS3.3 C.7.6.1.1.5: 01, the ratio and the method; none of them without loss."""
    description = grey(10, 10, bits_allocated=8, bits_stored=8, high_bit=7)
    assert lossy_attributes(description, JPEG, 25) == {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": "4",
        "LossyImageCompressionMethod": "ISO_10918_1",
    }
    for target in LOSSLESS:
        assert lossy_attributes(description, target, 25) == {}


@pytest.mark.parametrize("target", ["1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.102", "1.2.3"])
def test_what_has_no_codec_is_refused(target: str) -> None:
    with pytest.raises(UnsupportedPixels):
        transcode_frame(b"\0\0", grey(1, 1), target)
    with pytest.raises(UnsupportedPixels):
        decode_frame(b"\0\0", grey(1, 1, transfer_syntax_uid=target))


# --- colours


@settings(max_examples=300)
@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_PIX_07_colours_survive_both_ways_within_one_level(sample: tuple[int, int, int]) -> None:
    rgb = np.array([[sample]], dtype=np.uint8)
    back = ybr_full_to_rgb(rgb_to_ybr_full(rgb)).astype(int)
    assert np.abs(back - rgb).max() <= 2


def test_PIX_07_partial_range_reaches_black_and_white() -> None:
    ends = np.array([[[16, 128, 128], [235, 128, 128]]], dtype=np.uint8)
    assert ybr_partial_to_rgb(ends).tolist() == [[[0, 0, 0], [255, 255, 255]]]


# --- what browsers get


@pytest.mark.parametrize(
    ("uid", "bits", "safe"),
    [
        (EXPLICIT, 16, True),
        (BIG_ENDIAN, 16, False),
        (JPEG, 8, True),
        (JPEG_12, 16, False),
        (JPEG_12, 8, True),
        (RLE, 16, True),
        (RLE, 32, False),
        (RLE, 1, False),
        (J2K, 16, True),
        (HTJ2K_RPCL, 16, True),
        (DEFLATED_FRAME, 1, False),
        ("1.2.840.10008.1.2.4.55", 16, False),
        ("1.2.840.10008.1.2.4.92", 16, False),
        ("1.2.840.10008.1.2.4.102", 8, False),
    ],
)
def test_browsers_get_only_what_their_decoders_read_right(uid: str, bits: int, safe: bool) -> None:
    description = grey(4, 4, bits_allocated=bits, bits_stored=bits, high_bit=bits - 1)
    assert browser_safe(uid, description) is safe
    target = browser_transfer_syntax(replace(description, transfer_syntax_uid=uid))
    readable = uid not in ("1.2.840.10008.1.2.4.92", "1.2.840.10008.1.2.4.102")
    assert (target is None) is (safe or not readable)


def test_every_exception_for_browsers_has_its_reason() -> None:
    assert all(len(row.reason) > 20 and row.transfer_syntax_uids for row in BROWSER_TABLE)


# --- bounds


@pytest.mark.parametrize("uid", [EXPLICIT, RLE, JPEG, J2K, JPEG_LS, DEFLATED_FRAME])
def test_absurd_sizes_are_refused_before_memory_is_taken(uid: str) -> None:
    description = grey(65535, 65535, transfer_syntax_uid=uid)
    assert description.samples > MAXIMUM_SAMPLES
    with pytest.raises(UnsupportedPixels, match="samples"):
        decode_frame(b"\0" * 100, description)


def test_a_codestream_of_another_size_than_the_attributes_say_is_refused() -> None:
    packed = imagecodecs.jpeg2k_encode(np.zeros((2000, 2000), np.uint8), 0, codecformat="j2k")
    description = grey(4, 4, bits_allocated=8, bits_stored=8, high_bit=7, transfer_syntax_uid=J2K)
    with pytest.raises(UnsupportedPixels, match="2000 x 2000"):
        decode_frame(packed, description)


FUZZED = [
    "enhanced/emri_small_jpeg_2k_lossless.dcm",
    "sc-color/SC_rgb_gdcm_KY.dcm",
    "sc-color/GDCMJ2K_TextGBR.dcm",
    "syntax-ct/CT1_JPH",
    "enhanced/emri_small_jpeg_ls_lossless.dcm",
    "sc-color/SC_rgb_jls_lossy_sample.dcm",
    "mr/MR-JPEGLosslessSV1.dcm",
    "sc-color/SC_rgb_jpeg_dcmtk.dcm",
    "syntax-ct/CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm",
    "sc-color/SC_rgb_rle_16bit.dcm",
    "seg/liver_deflate.dcm",
]


@pytest.mark.parametrize("path", FUZZED)
def test_corrupt_frames_are_refused_and_never_hang_or_crash(corpus: Path, path: str) -> None:
    image = read_image(corpus / "dicom" / path)
    frame, description = image.frame(), image.description
    chance = random.Random(7)
    refused = 0
    for _ in range(60):
        broken = bytearray(frame)
        for _ in range(chance.randrange(1, 5)):
            near_head = chance.random() < 0.5
            at = chance.randrange(min(200, len(broken)) if near_head else len(broken))
            broken[at] ^= 1 << chance.randrange(8)
        started = time.process_time()
        try:
            decode(bytes(broken), description)
        except UnsupportedPixels:
            refused += 1
        assert time.process_time() - started < 2
    assert refused > 0


@pytest.mark.parametrize("path", FUZZED)
def test_frames_that_end_early_are_refused_at_once(corpus: Path, path: str) -> None:
    """A picture whose lower part a decoder made up must not be shown as if it were whole."""
    image = read_image(corpus / "dicom" / path)
    frame, description = image.frame(), image.description
    for share in (0, 0.01, 0.3, 0.7, 0.95):
        started = time.process_time()
        with pytest.raises(UnsupportedPixels):
            decode(frame[: int(len(frame) * share)], description)
        assert time.process_time() - started < 0.5


def test_descriptions_read_what_is_there_and_complete_the_rest() -> None:
    model = {
        "00280010": {"vr": "US", "Value": [5]},
        "00280011": {"vr": "US", "Value": [7]},
        "00280100": {"vr": "US", "Value": [16]},
        "00280101": {"vr": "US", "Value": [99]},
        "00280008": {"vr": "IS", "Value": ["1A"]},
        "00280004": {"vr": "CS", "Value": ["MONOCHROME1 "]},
    }
    read = PixelDescription.from_json(model, EXPLICIT)
    assert (read.bits_stored, read.high_bit, read.number_of_frames) == (16, 15, 1)
    assert (read.samples_per_pixel, read.photometric_interpretation) == (1, "MONOCHROME1")
    with pytest.raises(UnsupportedPixels):
        PixelDescription.from_json({}, EXPLICIT)
