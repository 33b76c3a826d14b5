"""A-ASSOCIATE-RQ as bytes: what must be repaired before a strict reader sees it (PS3.8 9.3.2).

Unknown items and sub-items are ignored (PS3.8 9.3.1), reserved bits of the protocol version are not
tested, and the AE title fields are kept as received, because the answer repeats them.
"""

from __future__ import annotations

import struct

ASSOCIATE_RQ = 0x01
LONGEST_REQUEST = 1024 * 1024

_FIXED_BYTES = 74  # up to the variable items
_TITLES = slice(10, 42)
_ITEM = struct.Struct(">BxH")
_USER_INFORMATION = 0x50
_KNOWN_ITEMS = frozenset({0x10, 0x20, _USER_INFORMATION})
# PS3.7 D.3.3 and PS3.8 D: maximum length, implementation class, asynchronous operations, roles,
# version name, extended and common extended negotiation, user identity.
_KNOWN_SUB_ITEMS = frozenset({0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58})


class AssociateRequestError(ValueError):
    """The items do not fill the PDU they are in."""


def repaired(pdu: bytes) -> bytes:
    """The same request without what we have to ignore. Raises AssociateRequestError."""
    if len(pdu) < _FIXED_BYTES:
        raise AssociateRequestError("the request ends before its items")
    items = []
    for kind, value in _items(pdu, _FIXED_BYTES, len(pdu)):
        if kind == _USER_INFORMATION:
            sub_items = [
                _ITEM.pack(sub_kind, len(sub_value)) + sub_value
                for sub_kind, sub_value in _items(value, 0, len(value))
                if sub_kind in _KNOWN_SUB_ITEMS
            ]
            user_information = b"".join(sub_items)
            items.append(_ITEM.pack(kind, len(user_information)) + user_information)
        elif kind in _KNOWN_ITEMS:
            items.append(_ITEM.pack(kind, len(value)) + value)
    version = b"\0\1" if pdu[7] & 1 else pdu[6:8]
    body = version + pdu[8:_FIXED_BYTES] + b"".join(items)
    return struct.pack(">BxI", ASSOCIATE_RQ, len(body)) + body


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
