"""serving(): whether a receiver process answers, asked the way a modality would ask."""

from __future__ import annotations

import socket
import struct

from django.conf import settings

from apps.dicom import uids
from apps.dimse.offered import VERIFICATION

_APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
_IMPLICIT_VR_LITTLE_ENDIAN = b"1.2.840.10008.1.2"
_ANSWERS = frozenset({2, 3})  # A-ASSOCIATE-AC and -RJ: both prove that somebody is there
_ABORT = bytes.fromhex("07000000000400000000")
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - not bound


def serving(timeout: float = 2.0) -> bool:
    """True when an association request is answered within `timeout` s, accepted or not."""
    environment = settings.PACSWEB
    host = environment.dicom_host or _ANY_ADDRESS.get(environment.bind, environment.bind)
    request = verification_request(environment.ae_title, environment.ae_title)
    try:
        with socket.create_connection((host, environment.dicom_port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(request)
            answer = connection.recv(1)
            connection.sendall(_ABORT)
    except OSError:
        return False
    return bool(answer) and answer[0] in _ANSWERS


def verification_request(called: str, calling: str) -> bytes:
    """An A-ASSOCIATE-RQ that proposes Verification alone (PS3.8 9.3.2)."""
    context = _item(
        0x20,
        b"\1\0\0\0" + _item(0x30, VERIFICATION.encode()) + _item(0x40, _IMPLICIT_VR_LITTLE_ENDIAN),
    )
    user_information = _item(
        0x50,
        _item(0x51, struct.pack(">I", 16384)) + _item(0x52, uids.IMPLEMENTATION_CLASS_UID.encode()),
    )
    body = (
        b"\0\1\0\0"
        + called.encode("ascii").ljust(16)
        + calling.encode("ascii").ljust(16)
        + bytes(32)
        + _item(0x10, _APPLICATION_CONTEXT)
        + context
        + user_information
    )
    return struct.pack(">BxI", 1, len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value
