"""Storage Commitment Push Model: its UIDs, codes and data sets (PS3.4 J.3, PS3.3 C.14).

Data sets are read and written item by item: a request for 100,000 instances is 12 MB of bytes and
would be half a gigabyte of objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from struct import pack
from typing import Final

from apps.dicom.element_shapes import ITEM, ITEM_END, SEQUENCE, SEQUENCE_END, Encoding
from apps.dicom.elements import ElementWalk
from apps.dicom.in_memory import InMemory
from apps.errors import InvalidRequest

PUSH_MODEL_CLASS: Final = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
REQUEST_ACTION: Final = 1
ALL_COMMITTED: Final = 1
FAILURES_EXIST: Final = 2
LONGEST_UID: Final = 64

_RETRIEVE_AE_TITLE: Final = 0x00080054
_REFERENCED_SOP_CLASS_UID: Final = 0x00081150
_REFERENCED_SOP_INSTANCE_UID: Final = 0x00081155
_TRANSACTION_UID: Final = 0x00081195
_FAILURE_REASON: Final = 0x00081197
_FAILED_SEQUENCE: Final = 0x00081198
_REFERENCED_SEQUENCE: Final = 0x00081199


class FailureReason(IntEnum):
    """Values of Failure Reason (0008,1197) for storage commitment (PS3.3 C.14.1.1)."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_TRANSACTION = 0x0131
    RESOURCE_LIMITATION = 0x0213


IN_WORDS: Final[dict[int, str]] = {
    FailureReason.PROCESSING_FAILURE: "the stored bytes are not as they were received",
    FailureReason.NO_SUCH_INSTANCE: "no such instance is stored",
    FailureReason.CLASS_INSTANCE_CONFLICT: "stored with another SOP Class",
    FailureReason.CLASS_NOT_SUPPORTED: "the SOP Class is not one that is stored",
    FailureReason.DUPLICATE_TRANSACTION: "the Transaction UID is in use",
    FailureReason.RESOURCE_LIMITATION: "the storage did not answer",
}
"""What each reason means, for people."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One item of a Referenced or Failed SOP Sequence; `failure` is 0 in the former."""

    sop_class_uid: str
    sop_instance_uid: str
    failure: int = 0


def transaction_uid(data: bytes, encoding: Encoding) -> str:
    """Transaction UID (0008,1195) of an Action or Event Information; "" where it has none."""
    depth = 0
    for shape, _, _, raw in ElementWalk(InMemory(data), 0, encoding):
        depth += _step(shape.role)
        if not depth and shape.tag == _TRANSACTION_UID:
            return _uid(raw)
    return ""


def references(data: bytes, encoding: Encoding) -> Iterator[Reference]:
    """The items of both sequences, in the order they stand in; other sequences are passed over.

    Raises InvalidRequest for an item without its UIDs and for bytes that end too early.
    """
    walk = ElementWalk(InMemory(data), 0, encoding)
    inside, depth = 0, 0
    item: dict[int, bytes] = {}
    for shape, _, _, raw in walk:
        role = shape.role
        depth += _step(role)
        if role == SEQUENCE and depth == _IN_SEQUENCE:
            inside = shape.tag
        elif role == ITEM and depth == _IN_ITEM:
            item = {}
        elif role == ITEM_END and depth == _IN_SEQUENCE:
            if inside in (_REFERENCED_SEQUENCE, _FAILED_SEQUENCE):
                yield _reference(item, failed=inside == _FAILED_SEQUENCE)
        elif depth == _IN_ITEM and raw is not None:
            item[shape.tag] = raw
    if walk.truncated_in is not None:
        raise InvalidRequest("The data set ends too early.", offending=("00081199",))


_IN_SEQUENCE, _IN_ITEM = 1, 2  # depths


def _step(role: int) -> int:
    if role in (SEQUENCE, ITEM):
        return 1
    return -1 if role in (SEQUENCE_END, ITEM_END) else 0


def _reference(item: dict[int, bytes], *, failed: bool) -> Reference:
    sop_class = _uid(item.get(_REFERENCED_SOP_CLASS_UID))
    instance = _uid(item.get(_REFERENCED_SOP_INSTANCE_UID))
    if not sop_class or not instance or max(len(sop_class), len(instance)) > LONGEST_UID:
        raise InvalidRequest("An item lacks a usable SOP Class or SOP Instance UID.")
    raw = item.get(_FAILURE_REASON, b"")
    reason = int.from_bytes(raw[:2], "little") if failed else 0
    return Reference(sop_class, instance, (reason or FailureReason.PROCESSING_FAILURE) * failed)


def _uid(raw: bytes | None) -> str:
    return (raw or b"").decode("latin-1").strip(" \0")


# --- writing: Little Endian, explicit or implicit VR ----------------------------------------------


def action_information(transaction: str, wanted: Iterable[Reference], *, implicit: bool) -> bytes:
    """Action Information of a request (PS3.4 table J.3-1)."""
    head = _element(_TRANSACTION_UID, b"UI", _padded(transaction, b"\0"), implicit=implicit)
    items = b"".join(_item(each, implicit=implicit) for each in wanted)
    return head + _sequence(_REFERENCED_SEQUENCE, items, implicit=implicit)


def event_information(
    transaction: str, retrieve_ae_title: str, outcomes: Iterable[Reference], *, implicit: bool
) -> bytes:
    """Event Information of a report (PS3.4 table J.3-2).

    Each outcome goes to exactly one of the two sequences; one without items is left out. Retrieve
    AE Title stands outside of the sequences, so never in their items.
    """
    good, failed = bytearray(), bytearray()
    for each in outcomes:
        (failed if each.failure else good).extend(_item(each, implicit=implicit))
    parts = [
        _element(_RETRIEVE_AE_TITLE, b"AE", _padded(retrieve_ae_title, b" "), implicit=implicit),
        _element(_TRANSACTION_UID, b"UI", _padded(transaction, b"\0"), implicit=implicit),
    ]
    if failed:
        parts.append(_sequence(_FAILED_SEQUENCE, failed, implicit=implicit))
    if good:
        parts.append(_sequence(_REFERENCED_SEQUENCE, good, implicit=implicit))
    return b"".join(parts)


def _item(reference: Reference, *, implicit: bool) -> bytes:
    body = _element(
        _REFERENCED_SOP_CLASS_UID, b"UI", _padded(reference.sop_class_uid, b"\0"), implicit=implicit
    ) + _element(
        _REFERENCED_SOP_INSTANCE_UID,
        b"UI",
        _padded(reference.sop_instance_uid, b"\0"),
        implicit=implicit,
    )
    if reference.failure:
        body += _element(_FAILURE_REASON, b"US", pack("<H", reference.failure), implicit=implicit)
    return pack("<HHI", 0xFFFE, 0xE000, len(body)) + body


def _element(tag: int, vr: bytes, value: bytes, *, implicit: bool) -> bytes:
    group, element = tag >> 16, tag & 0xFFFF
    if implicit:
        return pack("<HHI", group, element, len(value)) + value
    return pack("<HH2sH", group, element, vr, len(value)) + value


def _sequence(tag: int, items: bytes | bytearray, *, implicit: bool) -> bytes:
    group, element = tag >> 16, tag & 0xFFFF
    if implicit:
        return pack("<HHI", group, element, len(items)) + items
    return pack("<HH2sHI", group, element, b"SQ", 0, len(items)) + items


def _padded(text: str, padding: bytes) -> bytes:
    raw = text.encode("ascii", "replace")
    return raw + padding * (len(raw) % 2)
