"""The values of an object that its DICOM JSON leaves behind a BulkDataURI, where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from apps.dicom.element_shapes import ITEM, ITEM_END, SEQUENCE, SEQUENCE_END
from apps.dicom.elements import BULK_LIMIT, ElementWalk
from apps.dicom.json_model import skipped
from apps.dicom.scanning import JSON_BUDGET


@dataclass(frozen=True, slots=True)
class BulkElement:
    """Path as in the URI, offset in the reader's `data`, length in bytes and VR of one value.

    The length of an `encapsulated` value includes its items and their headers.
    """

    path: tuple[str, ...]
    offset: int
    length: int
    vr: str
    encapsulated: bool = False


def bulk_elements(walk: ElementWalk) -> Iterator[BulkElement]:
    """Those of one pass, in the order of the data set: the same that a scan gives a BulkDataURI."""
    around: list[tuple[int, int]] = []  # the sequences around, with the number of the present item
    budget = JSON_BUDGET
    for shape, offset, length, raw in walk:
        if shape.role == ITEM:
            around[-1] = (around[-1][0], around[-1][1] + 1)
        elif shape.role == SEQUENCE_END:
            around.pop()
        elif shape.role == SEQUENCE:
            around.append((shape.tag, 0))
        elif shape.role != ITEM_END and length and not skipped(shape.tag):
            if raw is not None and length <= BULK_LIMIT:
                continue
            if raw is not None and length <= budget:
                budget -= length
                continue
            segments = [f"{tag:08X}/{number}" for tag, number in around]
            path = tuple("/".join((*segments, f"{shape.tag:08X}")).split("/"))
            whole = walk.position - offset if length < 0 else length
            yield BulkElement(path, offset, whole, shape.vr, length < 0)
