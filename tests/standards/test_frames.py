"""Frame tables (PS3.5 8.2, A.4): native, Basic and Extended Offset Table, and neither."""

from __future__ import annotations

import io
import time
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames

from apps.dicom.frames import FrameTable
from apps.dicom.reader import InstanceReader
from apps.dicom.scanning import InstanceScan
from tests.standards.datasets import element, encapsulated, encoded, part10
from tests.standards.sources import Held

JPEG, J2K, RLE, MPEG4 = (
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.102",
)
EXPLICIT = "1.2.840.10008.1.2.1"


def layout(**values: int | str) -> list[tuple[int, int, str, bytes]]:
    """Rows, columns and so on as elements; keywords override a 4 x 4 grey image of 8 bits."""
    known = {
        "samples": (0x0002, 1),
        "rows": (0x0010, 4),
        "columns": (0x0011, 4),
        "bits": (0x0100, 8),
    }
    rows = [
        (0x0028, number, "US", pack("<H", int(values.get(name, default))))
        for name, (number, default) in known.items()
    ]
    rows.append((0x0028, 0x0004, "CS", str(values.get("photometric", "MONOCHROME2")).encode()))
    if "frames" in values:
        rows.append((0x0028, 0x0008, "IS", str(values["frames"]).encode()))
    return rows


def scan(pixels: bytes, syntax: str = EXPLICIT, **values: int | str) -> tuple[InstanceScan, bytes]:
    content = part10(encoded(*layout(**values), identity=True) + pixels, syntax)
    return InstanceReader(Held(content)).scan(), content


def frames_of(result: InstanceScan, content: bytes) -> list[bytes]:
    assert result.frames is not None
    table = FrameTable.from_bytes(result.frames.to_bytes())
    assert table.count == result.frames.count
    return [
        b"".join(content[at : at + length] for at, length in table.fragments(frame))
        for frame in range(table.count)
    ]


# -- encapsulated


def streams(fragments: list[list[bytes]]) -> list[list[bytes]]:
    """Code streams cut into fragments: each begins with SOI and ends with EOI."""
    return [
        [b"\xff\xd8\xff" + parts[0], *parts[1:-1], parts[-1] + b"\xff\xd9"]
        if len(parts) > 1
        else [b"\xff\xd8\xff" + parts[0] + b"\xff\xd9"]
        for parts in fragments
    ]


PART = st.binary(min_size=1, max_size=20).map(lambda raw: b"\1" * (len(raw) + len(raw) % 2))
FRAMES = st.lists(st.lists(PART, min_size=1, max_size=4), min_size=1, max_size=8).map(streams)


def padded(parts: list[bytes]) -> list[bytes]:
    return [part + b"\0" * (len(part) % 2) for part in parts]


@given(FRAMES, st.sampled_from(["table", "none"]))
@settings(max_examples=200, deadline=None)
def test_fragments_go_to_their_frames_as_with_pydicom(frames, how):
    frames = [padded(parts) for parts in frames]
    table = b""
    if how == "table":
        offset = 0
        for parts in frames:
            table += pack("<I", offset)
            offset += sum(len(part) + 8 for part in parts)
    flat = [part for parts in frames for part in parts]
    result, content = scan(encapsulated(*flat, table=table), JPEG, frames=len(frames))
    found = frames_of(result, content)
    assert found == [b"".join(parts) for parts in frames]
    value = encapsulated(*flat, table=table)[12:]
    assert found == list(generate_frames(value, number_of_frames=len(frames)))


@given(st.lists(st.binary(min_size=8, max_size=50), min_size=1, max_size=12), st.integers(1, 3))
@settings(deadline=None)
def test_what_pydicom_encapsulates(frames, per_frame):
    head = pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    end = pack("<HHI", 0xFFFE, 0xE0DD, 0)
    value = encapsulate(frames, fragments_per_frame=per_frame, has_bot=True)
    result, content = scan(head + value + end, J2K, frames=len(frames))
    expected = list(generate_frames(io.BytesIO(value), number_of_frames=len(frames)))
    assert frames_of(result, content) == expected


@given(st.lists(st.binary(min_size=2, max_size=50), min_size=2, max_size=12))
@settings(deadline=None)
def test_extended_offset_table(frames):
    value, offsets, lengths = encapsulate_extended(frames)
    before = element(0x7FE0, 0x0001, "OV", offsets) + element(0x7FE0, 0x0002, "OV", lengths)
    head = pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    end = pack("<HHI", 0xFFFE, 0xE0DD, 0)
    result, content = scan(before + head + value + end, J2K, frames=len(frames))
    assert frames_of(result, content) == padded(frames)
    assert not result.warnings


@pytest.mark.parametrize("frames", [2, 300])
def test_the_extended_offset_table_is_what_tells_frames_apart(frames):
    parts = [b"a1", b"a2", b"b1"] + [b"xx"] * (frames - 2)
    offsets = pack("<QQ", 0, 20) + b"".join(
        pack("<Q", 30 + 10 * number) for number in range(frames - 2)
    )
    before = element(0x7FE0, 0x0001, "OV", offsets)
    result, content = scan(before + encapsulated(*parts), J2K, frames=frames)
    assert frames_of(result, content)[:2] == [b"a1a2", b"b1"]
    assert not result.warnings


def test_fragments_that_cannot_be_told_apart_are_warned_about():
    result, content = scan(encapsulated(b"ab", b"cd", b"ef"), J2K, frames=2)
    assert frames_of(result, content) == [b"ab", b"cdef"]
    assert any("cannot be told" in each for each in result.warnings)


def test_something_else_among_the_fragments_ends_them():
    pixels = encapsulated(b"ab", b"cd", closed=False) + b"garbage!"
    result, content = scan(pixels, J2K, frames=2)
    assert frames_of(result, content) == [b"ab", b"cd"]
    assert any("cut off" in each for each in result.warnings)


def test_an_offset_table_of_absurd_length_is_not_read():
    class Claims(Held):
        def __init__(self, content: bytes) -> None:
            super().__init__(content)
            self.size = len(content) + (1 << 30)

    head = pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    content = part10(encoded(*layout(), identity=True) + head, J2K)
    source = Claims(content + pack("<HHI", 0xFFFE, 0xE000, 1 << 29))
    result = InstanceReader(source).scan()
    assert result.frames is None
    assert source.requested < 1_000_000


def test_one_frame_has_all_fragments_whatever_the_codec():
    for syntax in (JPEG, RLE, J2K):
        result, content = scan(encapsulated(b"ab", b"cd", b"ef"), syntax)
        assert frames_of(result, content) == [b"abcdef"]


def test_neither_table_nor_markers_one_fragment_a_frame():
    result, content = scan(encapsulated(b"ab", b"cd", b"ef"), RLE, frames=3)
    assert frames_of(result, content) == [b"ab", b"cd", b"ef"]


def test_an_item_of_no_length_at_the_end_is_nobodys_frame():
    result, content = scan(encapsulated(b"ab", b"cd", b""), RLE, frames=2)
    assert frames_of(result, content) == [b"ab", b"cd"]
    assert not result.warnings


def test_code_streams_are_told_apart_by_their_end_where_their_start_is_strange():
    result, content = scan(
        encapsulated(b"??", b"a\xff\xd9\0", b"??", b"b\xff\xd9\0"), JPEG, frames=2
    )
    assert frames_of(result, content) == [b"??a\xff\xd9\0", b"??b\xff\xd9\0"]


@pytest.mark.parametrize("start", [b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ", b"\xff\x0a"])
def test_other_code_streams_begin_in_their_own_way(start):
    result, content = scan(encapsulated(start + b"a1", b"a2", start + b"b1", b"b2"), J2K, frames=2)
    assert frames_of(result, content) == [start + b"a1a2", start + b"b1b2"]


def test_a_table_that_does_not_fit_is_not_believed():
    for table in (pack("<II", 0, 11), pack("<II", 10, 0), pack("<II", 10, 20)):
        result, content = scan(encapsulated(b"ab", b"cd", table=table), J2K, frames=2)
        assert frames_of(result, content) == [b"ab", b"cd"]
        assert any("offset table" in each for each in result.warnings)


def test_a_table_of_one_zero_for_many_frames_is_common_and_useless():
    table = pack("<I", 0)
    result, content = scan(encapsulated(b"ab", b"cd", b"ef", table=table), J2K, frames=3)
    assert frames_of(result, content) == [b"ab", b"cd", b"ef"]


def test_fewer_frames_than_promised():
    result, content = scan(encapsulated(b"ab", b"cd"), RLE, frames=5)
    assert frames_of(result, content) == [b"ab", b"cd"]
    assert any("holds 2 frames, Number of Frames says 5" in each for each in result.warnings)


def test_video_is_one_stream():
    result, content = scan(encapsulated(b"ab", b"cd"), MPEG4, frames=250)
    assert frames_of(result, content) == [b"abcd"]
    assert not result.warnings


def test_no_fragments_at_all():
    result, _content = scan(encapsulated(), JPEG)
    assert result.frames is None
    assert result.warnings


def test_a_hundred_thousand_fragments():
    pixels = encapsulated(*[b"\xff\xd8"] * 100_000)
    begun = time.process_time()
    result, content = scan(pixels, JPEG, frames=100_000)
    assert result.frames is not None
    packed = result.frames.to_bytes()
    assert len(packed) < 10_000
    table = FrameTable.from_bytes(packed)
    assert table.count == 100_000
    ((offset, length),) = table.fragments(99_999)
    assert content[offset : offset + length] == b"\xff\xd8"
    assert content[offset + 2 : offset + 6] == b"\xfe\xff\xdd\xe0"
    assert time.process_time() - begun < 5


# -- native


def test_native_frames_are_a_formula():
    pixels = bytes(range(160))
    result, content = scan(element(0x7FE0, 0x0010, "OB", pixels), frames=10)
    assert frames_of(result, content) == [pixels[at : at + 16] for at in range(0, 160, 16)]
    assert result.frames is not None
    assert len(result.frames.to_bytes()) < 40
    assert (
        FrameTable.from_bytes(scan(encapsulated(b"ab"), JPEG)[0].frames.to_bytes()).bit_offset(0)
        == 0
    )
    for wrong in (-1, 10):
        with pytest.raises(IndexError):
            result.frames.fragments(wrong)
        with pytest.raises(IndexError):
            result.frames.bit_offset(wrong)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 20))
@settings(deadline=None)
def test_one_bit_frames_begin_at_bits(rows, columns, count):
    size = rows * columns
    bits = [[(frame + at * at) % 3 == 0 for at in range(size)] for frame in range(count)]
    flat = [bit for frame in bits for bit in frame]
    flat += [False] * (-len(flat) % 16)
    value = bytes(sum(flat[at + bit] << bit for bit in range(8)) for at in range(0, len(flat), 8))
    result, content = scan(
        element(0x7FE0, 0x0010, "OB", value), rows=rows, columns=columns, bits=1, frames=count
    )
    assert result.frames is not None
    for frame in range(count):
        ((offset, length),) = result.frames.fragments(frame)
        skip = result.frames.bit_offset(frame)
        assert length == (skip + size + 7) // 8
        number = int.from_bytes(content[offset : offset + length], "little") >> skip
        assert [bool(number >> at & 1) for at in range(size)] == bits[frame]


@pytest.mark.parametrize(("length", "size"), [(2 * 16 * 2, 32), (2 * 16 * 3, 48)])
def test_ybr_full_422_has_two_samples_a_pixel_unless_the_length_says_three(length, size):
    result, content = scan(
        element(0x7FE0, 0x0010, "OB", bytes(range(length))),
        samples=3,
        frames=2,
        photometric="YBR_FULL_422",
    )
    assert [len(frame) for frame in frames_of(result, content)] == [size, size]
    assert not result.warnings


@pytest.mark.parametrize(("tag", "vr", "bytes_each"), [(8, "OF", 4), (9, "OD", 8)])
def test_float_pixel_data(tag, vr, bytes_each):
    value = bytes(range(16)) * bytes_each * 2
    result, content = scan(element(0x7FE0, tag, vr, value), frames=2, bits=16)
    assert [len(frame) for frame in frames_of(result, content)] == [16 * bytes_each] * 2


def test_too_little_pixel_data_is_warned_about_and_frames_come_short():
    result, content = scan(element(0x7FE0, 0x0010, "OB", b"x" * 24), frames=3)
    assert [len(frame) for frame in frames_of(result, content)] == [16, 8, 0]
    assert any("24 of the 48 bytes" in each for each in result.warnings)
    assert [result.frames.is_cut(frame) for frame in range(3)] == [False, True, True]


def test_pixel_data_without_a_description_has_no_frames():
    result, _content = scan(element(0x7FE0, 0x0010, "OB", b"x" * 16), rows=0)
    assert result.frames is None
    assert any("not described" in each for each in result.warnings)


def test_other_bytes_are_no_frame_table():
    with pytest.raises(ValueError, match="no frame table"):
        FrameTable.from_bytes(b"something else")
