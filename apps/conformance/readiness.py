"""Whether a device and we will work together: use by use, and which setting would change it.

What a device asks of us is judged by the very function that will answer its associations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from apps.conformance.capabilities import Capability, Description
from apps.conformance.pasted_table import SCP, SCU
from apps.dicom import sop_classes, transfer_syntaxes
from apps.dicom.storage_commitment import PUSH_MODEL_CLASS
from apps.dicom.uids import name_of
from apps.dimse import mpps, offered, query_models, worklist
from apps.dimse.negotiation import Proposal, judge
from apps.dimse.service import Role
from apps.network.explanation import REASONS, listed
from apps.network.peers import Admission, Peers, Right
from apps.retrieve.datasets import REWRITTEN_TO

_FIND: Final = frozenset(model.find for model in query_models.TABLE)
_MOVE: Final = frozenset(model.move for model in query_models.TABLE)
_GET: Final = frozenset(model.get for model in query_models.TABLE)
_STORAGE: Final = frozenset(row.uid for row in sop_classes.TABLE if row.storage and not row.retired)
_PLAIN: Final = frozenset(REWRITTEN_TO)  # what stored instances are converted to


class Grade(StrEnum):
    """How well something will work."""

    WORKS = "works"
    PARTLY = "partly"
    FAILS = "does not work"
    UNKNOWN = "not known"
    ABSENT = "the device does not do it"


@dataclass(frozen=True, slots=True)
class Use:
    """A row of the table: what people want of a device, and which SOP Classes in which role."""

    key: str
    name: str
    role: str  # of the device
    includes: Callable[[str], bool]
    needs_host: bool = False  # we call the device


# TABLE: the uses of a device.
USES: Final = (
    Use("verify", "Test the connection", SCU, lambda uid: uid == offered.VERIFICATION),
    Use("store", "Store images here", SCU, offered.is_storage),
    Use("worklist", "Get its worklist", SCU, lambda uid: uid == worklist.FIND),
    Use("mpps", "Report performed steps", SCU, lambda uid: uid == mpps.PERFORMED_STEP),
    Use("commit", "Have storage committed", SCU, lambda uid: uid == PUSH_MODEL_CLASS),
    Use("query", "Query this archive", SCU, _FIND.__contains__),
    Use("retrieve-move", "Retrieve from here (C-MOVE)", SCU, _MOVE.__contains__, needs_host=True),
    Use("retrieve-get", "Retrieve from here (C-GET)", SCU, _GET.__contains__),
    Use("be-sent-to", "Be sent images", SCP, offered.is_storage, needs_host=True),
    Use("be-queried", "Be queried", SCP, _FIND.__contains__, needs_host=True),
    Use("be-fetched-from", "Be fetched from", SCP, (_MOVE | _GET).__contains__, needs_host=True),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One SOP Class of a use: how well, in what, and what would change it."""

    sop_class: str
    name: str
    grade: Grade
    told: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class UseReport:
    """One use with its findings, the worst first; `remedies` are for the use as a whole."""

    key: str
    name: str
    grade: Grade
    told: str
    remedies: tuple[str, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Device:
    """What we have on record of the device: its AE title, and whether we know where it listens."""

    title: str
    admission: Admission | None  # None: its associations will be rejected
    has_host: bool


def device_of(title: str, peers: Peers, *, has_host: bool, bound_to_loopback: bool) -> Device:
    """By the settings in force. Its address and certificate are taken to be right."""
    peer = peers.by_title.get(title)
    if peer is not None:
        admission = Admission(peer.rights, known=True, rules=peer.rules) if peer.enabled else None
        return Device(title, admission, has_host)
    outcome = peers.admit(
        calling=title,
        called="",
        address="",
        own_title="",
        bound_to_loopback=bound_to_loopback,
    )
    return Device(title, outcome if isinstance(outcome, Admission) else None, has_host=False)


def assess(description: Description, device: Device) -> tuple[UseReport, ...]:
    """Every use of the table."""
    return tuple(_use(use, description, device) for use in USES)


def as_json(
    description: Description, device: Device, reports: Sequence[UseReport]
) -> dict[str, Any]:
    """Plain values of the whole check."""
    return {
        "ae_title": device.title,
        "source": description.source,
        "not_understood": list(description.problems),
        "uses": [asdict(each) for each in reports],
    }


def _use(use: Use, description: Description, device: Device) -> UseReport:
    mine = [
        each
        for each in description.capabilities
        if each.role == use.role and use.includes(each.sop_class)
    ]
    if not mine:
        grade, told = _nothing_known(use, description)
        return UseReport(use.key, use.name, grade, told, (), ())
    found = [_theirs(each, device) if use.role == SCU else _ours(each) for each in mine]
    findings = sorted(found, key=lambda each: _ORDER.index(each.grade))
    remedies = _remedies(use, device)
    grade = Grade.FAILS if remedies else _overall(each.grade for each in findings)
    good = sum(each.grade is Grade.WORKS for each in findings)
    told = _told(good, findings)
    if use.key == "be-sent-to":
        others = len(_STORAGE - {each.sop_class for each in findings})
        told += f" Instances of {others} other SOP Classes cannot be sent to it." if others else ""
    return UseReport(use.key, use.name, grade, told, remedies, tuple(findings))


def _nothing_known(use: Use, description: Description) -> tuple[Grade, str]:
    if use.role not in description.roles:
        told = "This source cannot tell; ask the device, or use its conformance statement."
        return Grade.UNKNOWN, told
    if use.role in description.glimpsed:
        return Grade.UNKNOWN, "Nothing of it was seen so far."
    return Grade.ABSENT, "It does not say that it can."


def _told(good: int, findings: Sequence[Finding]) -> str:
    classes = "SOP Class" if len(findings) == 1 else "SOP Classes"
    return f"{good} of {len(findings)} {classes} work{'s' if good == 1 else ''}."


_ORDER: Final = (Grade.FAILS, Grade.PARTLY, Grade.UNKNOWN, Grade.ABSENT, Grade.WORKS)


def _overall(grades: Iterable[Grade]) -> Grade:
    found = set(grades)
    return found.pop() if len(found) == 1 else Grade.PARTLY


def _remedies(use: Use, device: Device) -> tuple[str, ...]:
    """What stands in the way of the use as a whole."""
    found = []
    if use.role == SCU and device.admission is None:
        found.append(f"Add {device.title} under Application entities, or enable it there.")
    if use.needs_host and not device.has_host:
        found.append(f"Give host and port of {device.title} under Application entities.")
    return tuple(found)


def _theirs(capability: Capability, device: Device) -> Finding:
    """The device asks us: what its association would be answered, one Transfer Syntax at a time."""
    uid, name = capability.sop_class, name_of(capability.sop_class)
    # One that is not let in yet is told what would work once it is.
    admission = device.admission or Admission(frozenset(Right), known=False)
    role = Role(scu=True, scp=False)
    verdicts = [
        judge(Proposal(1, uid, (syntax,)), role, admission, room=True)
        for syntax in capability.transfer_syntaxes
    ]
    good = [each.transfer_syntax for each in verdicts if each.transfer_syntax]
    bad = [each for each in verdicts if not each.transfer_syntax]
    if not bad and good:
        return Finding(uid, name, Grade.WORKS, f"In {_names(good)}.")
    if not verdicts:
        return Finding(uid, name, Grade.UNKNOWN, "No Transfer Syntax is told.")
    reason = REASONS[bad[0].why]
    refused = _names(syntax for each in bad for syntax in each.proposal.transfer_syntaxes)
    remedy = reason.remedy.format(peer=device.title)
    if good:
        told = f"In {_names(good)}; not in {refused}: {bad[0].why}."
        return Finding(uid, name, Grade.PARTLY, told, remedy)
    told = f"Not in {refused}: {bad[0].why}." if reason.about_syntaxes else f"{bad[0].why}."
    return Finding(uid, name, Grade.FAILS, _capital(told), remedy)


def _ours(capability: Capability) -> Finding:
    """We ask the device: stored instances go as they are, or converted to a plain syntax."""
    uid, name = capability.sop_class, name_of(capability.sop_class)
    taken = _names(capability.transfer_syntaxes)
    if not offered.is_storage(uid):
        if set(capability.transfer_syntaxes) & _PLAIN:
            return Finding(uid, name, Grade.WORKS, f"In {taken}.")
        told = f"It takes it only in {taken}, and we ask in Explicit or Implicit VR Little Endian."
        return Finding(uid, name, Grade.FAILS, told, _AT_THE_DEVICE)
    if set(capability.transfer_syntaxes) & _PLAIN:
        return Finding(uid, name, Grade.WORKS, f"It takes {taken}; the rest is converted.")
    known = [each for each in capability.transfer_syntaxes if each in transfer_syntaxes.BY_UID]
    told = f"Only instances stored in {taken} can be sent: it takes no uncompressed ones."
    grade = Grade.PARTLY if known else Grade.FAILS
    return Finding(uid, name, grade, told, _AT_THE_DEVICE)


_AT_THE_DEVICE: Final = "Let the device accept Explicit or Implicit VR Little Endian too."


def _names(uids: Iterable[str]) -> str:
    return listed(dict.fromkeys(name_of(uid) for uid in uids)) or "nothing"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
