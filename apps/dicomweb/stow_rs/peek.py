"""The UIDs near the front of a part, read before it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apps.dicom.element_shapes import ITEM, ITEM_END, SEQUENCE_END
from apps.dicom.reader import InstanceReader
from apps.errors import UnreadableInstance

_SOP_CLASS: Final = 0x00080016
_SOP_INSTANCE: Final = 0x00080018
_STUDY: Final = 0x0020000D
_WANTED: Final = frozenset({_SOP_CLASS, _SOP_INSTANCE, _STUDY})
_DEPTH: Final = {ITEM: 1, ITEM_END: -1, SEQUENCE_END: 0}


@dataclass(frozen=True, slots=True)
class Uids:
    """What a part says it is; empty where its first bytes do not tell."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class _Bytes:
    """The first bytes of a part, as a source for the reader."""

    content: bytes

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.content)

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`, fewer only at the end."""
        return self.content[offset : offset + length]


def uids_in(head: bytes) -> Uids:
    """The UIDs in the first bytes of an instance; the data set counts more than File Meta."""
    found: dict[int, str] = {}
    try:
        reader = InstanceReader(_Bytes(head))
        found = {
            _SOP_CLASS: reader.meta.sop_class_uid,
            _SOP_INSTANCE: reader.meta.sop_instance_uid,
        }
        depth = 0
        for shape, _, _, raw in reader.walk():
            depth += _DEPTH.get(shape.role, 0)
            if depth == 0 and shape.tag in _WANTED and raw:
                found[shape.tag] = raw.decode("latin-1").strip(" \0")
            if depth == 0 and shape.tag >= _STUDY and shape.role not in _DEPTH:
                break
    except UnreadableInstance:
        pass  # cut off here, or not DICOM at all: the indexer says which, with the whole object
    return Uids(found.get(_SOP_CLASS, ""), found.get(_SOP_INSTANCE, ""), found.get(_STUDY, ""))
