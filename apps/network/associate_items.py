"""Items of the PDUs by which an association is asked for and granted (PS3.8 9.3.2, 9.3.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from apps.dicom import uids
from apps.network.p_data import PDU_HEADER

MAXIMUM_PDU_BYTES: Final = 128 * 1024
_APPLICATION_CONTEXT: Final = b"1.2.840.10008.3.1.1.1"
_ITEM: Final = struct.Struct(">BxH")

# TABLE: Reason/Diag. of an A-ASSOCIATE-RJ by Source (PS3.8 table 9-21).
_REJECTIONS: Final = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "it does not know our AE title",
    (1, 7): "it does not go by that AE title",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "its local limit is exceeded",
}


@dataclass(frozen=True, slots=True)
class Remote:
    """The application entity to call, and the title we call ourselves."""

    title: str
    host: str
    port: int
    own_title: str
    use_tls: bool = False

    @property
    def words(self) -> str:
        """For messages to people."""
        return f"{self.title} at {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """An abstract syntax, the Transfer Syntaxes for it, and whether we want to be SCP there."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    as_scp: bool = False


USER_AND_PASSCODE: Final = 2
"""The User-Identity-Type that has a secondary field (PS3.7 table D.3-14)."""


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """Who somebody is (PS3.7 D.3.3.7): 1 a user name, 2 with passcode, 3 Kerberos, 4 SAML, 5 JWT.

    An answer is asked for.
    """

    kind: int
    primary: bytes
    secondary: bytes = b""

    @property
    def sub_item(self) -> bytes:
        """The value of the sub-item (PS3.7 table D.3-14)."""
        fields = (self.primary, self.secondary)
        lengths = b"".join(struct.pack(">H", len(each)) + each for each in fields)
        return bytes((self.kind, 1)) + lengths


def associate_request(
    remote: Remote,
    proposed: Sequence[ProposedContext],
    extended: Mapping[str, bytes],
    identity: UserIdentity | None = None,
) -> bytes:
    """A-ASSOCIATE-RQ (PS3.8 9.3.2); context ids are 1, 3, 5, ... in order."""
    contexts = b"".join(
        _item(
            0x20,
            bytes((2 * place + 1, 0, 0, 0))
            + _item(0x30, each.abstract_syntax.encode("ascii"))
            + b"".join(_item(0x40, uid.encode("ascii")) for uid in each.transfer_syntaxes),
        )
        for place, each in enumerate(proposed)
    )
    body = (
        b"\0\1\0\0"
        + _title(remote.title)
        + _title(remote.own_title)
        + bytes(32)
        + _item(0x10, _APPLICATION_CONTEXT)
        + contexts
        + _item(0x50, b"".join(_sub_items(proposed, extended, identity)))
    )
    return PDU_HEADER.pack(1, len(body)) + body


def _sub_items(
    proposed: Sequence[ProposedContext],
    extended: Mapping[str, bytes],
    identity: UserIdentity | None,
) -> Iterable[bytes]:
    yield _item(0x51, struct.pack(">I", MAXIMUM_PDU_BYTES))
    yield _item(0x52, uids.IMPLEMENTATION_CLASS_UID.encode("ascii"))
    yield _item(0x55, uids.IMPLEMENTATION_VERSION_NAME.encode("ascii"))
    for uid in sorted({each.abstract_syntax for each in proposed if each.as_scp}):
        yield _item(0x54, _counted(uid) + b"\0\1")
    for uid, application_information in extended.items():
        yield _item(0x56, _counted(uid) + application_information)
    if identity is not None:
        yield _item(0x58, identity.sub_item)


def _counted(uid: str) -> bytes:
    return struct.pack(">H", len(uid)) + uid.encode("ascii")


def _title(title: str) -> bytes:
    return title.encode("ascii", "replace")[:16].ljust(16)


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value


def items_of(raw: bytes) -> list[tuple[int, bytes]]:
    """What is cut short at the end is left out: the answer is judged by what it says."""
    found = []
    at = 0
    while at + _ITEM.size <= len(raw):
        kind, length = _ITEM.unpack_from(raw, at)
        at += _ITEM.size
        found.append((kind, raw[at : at + length]))
        at += length
    return found


def rejection_words(source: int, reason: int) -> str:
    """What an A-ASSOCIATE-RJ says."""
    return _REJECTIONS.get((source, reason), f"reason {reason} of source {source}")


def text_of(raw: bytes) -> str:
    """A UID without padding."""
    return raw.rstrip(b"\0 ").decode("latin-1")
