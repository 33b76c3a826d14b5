"""A-ASSOCIATE-RQ as bytes: what must be repaired before a strict reader sees it (PS3.8 9.3.2).

Unknown items and sub-items are ignored (PS3.8 9.3.1), reserved bits of the protocol version are not
tested, and the AE title fields are kept as received, because the answer repeats them. Devices pad
titles and UIDs with NUL or blanks and name their version at length; none of that is a reason to
turn them away.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final

ASSOCIATE_RQ = 0x01
ILLEGIBLE: Final = "?"
"""Stands for an AE title that is blank or not of the default repertoire (PS3.5 6.2)."""
LONGEST_REQUEST = 1024 * 1024

_FIXED_BYTES = 74  # up to the variable items
_TITLES = slice(10, 42)
_TITLE_BYTES = 16
_LONGEST_VERSION_NAME = 16
_ITEM = struct.Struct(">BxH")
_USER_INFORMATION = 0x50
_KNOWN_ITEMS = frozenset({0x10, 0x20, _USER_INFORMATION})
# PS3.7 D.3.3 and PS3.8 D: maximum length, implementation class, asynchronous operations, roles,
# version name, extended and common extended negotiation, user identity.
_KNOWN_SUB_ITEMS = frozenset({0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58})
_TITLE = re.compile(rb"[ !-\[\]-~]*[!-\[\]-~][ !-\[\]-~]*")
_UID = re.compile(rb"[0-9.]{1,64}")


class AssociateRequestError(ValueError):
    """The items do not fill the PDU they are in."""


def repaired(pdu: bytes) -> bytes:
    """The same request without what we have to ignore. Raises AssociateRequestError."""
    if len(pdu) < _FIXED_BYTES:
        raise AssociateRequestError("the request ends before its items")
    items = []
    for kind, value in _items(pdu, _FIXED_BYTES, len(pdu)):
        if kind == _USER_INFORMATION:
            user_information = b"".join(_sub_items(value))
            items.append(_ITEM.pack(kind, len(user_information)) + user_information)
        elif kind in _KNOWN_ITEMS:
            items.append(_ITEM.pack(kind, len(value)) + value)
    version = b"\0\1" if pdu[7] & 1 else pdu[6:8]
    titles = _legible(pdu[10:26]) + _legible(pdu[26:42])
    body = version + pdu[8 : _TITLES.start] + titles + pdu[_TITLES.stop : _FIXED_BYTES]
    body += b"".join(items)
    return struct.pack(">BxI", ASSOCIATE_RQ, len(body)) + body


def _legible(title: bytes) -> bytes:
    """An AE title field padded with blanks, or the mark of one that names nobody.

    What follows a NUL is what a C program had in its buffer.
    """
    text = title.split(b"\0", 1)[0].rstrip(b" ")
    return (text if _TITLE.fullmatch(text) else ILLEGIBLE.encode()).ljust(_TITLE_BYTES)


def _sub_items(user_information: bytes) -> list[bytes]:
    """Those we know, each as it should have been; one that says nothing legible is left out."""
    found = []
    for kind, value in _items(user_information, 0, len(user_information)):
        if kind in _KNOWN_SUB_ITEMS:
            mended = _MENDED[kind](value) if kind in _MENDED else value
            if mended is not None:
                found.append(_ITEM.pack(kind, len(mended)) + mended)
    return found


def _class_uid(value: bytes) -> bytes | None:
    uid = value.rstrip(b"\0 ")
    return uid if _UID.fullmatch(uid) else None


def _version_name(value: bytes) -> bytes | None:
    text = value.strip(b"\0 ")[:_LONGEST_VERSION_NAME]
    return text if _TITLE.fullmatch(text) else None


def _roles(value: bytes) -> bytes:
    """Only 1 proposes a role (PS3.7 D.3.3.4)."""
    return value[:-2] + bytes(int(each == 1) for each in value[-2:])


def _identity(value: bytes) -> bytes | None:
    """Types that PS3.7 D.3.3.7 does not have are those we know nothing of."""
    return value if value[:1] in {b"\1", b"\2", b"\3", b"\4", b"\5"} else None


_MENDED: Final[dict[int, Callable[[bytes], bytes | None]]] = {
    0x52: _class_uid,
    0x54: _roles,
    0x55: _version_name,
    0x58: _identity,
}


def titles_as_received(pdu: bytes) -> bytes:
    """Called and calling AE title fields, 32 bytes, which the A-ASSOCIATE-AC repeats."""
    return pdu[_TITLES]


def with_titles(accept: bytes, titles: bytes) -> bytes:
    """An A-ASSOCIATE-AC with the fields as the request had them (PS3.8 9.3.3)."""
    return accept[: _TITLES.start] + titles + accept[_TITLES.stop :]


def _items(raw: bytes, start: int, end: int) -> list[tuple[int, bytes]]:
    found = []
    while start < end:
        if start + _ITEM.size > end:
            raise AssociateRequestError("an item is cut short")
        kind, length = _ITEM.unpack_from(raw, start)
        start += _ITEM.size
        if start + length > end:
            raise AssociateRequestError("an item is longer than what holds it")
        found.append((kind, raw[start : start + length]))
        start += length
    return found
