"""FrameAttributes: what the DICOM JSON Model says about one frame, from wherever it says it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final

from apps.errors import UnsupportedPixels

BulkData = Callable[[str], bytes]
"""Gives the bytes (little endian) behind a BulkDataURI of the data set."""

_PER_FRAME: Final = "52009230"
_SHARED: Final = "52009229"

Item = Mapping[str, Any]


class FrameAttributes:
    """One frame's view of a data set in DICOM JSON.

    Functional groups of the frame come before shared ones, those before the data set's own
    attributes (PS3.3 C.7.6.16). `frame_number` counts from 1.
    """

    def __init__(
        self, dataset: Item, frame_number: int = 1, bulk_data: BulkData | None = None
    ) -> None:
        self.dataset = dataset
        self._bulk_data = bulk_data
        frames = _values(dataset, _PER_FRAME)
        mine = frames[frame_number - 1] if 0 < frame_number <= len(frames) else None
        shared = _values(dataset, _SHARED)[:1]
        self._groups: list[Item] = [group for group in (mine, *shared) if group]

    def group(self, sequence_tag: str) -> Item:
        """The item of a functional group macro for this frame, else the data set itself."""
        for groups in self._groups:
            items = _values(groups, sequence_tag)
            if items and items[0]:
                item: Item = items[0]
                return item
        return self.dataset

    def bytes_of(self, item: Item, tag: str) -> bytes:
        """An element's bytes in little endian, inline or by its BulkDataURI; empty if absent.

        Raises UnsupportedPixels where the bytes lie outside the data set and nobody can fetch them.
        """
        element = item.get(tag, {})
        if "InlineBinary" in element:
            return base64.b64decode(element["InlineBinary"])
        if "BulkDataURI" in element:
            if self._bulk_data is None:
                raise UnsupportedPixels("A lookup table of this image is not at hand.")
            return self._bulk_data(element["BulkDataURI"])
        return b""


def _values(item: Item, tag: str) -> list[Any]:
    values: list[Any] = item.get(tag, {}).get("Value") or []
    return values


def items(item: Item, sequence_tag: str) -> list[Item]:
    """The items of a sequence; none if it is absent or empty."""
    return [each for each in _values(item, sequence_tag) if each]


def numbers(item: Item, tag: str) -> list[float]:
    """Every value that is a number; DS and IS may stand as text."""
    found = []
    for value in _values(item, tag):
        try:
            found.append(float(value))
        except (TypeError, ValueError):
            continue
    return found


def number(item: Item, tag: str) -> float | None:
    """The first value that is a number."""
    return next(iter(numbers(item, tag)), None)


def integer(item: Item, tag: str) -> int | None:
    """The first number, without what is behind its point."""
    value = number(item, tag)
    return None if value is None else int(value)


def text(item: Item, tag: str) -> str:
    """The first value of a code string, without padding, in capitals."""
    values = _values(item, tag)
    return str(values[0]).strip().upper() if values and values[0] is not None else ""
