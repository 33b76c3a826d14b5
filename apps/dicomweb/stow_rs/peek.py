"""The UIDs near the front of a part, read before it is stored."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from apps.dicom.part10 import file_meta, read_file_meta
from apps.dicom.reader import InstanceReader
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from apps.errors import UnreadableInstance

_SOP_CLASS: Final = 0x00080016
_SOP_INSTANCE: Final = 0x00080018
_STUDY: Final = 0x0020000D
_MOST_INFLATED: Final = 8 << 20


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
    """The UIDs in the first bytes of an instance; those of the data set before those of File Meta."""
    found: dict[int, str] = {}
    try:
        meta = read_file_meta(head)
        found = {_SOP_CLASS: meta.sop_class_uid, _SOP_INSTANCE: meta.sop_instance_uid}
        if transfer_syntax(meta.transfer_syntax_uid).deflated:
            head = _inflated(head, meta.dataset_offset)
        for element in InstanceReader(_Bytes(head)).elements():
            if element.depth == 0 and element.tag in {_SOP_CLASS, _SOP_INSTANCE, _STUDY}:
                found[element.tag] = element.value.strip(" \0")
            if element.depth == 0 and element.tag >= _STUDY:
                break
    except UnreadableInstance:
        pass  # cut off here, or not DICOM at all: the indexer says which, with the whole object
    return Uids(found.get(_SOP_CLASS, ""), found.get(_SOP_INSTANCE, ""), found.get(_STUDY, ""))


def _inflated(head: bytes, dataset_offset: int) -> bytes:
    try:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        dataset = inflater.decompress(head[dataset_offset:], _MOST_INFLATED)
    except zlib.error:
        raise UnreadableInstance("The deflated data set is damaged.") from None
    plain = file_meta(
        sop_class_uid="",
        sop_instance_uid="",
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
        provenance=None,
    )
    return plain + dataset
