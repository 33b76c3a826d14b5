"""What a device can do: by its association, by our asking, or by a table of its own statement."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pydicom.uid import UID_dictionary

from apps.dicom import sop_classes, transfer_syntaxes
from apps.dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from apps.dimse import offered
from apps.network.associate_items import ProposedContext, Remote
from apps.network.probe import ask

SCU, SCP = "SCU", "SCP"
LONGEST_TABLE: Final = 1024 * 1024
_MOST_LINES: Final = 20_000
_PLAIN: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
_UID: Final = re.compile(r"\b[012](?:\.\d+){3,}\b")
_SPLIT: Final = re.compile(r"[\t;|]|,(?!\s*(?:Non-Hierarchical|First-Order|Hierarchical))")
# Spellings of conformance statements, by what they mean.
_ALIASES: Final = {
    "ile": IMPLICIT_VR_LITTLE_ENDIAN,
    "ivle": IMPLICIT_VR_LITTLE_ENDIAN,
    "implicit": IMPLICIT_VR_LITTLE_ENDIAN,
    "implicitlittleendian": IMPLICIT_VR_LITTLE_ENDIAN,
    "dicomimplicitvrlittleendian": IMPLICIT_VR_LITTLE_ENDIAN,
    "ele": EXPLICIT_VR_LITTLE_ENDIAN,
    "evle": EXPLICIT_VR_LITTLE_ENDIAN,
    "explicit": EXPLICIT_VR_LITTLE_ENDIAN,
    "explicitlittleendian": EXPLICIT_VR_LITTLE_ENDIAN,
    "dicomexplicitvrlittleendian": EXPLICIT_VR_LITTLE_ENDIAN,
    "ebe": EXPLICIT_VR_BIG_ENDIAN,
    "bigendian": EXPLICIT_VR_BIG_ENDIAN,
    "explicitbigendian": EXPLICIT_VR_BIG_ENDIAN,
    "dicomexplicitvrbigendian": EXPLICIT_VR_BIG_ENDIAN,
    "jpegbaseline": "1.2.840.10008.1.2.4.50",
    "jpegextended": "1.2.840.10008.1.2.4.51",
    "jpeglossless": "1.2.840.10008.1.2.4.70",
    "jpeglosslessfirstorderprediction": "1.2.840.10008.1.2.4.70",
    "jpeglsslossless": "1.2.840.10008.1.2.4.80",
    "jpegls": "1.2.840.10008.1.2.4.80",
    "jpeglslossless": "1.2.840.10008.1.2.4.80",
    "jpeg2000lossless": "1.2.840.10008.1.2.4.90",
    "jpeg2000": "1.2.840.10008.1.2.4.91",
    "rle": "1.2.840.10008.1.2.5",
    "deflated": "1.2.840.10008.1.2.1.99",
}
_ROLES: Final = {
    "scu": (SCU,),
    "scp": (SCP,),
    "scu/scp": (SCU, SCP),
    "scp/scu": (SCU, SCP),
    "scu and scp": (SCU, SCP),
    "scu scp": (SCU, SCP),
    "user": (SCU,),
    "provider": (SCP,),
    "both": (SCU, SCP),
}


@dataclass(frozen=True, slots=True)
class Capability:
    """The device can be `role` (SCU or SCP) for a SOP Class, in these Transfer Syntaxes."""

    sop_class: str
    role: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """A device as far as it is known; `problems` are lines of its table that say nothing to us.

    `roles` are those the source can tell of: an association shows only what was asked for.
    """

    source: str
    capabilities: tuple[Capability, ...]
    problems: tuple[str, ...] = ()
    roles: frozenset[str] = frozenset({SCU, SCP})


def from_association(contexts: Iterable[dict[str, Any]], *, they_called: bool) -> Description:
    """From a recorded negotiation: what it proposed to us, or accepted of what we proposed."""
    found = []
    for each in contexts:
        syntaxes = tuple(each["proposed"])
        if not they_called:
            if each["result"] == 0:
                found.append(Capability(each["abstract_syntax"], SCP, (each["transfer_syntax"],)))
            continue
        roles = each["roles_proposed"].split() or [SCU]
        found += [Capability(each["abstract_syntax"], role, syntaxes) for role in roles]
    roles = frozenset({SCU}) if they_called else frozenset({SCP})
    return Description("a recorded association", _merged(found), roles=roles)


def from_probe(remote: Remote) -> Description:
    """From asking: every SOP Class, plain, compressed and big endian. It is SCP in what it takes.

    Raises PeerUnreachable, AssociationRejected.
    """
    packed = tuple(
        row.uid
        for row in transfer_syntaxes.TABLE
        if row.uid not in (*_PLAIN, EXPLICIT_VR_BIG_ENDIAN) and not row.retired
    )
    storage = [row.uid for row in sop_classes.TABLE if row.storage and not row.retired]
    proposals = [ProposedContext(uid, _PLAIN) for uid in offered.BY_ABSTRACT_SYNTAX]
    for uid in storage:
        proposals += [ProposedContext(uid, each) for each in ((_PLAIN[0],), (_PLAIN[1],), packed)]
    found = [
        Capability(each.proposed.abstract_syntax, SCP, (each.transfer_syntax,))
        for each in ask(remote, proposals)
        if each.result == 0
    ]
    return Description(f"asking {remote.words}", _merged(found), roles=frozenset({SCP}))


def from_table(text: str) -> Description:
    """From lines of SOP Class, roles and Transfer Syntaxes, in any order, split by , ; | or tabs.

    A line without a SOP Class adds its Transfer Syntaxes to the one before, as tables that span
    rows do. What cannot be understood is told, line by line.
    """
    found: list[Capability] = []
    problems: list[str] = []
    current: tuple[str, tuple[str, ...]] | None = None
    for number, line in enumerate(text.splitlines()[:_MOST_LINES], 1):
        cells = [cell.strip(" \t\"'") for cell in _SPLIT.split(line)]
        cells = [cell for cell in cells if cell]
        if not cells:
            continue
        parsed = _Line(cells)
        if parsed.sop_class:
            current = (parsed.sop_class, parsed.roles or (SCU,))
        if current is None or not (parsed.sop_class or parsed.syntaxes):
            problems.append(f"Line {number}: {line.strip()[:80]}")
            continue
        syntaxes = tuple(parsed.syntaxes) or (() if not parsed.sop_class else _PLAIN[1:])
        found += [Capability(current[0], role, syntaxes) for role in current[1]]
    return Description("a table of its conformance statement", _merged(found), tuple(problems))


class _Line:
    """What the cells of one line say."""

    def __init__(self, cells: list[str]) -> None:
        self.sop_class = ""
        self.roles: tuple[str, ...] = ()
        self.syntaxes: list[str] = []
        for cell in cells:
            self._read(cell)

    def _read(self, cell: str) -> None:
        role = _ROLES.get(re.sub(r"\s*([/&+])\s*", "/", cell.lower()))
        if role is not None:
            self.roles = tuple(dict.fromkeys((*self.roles, *role)))
            return
        uids = _UID.findall(cell) or [_uid_of_name(cell)]
        for uid in filter(None, uids):
            if uid in transfer_syntaxes.BY_UID:
                self.syntaxes.append(uid)
            elif _is_sop_class(uid) or uid in _UID.findall(cell):
                self.sop_class = self.sop_class or uid


def _merged(found: Iterable[Capability]) -> tuple[Capability, ...]:
    """One for each SOP Class and role, with all its Transfer Syntaxes."""
    syntaxes: dict[tuple[str, str], list[str]] = {}
    for each in found:
        syntaxes.setdefault((each.sop_class, each.role), []).extend(each.transfer_syntaxes)
    return tuple(
        Capability(uid, role, tuple(dict.fromkeys(known)))
        for (uid, role), known in syntaxes.items()
    )


def _is_sop_class(uid: str) -> bool:
    return uid in sop_classes.BY_UID or uid in offered.BY_ABSTRACT_SYNTAX or uid in _all_names()


def _uid_of_name(cell: str) -> str:
    plain = _plain(cell)
    return _ALIASES.get(plain) or _names().get(plain, "")


def _plain(text: str) -> str:
    """Letters and digits; words that tables add or leave out are dropped."""
    text = re.sub(r"\([^)]*\)|\bSOP Class\b|\bRetired\b", "", text, flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9]", "", text.lower())


@cache
def _all_names() -> dict[str, str]:
    return {uid: row[0] for uid, row in UID_dictionary.items() if "SOP Class" in row[1]}


@cache
def _names() -> dict[str, str]:
    return dict(_spellings())


def _spellings() -> Iterator[tuple[str, str]]:
    for uid, name in _all_names().items():
        yield _plain(name), uid
    for row in sop_classes.TABLE:
        yield _plain(row.keyword), row.uid
        yield _plain(row.name), row.uid
        yield _plain(row.name.removesuffix(" Storage")), row.uid
    for syntax in transfer_syntaxes.TABLE:
        yield _plain(syntax.name), syntax.uid
