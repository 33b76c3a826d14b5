"""Our UID root, minting and checking (PS3.5 section 9, Annex B).

New UIDs are `2.25.` and a version 4 UUID as a decimal number (PS3.5 B.2): nobody else's root is
ever extended (PS3.4 C.3.5). UIDs that arrive are kept as they are, good or bad.
"""

from __future__ import annotations

import re
import uuid
from typing import Final
from urllib.parse import quote

from pydicom.uid import UID_dictionary

UUID_ROOT: Final = "2.25."

IMPLEMENTATION_CLASS_UID: Final = "2.25.267979153701918969970549923456175983610"
"""(0002,0012): names this implementation, whatever its version (PS3.7 D.3.3.2)."""

IMPLEMENTATION_VERSION_NAME: Final = "PACSWEB_0.1"
"""(0002,0013): at most 16 characters."""

PRIVATE_INFORMATION_CREATOR_UID: Final = "2.25.154212846380003502789161376512480155711"
"""(0002,0100): says that (0002,0102) is our provenance as JSON."""

_VALID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*").fullmatch
_MAXIMUM_LENGTH = 64


def mint() -> str:
    """A new UID that nobody else has: 2.25 and a random UUID in decimal (PS3.5 B.2)."""
    return f"{UUID_ROOT}{uuid.uuid4().int}"


def derived(namespace: str, *parts: str) -> str:
    """The same UID for the same parts, always: 2.25 and a name-based UUID (RFC 9562 version 5).

    For objects that are made again from the same source and must keep their identity.
    """
    name = "\\".join(parts)
    return f"{UUID_ROOT}{uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_OID, namespace), name).int}"


def is_valid(uid: str) -> bool:
    """At most 64 characters, digits and dots, no leading zero but in `0` itself (PS3.5 9.1)."""
    return len(uid) <= _MAXIMUM_LENGTH and _VALID(uid) is not None


def in_path(uid: str) -> str:
    """The UID as a segment of a URL's path: those from the field may hold anything."""
    plain = uid.isascii() and uid.replace(".", "").isalnum()
    return uid if plain else quote(uid, safe="")


def name_of(uid: str) -> str:
    """The name a professional knows the UID by (PS3.6 annex A), or the UID itself."""
    known = UID_dictionary.get(uid)
    return str(known[0]) if known else uid
