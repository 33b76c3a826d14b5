"""Lookup tables of the data set: Modality, VOI and palette ones (PS3.3 C.11, C.7.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from apps.errors import UnsupportedPixels
from apps.rendering.frame_attributes import FrameAttributes, Item, numbers

LUT_DESCRIPTOR: Final = "00283002"
LUT_DATA: Final = "00283006"

_LARGEST: Final = 65536
_DESCRIPTOR_VALUES: Final = 3
_BYTE_BITS: Final = 8
_SIGN_BIT: Final = 0x8000
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


@dataclass(frozen=True)
class LookupTable:
    """Entries for the values from `first` on; values outside take the nearest entry.

    `bits` is how many bits an entry has, so its greatest meaning is 2**bits - 1.
    """

    first: int
    entries: NDArray[np.uint16]
    bits: int

    def apply(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """The entries of the values, which may be of any number type (PS3.3 C.11.2.1.1)."""
        last = len(self.entries) - 1
        if values.dtype.kind == "f":
            values = np.rint(values)
        index = np.clip(values.astype(np.int64) - self.first, 0, last)
        return self.entries[index]


def read_table(
    attributes: FrameAttributes, item: Item, *, signed_input: bool
) -> LookupTable | None:
    """LUT Descriptor and LUT Data of one item; None where they are missing."""
    return _table(attributes, item, LUT_DESCRIPTOR, LUT_DATA, signed_input=signed_input)


def read_palette(attributes: FrameAttributes, *, signed_input: bool) -> list[LookupTable]:
    """Red, green and blue table (PS3.3 C.7.6.3.1.5-6, C.7.9.2); empty where there is none."""
    dataset = attributes.dataset
    found = []
    for color in (1, 2, 3):
        descriptor = f"0028110{color}"
        plain = _table(
            attributes, dataset, descriptor, f"0028120{color}", signed_input=signed_input
        )
        table = plain or _segmented(
            attributes, dataset, descriptor, f"0028122{color}", signed_input=signed_input
        )
        if table is None:
            return []
        found.append(table)
    return found


def _descriptor(item: Item, tag: str, *, signed_input: bool) -> tuple[int, int, int] | None:
    """Number of entries (0 stands for 65536), first value mapped, bits of an entry."""
    values = [int(value) for value in numbers(item, tag)]
    if len(values) != _DESCRIPTOR_VALUES:
        return None
    count, first, bits = values
    # The VR follows Pixel Representation, but is often written as US for signed data.
    if signed_input and first >= _SIGN_BIT:
        first -= _LARGEST
    return (count % _LARGEST) or _LARGEST, first, bits


def _table(
    attributes: FrameAttributes,
    item: Item,
    descriptor_tag: str,
    data_tag: str,
    *,
    signed_input: bool,
) -> LookupTable | None:
    described = _descriptor(item, descriptor_tag, signed_input=signed_input)
    if described is None or data_tag not in item:
        return None
    count, first, bits = described
    entries = _entries(attributes, item, data_tag, count, bits)
    return None if entries is None else LookupTable(first, entries, _true_bits(entries, bits))


def _entries(
    attributes: FrameAttributes, item: Item, data_tag: str, count: int, bits: int
) -> NDArray[np.uint16] | None:
    inline = numbers(item, data_tag)
    if inline:
        words = np.array(inline, dtype=np.int64).astype(np.uint16)
        if bits <= _BYTE_BITS and len(words) == (count + 1) // 2 < count:
            words = words.view(np.uint8).astype(np.uint16)
    else:
        raw = attributes.bytes_of(item, data_tag)
        # Entries of 8 bits are packed two in a word; some writers spend a word on each.
        packed = bits <= _BYTE_BITS and len(raw) < 2 * count
        kind = "u1" if packed else "<u2"
        words = np.frombuffer(raw, dtype=kind, count=len(raw) // np.dtype(kind).itemsize)
        words = words.astype(np.uint16)
    return words[:count] if len(words) else None


def _true_bits(entries: NDArray[np.uint16], bits: int) -> int:
    """The descriptor's bits; more where entries need more, 8 where 16 are claimed for bytes."""
    needed = int(entries.max()).bit_length()
    if needed > bits or not bits:
        return max(needed, 1)
    return _BYTE_BITS if bits > _BYTE_BITS * 2 - 1 and needed <= _BYTE_BITS else bits


def _segmented(
    attributes: FrameAttributes,
    item: Item,
    descriptor_tag: str,
    data_tag: str,
    *,
    signed_input: bool,
) -> LookupTable | None:
    described = _descriptor(item, descriptor_tag, signed_input=signed_input)
    if described is None or data_tag not in item:
        return None
    count, first, bits = described
    raw = attributes.bytes_of(item, data_tag)
    kind = "u1" if bits <= _BYTE_BITS else "<u2"
    words = np.frombuffer(raw, dtype=kind, count=len(raw) // np.dtype(kind).itemsize)
    entries = np.array(expand_segments(words.tolist(), count, bits), dtype=np.uint16)
    if len(entries) < count:
        raise UnsupportedPixels("A segmented palette has fewer entries than it says.")
    return LookupTable(first, entries[:count], bits)


def expand_segments(words: list[int], count: int, bits: int) -> list[int]:
    """Segments of a palette to entries (PS3.3 C.7.9.2): discrete, linear, indirect.

    An indirect segment repeats `length` segments from a byte offset, least significant word first;
    they are discrete or linear ones.
    """
    entries: list[int] = []
    at = 0
    while at + 1 < len(words) and len(entries) < count:
        kind, length = words[at], words[at + 1]
        if kind != _INDIRECT:
            at = _expand_one(words, at, entries)
            continue
        offset = _indirect_offset(words, at, bits)
        for _ in range(length):
            offset = _expand_one(words, offset, entries)
        at += 4 if bits > _BYTE_BITS else 6
    return entries


def _indirect_offset(words: list[int], at: int, bits: int) -> int:
    """Where the referenced segments begin, in words of the table."""
    if bits > _BYTE_BITS:
        least, most = (*words[at + 2 : at + 4], 0, 0)[:2]
        return (least | most << 16) // 2
    parts = (*words[at + 2 : at + 6], 0, 0, 0, 0)[:4]
    return sum(part << 8 * place for place, part in enumerate(parts))


def _expand_one(words: list[int], at: int, entries: list[int]) -> int:
    """Appends the entries of the segment at `at`; returns where the next one begins."""
    if at + 2 >= len(words):
        raise UnsupportedPixels("A segmented palette ends inside a segment.")
    kind, length = words[at], words[at + 1]
    if kind == _DISCRETE:
        entries.extend(words[at + 2 : at + 2 + length])
        return at + 2 + length
    if kind == _LINEAR and entries:
        start, end = entries[-1], words[at + 2]
        entries.extend(
            int(start + (end - start) * step / length + 0.5) for step in range(1, length + 1)
        )
        return at + 3
    raise UnsupportedPixels("A segmented palette has an impossible segment.")
