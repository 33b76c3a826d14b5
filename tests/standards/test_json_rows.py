"""DICOM JSON arrays read as a stream: all of it, however it comes, in flat memory."""

from __future__ import annotations

import io
import json
import tracemalloc
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.dicom.json_rows import LONGEST_ROW, rows_of
from apps.errors import InvalidRequest

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class Chunks:
    """A body that comes in pieces."""

    def __init__(self, body: bytes, size: int) -> None:
        self._file, self._size = io.BytesIO(body), size

    def read(self, size: int, /) -> bytes:
        return self._file.read(min(size, self._size))


@settings(max_examples=50)
@given(
    st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=6),
    st.integers(1, 40),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_what_was_written_is_read_in_whatever_pieces_it_comes(
    rows: list[dict[str, Any]], size: int, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(rows, ensure_ascii=ascii_only, indent=indent)
    body = text.encode("utf-8", "surrogatepass")
    assert list(rows_of(Chunks(body, size))) == rows


@pytest.mark.parametrize(
    ("body", "words", "before"),
    [
        (b'{"00080018": {}}', "no array", 0),
        (b'[{"a": 1}, 2]', "something else than objects", 1),
        (b'[{"a": 1} {"b": 2}]', "no JSON", 1),
        (b'[{"a": 1}', "ends too early", 1),
        (b"[", "ends too early", 0),
        (b'[{"a": 1}, ', "ends too early", 1),
        (b'[{"a": 1}, {"b": ', "no JSON", 1),
        (b'[{"a": "\xff"}]', "no UTF-8", 0),
        (b'[{"a": ' + b"[" * 200_000, "nested without end", 0),
        (b'[{"a": "' + b"x" * 4 * LONGEST_ROW, "too long", 0),
        (b"<html>", "no array", 0),
        (b"[] []", "goes on after its end", 0),
        (b'[{"a": 1}]\n<html>', "goes on after its end", 1),
    ],
)
def test_what_is_no_array_of_objects_is_said(body: bytes, words: str, before: int) -> None:
    rows = rows_of(Chunks(body, 1 << 20))
    assert len(list(islice(rows, before))) == before
    with pytest.raises(InvalidRequest, match=words):
        next(rows)


@pytest.mark.parametrize("body", [b"", b"  \n", b"[]", b" [ ] "])
def test_nothing_is_nothing(body: bytes) -> None:
    assert list(rows_of(Chunks(body, 3))) == []


class Endless:
    """An array of objects as hostile as they come: as many empty ones as fit into each."""

    def __init__(self, length: int) -> None:
        row = b'{"a":[' + b"{}," * (LONGEST_ROW // 3 - 100) + b"{}]},"
        self._row, self._left, self._first = row, length, True

    def read(self, _size: int, /) -> bytes:
        if self._left <= 0:
            return b""
        self._left -= len(self._row)
        first, self._first = self._first, False
        return b"[" + self._row if first else self._row


def test_memory_stays_flat_whatever_the_length() -> None:
    """4 MiB of them would make more than 100 MB of objects at once."""
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest):
            for _ in rows_of(Endless(4 << 20)):
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20
