"""The UIDs near the front of a part, read before it is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from apps.dicom.element_shapes import ITEM, ITEM_END, SEQUENCE_END
from apps.dicom.in_memory import InMemory
from apps.dicom.multipart import Chunk
from apps.dicom.reader import InstanceReader
from apps.errors import UnreadableInstance

_SOP_CLASS: Final = 0x00080016
_SOP_INSTANCE: Final = 0x00080018
_STUDY: Final = 0x0020000D
_SERIES: Final = 0x0020000E
_WANTED: Final = frozenset({_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES})
# Enough to hold File Meta and the UIDs of nearly every object; more is read where it is not.
_HEAD: Final = 64 << 10
_LONGEST_HEAD: Final = 4 << 20
_DEPTH: Final = {ITEM: 1, ITEM_END: -1, SEQUENCE_END: 0}


@dataclass(frozen=True, slots=True)
class Uids:
    """What a part says it is; empty where its first bytes do not tell."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""


def uids_in(head: bytes) -> Uids:
    """The UIDs in the first bytes of an instance; the data set counts more than File Meta."""
    found: dict[int, str] = {}
    try:
        reader = InstanceReader(InMemory(head))
        found = {
            _SOP_CLASS: reader.meta.sop_class_uid,
            _SOP_INSTANCE: reader.meta.sop_instance_uid,
        }
        depth = 0
        for shape, _, _, raw in reader.walk():
            depth += _DEPTH.get(shape.role, 0)
            if depth == 0 and shape.tag in _WANTED and raw:
                found[shape.tag] = raw.decode("latin-1").strip(" \0")
            if depth == 0 and shape.tag >= _SERIES and shape.role not in _DEPTH:
                break
    except UnreadableInstance:
        pass  # cut off here, or not DICOM at all: the indexer says which, with the whole object
    return Uids(*(found.get(tag, "") for tag in (_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES)))


def beginning_of(chunks: Iterator[Chunk], *, wanted: int = _HEAD, begun: bytes = b"") -> bytes:
    """So many first bytes of the part at least, where it has them; `begun` are those at hand."""
    pieces: list[Chunk] = [begun]
    length = len(begun)
    while length < wanted:
        chunk = next(chunks, b"")
        if not chunk:
            break
        pieces.append(chunk)
        length += len(chunk)
    return b"".join(pieces)


def head_of(chunks: Iterator[Chunk]) -> tuple[bytes, Uids]:
    """The first bytes of the part, as many as it takes to read its UIDs."""
    head, wanted = b"", _HEAD
    while True:
        head = beginning_of(chunks, wanted=wanted, begun=head)
        uids = uids_in(head)
        if uids.series_instance_uid or len(head) >= _LONGEST_HEAD or len(head) < wanted:
            return head, uids
        wanted = len(head) * 4
