"""References to instances and what became of them, packed: a thousand to a row."""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from apps.dicom.storage_commitment import Reference

AT_ONCE: Final = 1000
"""References in one row; the last may hold fewer."""


def pack_references(members: Sequence[Reference]) -> bytes:
    """SOP Class and SOP Instance UIDs, compressed."""
    lines = "\n".join(f"{each.sop_class_uid} {each.sop_instance_uid}" for each in members)
    return zlib.compress(lines.encode("latin-1"), 1)


def unpack_references(packed: bytes) -> list[tuple[str, str]]:
    """(SOP Class UID, SOP Instance UID) in the order they were asked."""
    lines = zlib.decompress(packed).decode("latin-1").split("\n")
    pairs = (line.partition(" ") for line in lines)
    return [(sop_class, instance) for sop_class, _, instance in pairs]


def pack_outcomes(failures: Iterable[int]) -> bytes:
    """Failure reasons, 0 for none, two bytes each."""
    numbers = array("H", failures)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def unpack_outcomes(packed: bytes) -> list[int]:
    """The failure reasons, in the order of the references."""
    numbers = array("H", packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def unpacked(packed: bytes, outcomes: bytes) -> Iterator[Reference]:
    """References with what became of them."""
    pairs = zip(unpack_references(packed), unpack_outcomes(outcomes), strict=True)
    return (Reference(*pair, failure) for pair, failure in pairs)


def chunks_without_repetition(asked: Iterable[Reference]) -> Iterator[list[Reference]]:
    """Rows of references; what is named twice is kept once, where it stood first."""
    seen: set[tuple[str, str]] = set()
    fresh = (each for each in asked if _new(seen, (each.sop_class_uid, each.sop_instance_uid)))
    while chunk := list(islice(fresh, AT_ONCE)):
        yield chunk


def _new(seen: set[tuple[str, str]], pair: tuple[str, str]) -> bool:
    before = len(seen)
    seen.add(pair)
    return len(seen) > before
