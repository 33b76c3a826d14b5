"""An association in plain words: what was asked, what was answered, and which setting decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from apps.dicom.uids import name_of


class Why(StrEnum):
    """Why a presentation context was answered as it was."""

    ACCEPTED = "accepted"
    NOT_OFFERED = "not offered"
    NOT_PERMITTED = "not permitted"
    CLASS_FORBIDDEN = "SOP Class forbidden"
    ROLE = "role not granted"
    NO_ROOM = "no room"
    NO_COMMON_SYNTAX = "no common Transfer Syntax"
    SYNTAX_FORBIDDEN = "Transfer Syntax forbidden"
    PEER_REFUSED = "refused by the peer"
    PEER_NOT_OFFERED = "not offered by the peer"
    PEER_SYNTAXES = "Transfer Syntaxes not accepted by the peer"
    NOT_JUDGED = "association rejected"


@dataclass(frozen=True, slots=True)
class Reason:
    """`told` follows "NAME offers only SYNTAXES for CLASS, " or "NAME proposes CLASS, "."""

    told: str
    remedy: str
    about_syntaxes: bool = False


# TABLE: what each refusal means, and what would change it. `{peer}` is the AE title.
REASONS: Final[dict[Why, Reason]] = {
    Why.NOT_OFFERED: Reason(
        "which this AE does not offer.", "No setting changes this: pacsweb has no such service."
    ),
    Why.NOT_PERMITTED: Reason(
        "which {peer} may not use here.",
        "Application entities → {peer}: let it use the service.",
    ),
    Why.CLASS_FORBIDDEN: Reason(
        "which the rules for {peer} do not allow.",
        "Application entities → {peer} → allowed SOP Classes; Network policy → refused ones.",
    ),
    Why.ROLE: Reason(
        "in a role this AE does not take the other side of.",
        "Set the device to the usual role; no setting here changes this.",
    ),
    Why.NO_ROOM: Reason(
        "and there was no room to store.", "Free disk space, or lower the watermark (Storage)."
    ),
    Why.NO_COMMON_SYNTAX: Reason(
        "which this AE does not take for it.",
        "Let the device also offer Explicit or Implicit VR Little Endian.",
        about_syntaxes=True,
    ),
    Why.SYNTAX_FORBIDDEN: Reason(
        "which this AE forbids.",
        "Application entities → {peer} → forbidden Transfer Syntaxes, or let the device offer "
        "another one.",
        about_syntaxes=True,
    ),
    Why.NOT_JUDGED: Reason("but the association was rejected as a whole.", ""),
    Why.PEER_REFUSED: Reason("", "Look at the settings of {peer}."),
    Why.PEER_NOT_OFFERED: Reason("", "Switch the service on at {peer}, if it has it."),
    Why.PEER_SYNTAXES: Reason("", "Let {peer} accept one of the Transfer Syntaxes we offer it."),
}

# What a peer refused us, as whole sentences.
_OF_THE_PEER: Final[dict[Why, str]] = {
    Why.PEER_REFUSED: "{peer} refuses {abstract}.",
    Why.PEER_NOT_OFFERED: "{peer} does not offer {abstract}.",
    Why.PEER_SYNTAXES: "{peer} accepts {abstract} in none of {offered}.",
}

# TABLE: the words of a rejected association, and what would change it.
REMEDIES: Final[dict[str, str]] = {
    "calling AE title not recognised": (
        "Add {peer} under Application entities (or enable it), or let unknown callers in under "
        "Network policy."
    ),
    "calling AE title not recognised from this address": (
        "Correct the host or the allowed addresses of {peer} under Application entities."
    ),
    "called AE title not recognised": (
        "The device calls “{called}”: correct that at the device, or switch the check off under "
        "Network policy."
    ),
    "TLS required": "Set the device to the TLS port, or lift “only over TLS” of {peer}.",
    "certificate not accepted for this AE title": (
        "Correct the certificate names of {peer} under Application entities."
    ),
    "user identity not confirmed": "Correct the user name and passcode at the device.",
    "too many associations": "Raise the limit under Network policy, or close associations.",
    "storage below its watermark": "Free disk space, or lower the watermark (Storage policy).",
    "policy not readable yet": "The database did not answer since the start; look at its state.",
}

# TABLE: statuses (PS3.7 annex C, PS3.4), the more exact prefix first.
STATUSES: Final[tuple[tuple[str, str], ...]] = (
    ("0000", "success"),
    ("0001", "success, some optional attributes not supported"),
    ("0106", "invalid attribute value"),
    ("0107", "warning: attribute list error"),
    ("0110", "processing failure"),
    ("0111", "duplicate SOP Instance"),
    ("0112", "no such SOP Instance"),
    ("0113", "no such event type"),
    ("0115", "invalid argument value"),
    ("0117", "invalid SOP Instance"),
    ("0119", "class-instance conflict"),
    ("0120", "missing attribute"),
    ("0121", "missing attribute value"),
    ("0122", "SOP Class not supported"),
    ("0123", "no such action"),
    ("0124", "not authorised"),
    ("0131", "duplicate transaction"),
    ("0211", "unrecognised operation"),
    ("0213", "resource limitation"),
    ("A700", "out of resources"),
    ("A701", "out of resources: cannot count the matches"),
    ("A702", "out of resources: sub-operations failed"),
    ("A801", "move destination unknown"),
    ("A7", "out of resources"),
    ("A9", "data set does not match"),
    ("B000", "warning: some sub-operations failed, or data was coerced"),
    ("B006", "warning: elements discarded"),
    ("B007", "warning: data set does not match"),
    ("B", "warning"),
    ("C", "cannot understand"),
    ("FE00", "cancelled"),
    ("FF", "pending"),
    ("01", "failure"),
)


def words_of(status: str) -> str:
    """What four hexadecimal digits of a status say."""
    return next((words for prefix, words in STATUSES if status.startswith(prefix)), "unknown")


def listed(names: Iterable[str]) -> str:
    """`A`, `A and B`, `A, B and C`."""
    items = list(names)
    return " and ".join(
        part for part in (", ".join(items[:-1]), items[-1] if items else "") if part
    )


def context_sentence(context: dict[str, Any], peer: str) -> str:
    """One presentation context, as a sentence about the peer."""
    abstract = name_of(context["abstract_syntax"])
    why = Why(context["why"])
    if why is Why.ACCEPTED:
        return f"{abstract} was accepted in {name_of(context['transfer_syntax'])}."
    if why in _OF_THE_PEER:
        offered = listed(name_of(uid) for uid in context["proposed"])
        return _OF_THE_PEER[why].format(peer=peer, abstract=abstract, offered=offered)
    reason = REASONS[why]
    told = reason.told.format(peer=peer)
    if reason.about_syntaxes:
        offered = listed(name_of(uid) for uid in context["proposed"])
        return f"{peer} offers only {offered} for {abstract}, {told}"
    joint = " " if told.startswith(("in ", "and ")) else ", "
    return f"{peer} proposes {abstract}{joint}{told}"


def context_remedy(context: dict[str, Any], peer: str) -> str:
    """Which setting would change the answer; empty where it was yes."""
    why = Why(context["why"])
    return "" if why is Why.ACCEPTED else REASONS[why].remedy.format(peer=peer)


def refused_classes(contexts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One refused context for each abstract syntax that no context got through."""
    through = {each["abstract_syntax"] for each in contexts if each["result"] == 0}
    refused: dict[str, dict[str, Any]] = {}
    for each in contexts:
        if each["result"] == 0 or each["abstract_syntax"] in through:
            continue
        known = refused.setdefault(each["abstract_syntax"], dict(each))
        known["proposed"] = list(dict.fromkeys([*known["proposed"], *each["proposed"]]))
    return list(refused.values())


def rejection_remedy(words: str, *, peer: str, called: str) -> str:
    """What would let the association in."""
    return REMEDIES.get(words, "").format(peer=peer, called=called)


def operations_sentences(operations: dict[str, dict[str, int]]) -> list[str]:
    """Such as: C-STORE: 512 success, 1 out of resources (A700)."""
    sentences = []
    for name, counts in operations.items():
        parts = [
            f"{count} {words_of(status)}" + ("" if status == "0000" else f" ({status})")
            for status, count in sorted(counts.items())
        ]
        sentences.append(f"{name}: {', '.join(parts)}.")
    return sentences
