"""SOP Class and Instance UID near the front of a data set, without parsing the rest.

(0008,0016) and (0008,0018) are the first things an instance says about itself; this reads up to
them and stops. It decides nothing: what cannot be read is reported as not found, and the indexer
looks at it with more patience.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from apps.dicom.transfer_syntaxes import transfer_syntax

HEAD_BYTES = 64 * 1024

_SOP_CLASS_UID = 0x00080016
_SOP_INSTANCE_UID = 0x00080018
_UNDEFINED = 0xFFFFFFFF
_LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV"}) | frozenset(
    {b"UC", b"UN", b"UR", b"UT", b"UV"}
)
_ITEM_END, _SEQUENCE_END = 0xFFFEE00D, 0xFFFEE0DD
_ITEM_GROUP = 0xFFFE
_MAX_DEPTH = 16
_LONGEST_UID = 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """What the data set says it is; None where it does not say so within the head."""

    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    complete: bool = True  # False: the head ended too early, more bytes may tell


def peek(head: bytes, transfer_syntax_uid: str) -> Identity:
    """Reads the identity from the first bytes of a data set as received; never raises."""
    syntax = transfer_syntax(transfer_syntax_uid)
    if syntax.deflated:
        try:
            head = zlib.decompressobj(-zlib.MAX_WBITS).decompress(head, HEAD_BYTES)
        except zlib.error:
            return Identity()
    return _Walk(head, implicit=syntax.implicit, big_endian=syntax.big_endian).identity()


class _EndOfHeadError(EOFError):
    """More bytes are needed to go on."""


class _NotReadableError(ValueError):
    """These bytes are not a data set in the stated transfer syntax."""


def _ascending(previous: int, tag: int) -> int:
    if tag <= previous:
        raise _NotReadableError
    return tag


class _Walk:
    def __init__(self, head: bytes, *, implicit: bool, big_endian: bool) -> None:
        order = ">" if big_endian else "<"
        self._head = head
        self._implicit = implicit
        self._tag = struct.Struct(order + "HH")
        self._u2 = struct.Struct(order + "H")
        self._u4 = struct.Struct(order + "I")
        self._at = 0

    def identity(self) -> Identity:
        found: dict[int, str] = {}
        complete = True
        previous = 0
        try:
            while self._at < len(self._head):
                tag, length = self._element()
                if tag > _SOP_INSTANCE_UID:
                    break
                previous = _ascending(previous, tag)
                if tag in (_SOP_CLASS_UID, _SOP_INSTANCE_UID):
                    found[tag] = self._uid(length)
                else:
                    self._skip(length, 0)
            else:
                complete = False
        except _EndOfHeadError:
            complete = False
        except _NotReadableError:
            return Identity()
        return Identity(found.get(_SOP_CLASS_UID), found.get(_SOP_INSTANCE_UID), complete)

    def _element(self) -> tuple[int, int]:
        """The tag and length at the cursor, which then stands on the value."""
        group, element = self._unpack(self._tag)
        tag = group << 16 | element
        if self._implicit or group == _ITEM_GROUP:
            return tag, self._unpack(self._u4)[0]
        vr = self._take(2)
        if vr in _LONG_VRS:
            self._take(2)
            return tag, self._unpack(self._u4)[0]
        if not (vr.isalpha() and vr.isupper()):
            raise _NotReadableError
        return tag, self._unpack(self._u2)[0]

    def _skip(self, length: int, depth: int) -> None:
        if length != _UNDEFINED:
            self._take(length)
            return
        if depth > _MAX_DEPTH:
            raise _NotReadableError
        # A sequence (or item) of undefined length: to its own delimiter.
        while True:
            tag, inner = self._element()
            if tag in (_SEQUENCE_END, _ITEM_END):
                return
            self._skip(inner, depth + 1)

    def _uid(self, length: int) -> str:
        if length > _LONGEST_UID:
            raise _NotReadableError
        return self._take(length).decode("latin-1").strip("\0 ")

    def _take(self, length: int) -> bytes:
        if self._at + length > len(self._head):
            raise _EndOfHeadError
        value = self._head[self._at : self._at + length]
        self._at += length
        return value

    def _unpack(self, layout: struct.Struct) -> tuple[int, ...]:
        return layout.unpack(self._take(layout.size))
