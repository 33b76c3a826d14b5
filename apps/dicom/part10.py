"""Preamble and File Meta Information (PS3.10 7.1): written by us, read from anybody.

We never keep a sender's group 0002: what arrived by which door is our own statement, so it can be
trusted later. Files from elsewhere are read tolerantly: no preamble, no File Meta, no group
length, no Transfer Syntax; then the data set's own first bytes decide.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from struct import pack, unpack_from
from typing import Final

from apps.dicom import uids
from apps.dicom.transfer_syntaxes import (
    BY_UID,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from apps.errors import UnreadableInstance

HEAD_LENGTH: Final = 65536
"""Bytes from the start of a file that read_file_meta should be given, if there are so many."""

_PREFIX_END: Final = 132
_LONG_VRS: Final = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
_VRS: Final = _LONG_VRS | frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN"}
    | {b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
_STRAY_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Provenance:
    """How an object came to us; times are ISO 8601 UTC, empty text where something is unknown.

    `source_ae_title` is the name of a DICOMweb archive where the object was fetched from one.
    """

    door: str
    source_ae_title: str = ""
    receiving_ae_title: str = ""
    source_address: str = ""
    received_at: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What stands before the data set, or had to be guessed where nothing does.

    `dataset_offset` is where the data set begins in the file, in bytes. `transfer_syntax_uid` is
    never empty. `warnings` are plain sentences about what was missing or odd.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset_offset: int
    provenance: Provenance | None = None
    has_preamble: bool = True
    source_ae_title: str = ""
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    warnings: tuple[str, ...] = ()


def file_meta(
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    provenance: Provenance | None,
) -> bytes:
    """128 bytes of preamble, `DICM` and group 0002 in Explicit VR Little Endian (PS3.10 7.1).

    UIDs are written as given, also bad ones. The provenance travels twice: as AE titles in
    (0002,0016) to (0002,0018) for others, and whole, as JSON, in (0002,0102) for ourselves.
    """
    elements = [
        _long(0x0001, b"OB", b"\x00\x01"),
        _short(0x0002, b"UI", _uid(sop_class_uid)),
        _short(0x0003, b"UI", _uid(sop_instance_uid)),
        _short(0x0010, b"UI", _uid(transfer_syntax_uid)),
        _short(0x0012, b"UI", _uid(uids.IMPLEMENTATION_CLASS_UID)),
        _short(0x0013, b"SH", _text(uids.IMPLEMENTATION_VERSION_NAME)),
    ]
    if provenance is not None:
        elements += _provenance_elements(provenance)
    group = b"".join(elements)
    return b"\0" * 128 + b"DICM" + _short(0x0000, b"UL", pack("<I", len(group))) + group


# The name of a DICOMweb archive may be longer: half of it would be somebody else's title.
_LONGEST_TITLE: Final = 16


def _provenance_elements(provenance: Provenance) -> list[bytes]:
    titles = [
        (0x0016, provenance.source_ae_title),
        (0x0017, provenance.source_ae_title),
        (0x0018, provenance.receiving_ae_title),
    ]
    elements = [
        _short(element, b"AE", _text(title.strip()))
        for element, title in titles
        if title.strip().isascii() and 0 < len(title.strip()) <= _LONGEST_TITLE
    ]
    private = json.dumps(
        {name: value for name in _KEPT if (value := getattr(provenance, name))}, ensure_ascii=True
    )
    elements.append(_short(0x0100, b"UI", _uid(uids.PRIVATE_INFORMATION_CREATOR_UID)))
    elements.append(_long(0x0102, b"OB", _text(private)))
    return elements


_KEPT: Final = tuple(each.name for each in fields(Provenance))


def _uid(value: str) -> bytes:
    raw = value.encode("latin-1", "replace")
    return raw + b"\0" * (len(raw) % 2)


def _text(value: str) -> bytes:
    raw = value.encode("ascii")
    return raw + b" " * (len(raw) % 2)


def _short(element: int, vr: bytes, value: bytes) -> bytes:
    return pack("<HH2sH", 2, element, vr, len(value)) + value


def _long(element: int, vr: bytes, value: bytes) -> bytes:
    return pack("<HH2sHI", 2, element, vr, 0, len(value)) + value


def read_file_meta(head: bytes) -> FileMeta:
    """Reads group 0002 from the first HEAD_LENGTH bytes of a file (all of it if it is shorter).

    Raises UnreadableInstance when these are not the first bytes of a DICOM object at all.
    """
    warnings: list[str] = []
    start, has_preamble = _start(head, warnings)
    values, offset = _group_0002(head, start)
    if not values:
        warnings.append("The file has no File Meta Information (group 0002).")
        offset = _after_stray_bytes(head, offset, warnings)
    transfer_syntax_uid = _ui(values.get(0x0010, b""))
    guessed = looks_like(head, offset)
    if not transfer_syntax_uid:
        transfer_syntax_uid = guessed
        if values:
            warnings.append("The File Meta Information names no Transfer Syntax.")
            transfer_syntax_uid = guessed or IMPLICIT_VR_LITTLE_ENDIAN
    return FileMeta(
        sop_class_uid=_ui(values.get(0x0002, b"")),
        sop_instance_uid=_ui(values.get(0x0003, b"")),
        transfer_syntax_uid=_checked(transfer_syntax_uid, guessed, warnings),
        dataset_offset=offset,
        provenance=_read_provenance(values),
        has_preamble=has_preamble,
        source_ae_title=values.get(0x0016, b"").decode("latin-1").strip(" \0"),
        implementation_class_uid=_ui(values.get(0x0012, b"")),
        implementation_version_name=values.get(0x0013, b"").decode("latin-1").strip(" \0"),
        warnings=tuple(warnings),
    )


def _start(head: bytes, warnings: list[str]) -> tuple[int, bool]:
    """Where group 0002 or the data set begins, and whether a preamble stands before it."""
    if head[128:_PREFIX_END] == b"DICM":
        group_follows = head[_PREFIX_END : _PREFIX_END + 2] == b"\x02\0"
        if group_follows or not looks_like(head, 0):
            return _PREFIX_END, True
    if head[:4] == b"DICM":
        warnings.append("The file begins with DICM, without the 128 bytes before it.")
        return 4, False
    warnings.append("The file has no preamble.")
    return 0, False


def _group_0002(head: bytes, offset: int) -> tuple[dict[int, bytes], int]:
    """The elements of group 0002 by element number, and the offset after the last of them.

    The group length is not believed: the group ends where another group begins.
    """
    values: dict[int, bytes] = {}
    while head[offset : offset + 2] == b"\x02\0" and offset + 8 <= len(head):
        element, vr, length = unpack_from("<H2sH", head, offset + 2)
        at = offset + 8
        if vr in _LONG_VRS and offset + 12 <= len(head):
            length = unpack_from("<I", head, at)[0]
            at += 4
        elif vr not in _VRS:  # implicit VR in the File Meta Information: wrong, and seen
            length = unpack_from("<I", head, offset + 4)[0]
        if at + length > len(head):
            raise UnreadableInstance(
                "The File Meta Information is cut off or far too long.",
                detail=f"(0002,{element:04X}) of {length} bytes at offset {offset}",
            )
        values[element] = head[at : at + length]
        offset = at + length
    return values, offset


def _after_stray_bytes(head: bytes, offset: int, warnings: list[str]) -> int:
    """Where the first element begins where no File Meta stands before it."""
    for stray in range(_STRAY_BYTES):
        if looks_like(head, offset + stray):
            if stray:
                warnings.append(f"{stray} stray bytes stand before the first element.")
            return offset + stray
    return offset


def looks_like(head: bytes, offset: int) -> str:
    """The UID of the plain Transfer Syntax an element at `offset` is encoded in, or "".

    The first element of a data set has a low group, 0x0008 nearly always, so the byte order shows;
    explicit VR shows in two known letters.
    """
    if offset + 8 > len(head):
        return ""
    group, element = unpack_from("<HH", head, offset)
    if group in (0x0008, 0x0004, 0x0010) and element < _HIGHEST_FIRST_ELEMENT:
        if head[offset + 4 : offset + 6] in _VRS:
            return EXPLICIT_VR_LITTLE_ENDIAN
        length = unpack_from("<I", head, offset + 4)[0]
        return IMPLICIT_VR_LITTLE_ENDIAN if length < _LONGEST_FIRST_VALUE else ""
    group, element = unpack_from(">HH", head, offset)
    if (
        group in (0x0008, 0x0004, 0x0010)
        and element < _HIGHEST_FIRST_ELEMENT
        and head[offset + 4 : offset + 6] in _VRS
    ):
        return EXPLICIT_VR_BIG_ENDIAN
    return ""


_HIGHEST_FIRST_ELEMENT: Final = 0x2000
_LONGEST_FIRST_VALUE: Final = 0x10000


def _checked(stated: str, guessed: str, warnings: list[str]) -> str:
    """The stated Transfer Syntax, unless the data set plainly is encoded in another way."""
    if not stated:
        raise UnreadableInstance("This is not a DICOM object: it does not begin like a data set.")
    row = BY_UID.get(stated)
    if not guessed or guessed == stated or row is None or row.deflated:
        return stated
    told = (row.implicit, row.big_endian)
    seen = BY_UID[guessed]
    if told == (seen.implicit, seen.big_endian):
        return stated
    if row.encapsulated:
        return stated  # the elements are read as they are; the frames are as stated
    warnings.append(f"The File Meta Information says {row.name}, the data set is {seen.name}.")
    return guessed


def _ui(raw: bytes) -> str:
    return raw.decode("latin-1").strip(" \0")


def _read_provenance(values: dict[int, bytes]) -> Provenance | None:
    if _ui(values.get(0x0100, b"")) != uids.PRIVATE_INFORMATION_CREATOR_UID:
        return None
    try:
        stated = json.loads(values.get(0x0102, b"").decode())
    except ValueError:
        return None
    if not isinstance(stated, dict):
        return None
    texts = {key: str(value) for key, value in stated.items() if key in _KEPT}
    return Provenance(**{"door": "", **texts})
