"""A scan that leans on what the series showed before gives what a scan on its own gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.dicom.elements import ElementWalk
from apps.dicom.passages import PassageMemory
from apps.dicom.reader import InstanceReader
from apps.errors import UnreadableInstance
from tests.builders import ct_slice
from tests.builders import part10 as built
from tests.standards.datasets import IDENTITY, element, encapsulated, part10
from tests.standards.sources import Held

IMPLICIT = "1.2.840.10008.1.2"
NESTED = [element(8, 0x104, "LO", b"Kopf"), element(8, 5, "CS", b"ISO_IR 192")]
Row = tuple[int, int, str, bytes | list[bytes]]

# What an element may be in one instance of the series and another; None: it is not there.
VARIANTS: dict[tuple[int, int], list[Row | None]] = {
    (8, 0): [None, (8, 0, "UL", pack("<I", 90))],
    (8, 5): [(8, 5, "CS", b"ISO_IR 100"), None, (8, 5, "CS", b"ISO_IR 144")],
    (8, 0x20): [(8, 0x20, "DA", b"20240101"), (8, 0x20, "DA", b"20240102")],
    (8, 0x60): [(8, 0x60, "CS", b"CT")],
    (8, 0x1030): [(8, 0x1030, "LO", "Schädel".encode("latin-1"))],
    (8, 0x1140): [
        (8, 0x1140, "SQ", [NESTED[0], NESTED[1] + NESTED[0]]),
        (8, 0x1140, "SQ", [NESTED[0]]),
        (8, 0x1140, "SQ", []),
    ],
    (9, 0x10): [(9, 0x10, "LO", b"GEMS_IDEN_01"), (9, 0x10, "LO", b"Nobody"), None],
    (9, 0x1002): [(9, 0x1002, "UN", b"abcd"), None],
    (0x10, 0x10): [(0x10, 0x10, "PN", "Müller^Anna".encode("latin-1"))],
    (0x10, 0x20): [(0x10, 0x20, "LO", b"4711")],
    (0x18, 0x50): [(0x18, 0x50, "DS", b"1.50"), (0x18, 0x50, "DS", b"thin")],
    (0x20, 0x13): [(0x20, 0x13, "IS", str(number).encode()) for number in range(4)],
    (0x20, 0x4000): [(0x20, 0x4000, "LT", b"remark " * 300), None],
    (0x28, 0x103): [(0x28, 0x103, "US", b"\0\0"), (0x28, 0x103, "US", b"\1\0")],
    (0x28, 0x106): [(0x28, 0x106, "US", b"\xff\xff")],
    (0x29, 0x1010): [(0x29, 0x1010, "OB", bytes(2000)), (0x29, 0x1010, "OB", bytes(1998) + b"ab")],
    (0x40, 0x275): [(0x40, 0x275, "SQ", [element(0x28, 0x106, "US", b"\xff\xff")])],
}
PLACES = list(VARIANTS)
CHOICES = st.lists(st.integers(0, 9), min_size=len(PLACES), max_size=len(PLACES))


def instance(
    number: int, choices: Sequence[int], *, implicit: bool, undefined: bool, swapped: int, cut: int
) -> bytes:
    rows: list[Row] = [row for row in IDENTITY if row[1] != 0x18]
    rows.append((8, 0x18, "UI", f"2.25.{number}".encode()))
    for place, choice in zip(PLACES, choices, strict=True):
        variants = VARIANTS[place]
        row = variants[choice if choice < len(variants) else 0]
        if row is not None:
            rows.append(row)
    rows.sort(key=lambda row: row[:2])
    if swapped < len(rows) - 1:
        rows[swapped], rows[swapped + 1] = rows[swapped + 1], rows[swapped]
    parts = [element(*row, implicit=implicit, undefined=undefined) for row in rows]
    data = b"".join(parts) + (b"" if implicit else encapsulated(b"frame one!"))
    return part10(data[: len(data) - cut], IMPLICIT if implicit else "1.2.840.10008.1.2.1")


def scanned(content: bytes, memory: PassageMemory | None = None) -> tuple[object, ...] | str:
    """Everything a scan gives, comparable."""
    try:
        scan = InstanceReader(Held(content)).scan(memory)
    except UnreadableInstance as error:
        return error.message
    frames = None if scan.frames is None else scan.frames.to_bytes()
    return replace(scan, frames=None), frames


@settings(deadline=None, max_examples=100)
@given(
    st.booleans(),
    st.booleans(),
    st.lists(
        st.tuples(
            st.one_of(st.just([0] * len(PLACES)), CHOICES),
            st.sampled_from([99, 99, 99, 0, 3, 9]),
            st.sampled_from([0, 0, 0, 0, 7, 60]),
        ),
        min_size=4,
        max_size=12,
    ),
)
def test_no_history_of_a_series_changes_what_a_scan_gives(implicit, undefined, history):
    memory = PassageMemory()
    for number, (choices, swapped, cut) in enumerate(history):
        content = instance(
            number, choices, implicit=implicit, undefined=undefined, swapped=swapped, cut=cut
        )
        assert scanned(content, memory) == scanned(content)


def a_series(count: int) -> list[bytes]:
    return [
        built(ct_slice(study="2.25.7", series="2.25.8", number=number, size=8))
        for number in range(count)
    ]


def test_after_two_lessons_only_what_differs_is_read():
    memory = PassageMemory()
    slices = a_series(8)
    for content in slices[:3]:
        InstanceReader(Held(content)).scan(memory)
    series = memory.series_in(slices[0])
    assert series is not None
    assert not series.lesson_due
    known = sum(len(each.tags) for each in series.starts.values())
    members = b"".join(InstanceReader(Held(slices[4])).scan().json).count(b'"vr"')
    assert known > members * 2 / 3
    for content in slices[3:]:
        assert scanned(content, memory) == scanned(content)
    assert not series.lesson_due, "an instance had more of its own than the lessons showed"


def test_an_instance_like_the_others_is_not_walked(monkeypatch):
    memory = PassageMemory()
    slices = a_series(8)
    alone = [scanned(content) for content in slices]
    for content in slices[:3]:
        scanned(content, memory)

    def walk(self: InstanceReader) -> ElementWalk:
        raise AssertionError("walked")

    monkeypatch.setattr(InstanceReader, "walk", walk)
    assert [scanned(content, memory) for content in slices[3:]] == alone[3:]
    with pytest.raises(AssertionError, match="walked"):
        scanned(slices[3][:-1], memory)


LIKE_OTHERS = {
    "native": a_series(4),
    "implicit": [
        instance(number, [0] * len(PLACES), implicit=True, undefined=False, swapped=99, cut=0)
        for number in range(4)
    ],
    "encapsulated": [
        instance(number, [0] * len(PLACES), implicit=False, undefined=True, swapped=99, cut=0)
        for number in range(4)
    ],
}


@pytest.mark.parametrize("kind", LIKE_OTHERS)
@settings(deadline=None, max_examples=150)
@given(st.data())
def test_whatever_happens_to_the_bytes_of_one_like_the_others(kind, data):
    """Changed, left out or put in anywhere: it scans as it does on its own."""
    memory = PassageMemory()
    *before, last = LIKE_OTHERS[kind]
    for content in before:
        scanned(content, memory)
    series = memory.series_in(last)
    assert series is not None
    assert series.layout is not None
    for _ in range(3):
        at = data.draw(st.integers(132, min(len(last) - 1, 1500)))
        gone = data.draw(st.sampled_from([0, 1, 1, 2, 8]))
        put = data.draw(
            st.binary(max_size=2) | st.sampled_from([b"\0\0", b"\xff\xff", b"\\", b"1"])
        )
        assert scanned(last[:at] + put + last[at + gone :], memory) == scanned(
            last[:at] + put + last[at + gone :]
        )


def test_a_series_of_one_instance_costs_no_lesson():
    memory = PassageMemory()
    for number in range(40):
        content = built(ct_slice(study="2.25.7", series=f"2.25.9{number}", number=1, size=8))
        InstanceReader(Held(content)).scan(memory)
        assert memory.series_in(content) is not None, "seen twice now"
    assert len(memory._series) <= 32


def test_what_is_too_long_to_be_learnt_is_not_kept():
    memory = PassageMemory()
    rows = [row for row in IDENTITY if row[1] != 0x18]
    long = (0x40, 0xA160, "UT", b"long " * 40_000)
    for number in range(4):
        own = (8, 0x18, "UI", f"2.25.{number}".encode())
        data = b"".join(element(*row) for row in sorted([*rows, own, long], key=lambda r: r[:2]))
        content = part10(data)
        assert scanned(content, memory) == scanned(content)
    series = memory.series_in(content)
    assert series is not None
    assert series.layout is None
    assert sum(len(each.member) for each in series._elements.values()) < 10_000


def test_a_series_that_never_repeats_itself_is_given_up():
    memory = PassageMemory()
    for number in range(20):
        choices = [number % 2] * len(PLACES)
        content = instance(number, choices, implicit=False, undefined=False, swapped=99, cut=0)
        assert scanned(content, memory) == scanned(content)
    series = memory.series_in(content)
    assert series is not None
    assert not series.lesson_due


def test_every_series_of_the_corpus_scans_the_same(corpus: Path):
    memory = PassageMemory()
    found = 0
    for path in sorted((corpus / "dicom").glob("*/*.dcm")) * 2:
        content = path.read_bytes()
        if scanned(content, memory) != scanned(content):
            pytest.fail(f"{path.name} scans differently with what its series showed")
        found += 1
    assert found > 100
