"""Notes of one association: set field by field while it runs, by its own thread."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from apps.network.explanation import Why
from apps.network.models import AssociationRecord

Ending = AssociationRecord.Ending
_MOST_REFUSED: Final = 100


@dataclass(frozen=True, slots=True)
class ContextNote:
    """One presentation context: what was proposed, what was answered, and why."""

    context_id: int
    abstract_syntax: str
    proposed: tuple[str, ...]
    result: int
    why: Why
    transfer_syntax: str = ""
    roles_proposed: str = ""  # "SCU", "SCP", "SCU SCP", or empty where none were negotiated
    roles_granted: str = ""


@dataclass(slots=True)
class AssociationNote:
    """One association, filled in as it goes. Times are aware; lengths are bytes."""

    name: str
    started_at: datetime
    address: str = ""
    port: int = 0
    direction: str = AssociationRecord.Direction.IN
    calling_ae_title: str = ""
    called_ae_title: str = ""
    tls: str = ""
    certificate: str = ""
    user: str = ""
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    maximum_length: int = 0
    ended_at: datetime | None = None
    ending: Ending = Ending.OPEN
    reason: str = ""
    connections: int = 1
    contexts: tuple[ContextNote, ...] = ()
    operations: dict[str, dict[str, int]] = field(default_factory=dict)
    received_bytes: int = 0
    sent_bytes: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    keeps_refused: bool = False

    def count(self, operation: str, status: int) -> None:
        """One answered command, such as `C-FIND` with 0xFF00."""
        statuses = self.operations.setdefault(operation, {})
        key = f"{status:04X}"
        statuses[key] = statuses.get(key, 0) + 1

    def refuse(self, sop_instance_uid: str, status: int) -> None:
        """Remembers which instance was refused, where the policy wants that."""
        if self.keeps_refused and len(self.refused) < _MOST_REFUSED:
            self.refused.append((sop_instance_uid[:64], f"{status:04X}"))

    def end(self, ending: Ending, at: datetime, reason: str = "") -> None:
        """The first ending told is the true one; what follows is its consequence."""
        if self.ending is Ending.OPEN:
            self.ending, self.ended_at, self.reason = ending, at, reason[:200]


def negotiation(contexts: Sequence[ContextNote]) -> tuple[str, list[dict[str, Any]]]:
    """SHA-256 and JSON form of the contexts; equal negotiations have equal digests."""
    plain = [asdict(each) | {"proposed": list(each.proposed)} for each in contexts]
    encoded = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(encoded.encode()).hexdigest(), plain
