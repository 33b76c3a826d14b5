"""The streaming multipart reader: what senders do right, and what they are known to do wrong."""

from __future__ import annotations

import io
import random
from uuid import UUID

import pytest

from apps.dicom.multipart import MultipartReader, PartCutOff
from apps.errors import InvalidRequest


class Trickle:
    """Gives few bytes at a time, as a slow connection does."""

    def __init__(self, body: bytes, step: int) -> None:
        self._body, self._step = io.BytesIO(body), step

    def read(self, size: int, /) -> bytes:
        return self._body.read(min(size, self._step))


def parts_of(body: bytes, boundary: str = "edge", step: int = 1 << 20):
    reader = MultipartReader(Trickle(body, step), boundary)
    return [(part.headers, b"".join(part.chunks)) for part in reader]


def body_of(*payloads: bytes, end: bytes = b"\r\n", last: bytes = b"\r\n") -> bytes:
    head = b"Content-Type: application/dicom"
    out = b"".join(b"--edge" + end + head + end + end + each + end for each in payloads)
    return out + b"--edge--" + last


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 1000, 1 << 20])
def test_parts_come_out_whole_however_the_bytes_arrive(step):
    rng = random.Random(step)
    payloads = [rng.randbytes(length) for length in (0, 1, 5, 700, 3000)]
    payloads.append(b"\r\n--edg\r\n--edge2\r\n\r\n--")
    found = parts_of(body_of(*payloads), step=step)
    assert [data for _, data in found] == payloads
    assert found[0][0] == {"content-type": "application/dicom"}


def test_STW_08_missing_final_line_end_is_tolerated():
    assert parts_of(body_of(b"abc", last=b""))[0][1] == b"abc"


def test_STW_08_last_delimiter_without_line_break_is_tolerated():
    body = b"--edge\r\nContent-Type: application/dicom\r\n\r\nabc--edge--"
    assert parts_of(body) == [({"content-type": "application/dicom"}, b"abc")]


@pytest.mark.parametrize("step", [1, 5, 1 << 20])
def test_STW_08_line_feeds_alone_are_tolerated(step):
    assert [data for _, data in parts_of(body_of(b"a\r", b"b\n\n", end=b"\n"), step=step)] == [
        b"a\r",
        b"b\n\n",
    ]


def test_preamble_and_epilogue_are_ignored():
    body = b"This is a multipart message.\r\n" + body_of(b"x") + b"trailing words"
    assert parts_of(body)[0][1] == b"x"


def test_folded_and_mixed_case_headers():
    body = (
        b"--edge\r\nCONTENT-type: application/dicom;\r\n transfer-syntax=1.2\r\n\r\nx\r\n--edge--"
    )
    assert parts_of(body)[0][0] == {"content-type": "application/dicom; transfer-syntax=1.2"}


def test_part_without_headers():
    assert parts_of(b"--edge\r\n\r\nx\r\n--edge--") == [({}, b"x")]


def test_STW_10_complete_parts_are_had_before_a_cut_is_noticed():
    whole = body_of(b"first", b"second")
    found: list[bytes] = []
    parts = (b"".join(part.chunks) for part in MultipartReader(Trickle(whole[:-16], 9), "edge"))
    with pytest.raises(PartCutOff):
        found.extend(parts)
    assert found == [b"first"]


def test_another_boundary_than_announced_is_the_senders_fault():
    with pytest.raises(InvalidRequest):
        parts_of(body_of(b"x"), boundary="another")


def test_a_body_without_parts_has_none():
    assert parts_of(b"--edge--\r\n") == []


def test_STW_08_a_boundary_as_long_as_orthanc_s_is_tolerated():
    boundary = f"{UUID(int=1)}-{UUID(int=2)}"
    body = body_of(b"abc").replace(b"edge", boundary.encode())
    assert [data for _, data in parts_of(body, boundary)] == [b"abc"]


@pytest.mark.parametrize("boundary", ["", "x" * 257])
def test_a_boundary_has_an_end(boundary):
    with pytest.raises(InvalidRequest):
        parts_of(b"", boundary=boundary)


def test_memory_stays_flat_whatever_the_part_holds():
    class Endless:
        sent = 0

        def read(self, size: int, /) -> bytes:
            if self.sent == 0:
                self.sent = 1
                return b"--edge\r\n\r\n"
            if self.sent > 400:
                return b""
            self.sent += 1
            return b"\r" * size

    reader = MultipartReader(Endless(), "edge")
    seen: list[int] = []
    held = (seen.append(len(reader._buffer)) for part in reader for _ in part.chunks)
    with pytest.raises(PartCutOff):
        list(held)
    assert max(seen) < 1 << 20
