"""What a device can do: by its association, by our asking, or by a table of its own statement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from apps.conformance.pasted_table import SCP, SCU, read_table
from apps.dicom import sop_classes, transfer_syntaxes
from apps.dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from apps.dimse import offered
from apps.network.associate_items import ProposedContext, Remote
from apps.network.probe import ask

LONGEST_TABLE: Final = 1024 * 1024
_PLAIN: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


@dataclass(frozen=True, slots=True)
class Capability:
    """The device can be `role` (SCU or SCP) for a SOP Class, in these Transfer Syntaxes."""

    sop_class: str
    role: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """A device as far as it is known; `problems` are lines of its table that say nothing to us.

    `roles` are those the source can tell of; `glimpsed` those of which it shows a part: what a
    device has not asked for so far it may ask for tomorrow.
    """

    source: str
    capabilities: tuple[Capability, ...]
    problems: tuple[str, ...] = ()
    roles: frozenset[str] = frozenset({SCU, SCP})
    glimpsed: frozenset[str] = frozenset()


def from_association(contexts: Iterable[dict[str, Any]], *, they_called: bool) -> Description:
    """From recorded negotiations: what it proposed to us, or accepted of what we proposed."""
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
    return Description("recorded associations", _merged(found), roles=roles, glimpsed=roles)


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


def joined(first: Description, second: Description) -> Description:
    """What two sources tell of one device, such as asking it and its own association."""
    return Description(
        f"{first.source} and {second.source}",
        _merged((*first.capabilities, *second.capabilities)),
        (*first.problems, *second.problems),
        first.roles | second.roles,
        (first.glimpsed - (second.roles - second.glimpsed))
        | (second.glimpsed - (first.roles - first.glimpsed)),
    )


def from_table(text: str) -> Description:
    """From a table of its conformance statement. What cannot be understood is told by line.

    A class without Transfer Syntaxes is taken to know the one every device has to (PS3.5 10.1).
    """
    entries, problems = read_table(text)
    found = [
        Capability(uid, role, tuple(each.transfer_syntaxes))
        for each in entries
        for uid in each.sop_classes
        for role in each.roles
    ]
    merged = _merged(found)
    untold = sum(not each.transfer_syntaxes for each in merged)
    if untold:
        problems.append(
            f"No Transfer Syntax is told for {untold} of {len(merged)} rows: Implicit VR Little "
            "Endian, which every device knows, is assumed."
        )
    return Description(
        "a table of its conformance statement",
        tuple(
            replace(each, transfer_syntaxes=each.transfer_syntaxes or _PLAIN[1:]) for each in merged
        ),
        tuple(problems),
    )


def _merged(found: Iterable[Capability]) -> tuple[Capability, ...]:
    """One for each SOP Class and role, with all its Transfer Syntaxes."""
    syntaxes: dict[tuple[str, str], list[str]] = {}
    for each in found:
        syntaxes.setdefault((each.sop_class, each.role), []).extend(each.transfer_syntaxes)
    return tuple(
        Capability(uid, role, tuple(dict.fromkeys(known)))
        for (uid, role), known in syntaxes.items()
    )
