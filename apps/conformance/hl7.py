"""The HL7 part of the statement. TABLE: the HL7 v2 messages that are spoken; there are none yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apps.conformance.document import Row, Section, Table


@dataclass(frozen=True, slots=True)
class Hl7Message:
    """A message type with its trigger event, such as ORM^O01, and what becomes of it."""

    message: str
    direction: str  # "received" or "sent"
    version: str
    acknowledged_by: str
    effect: str


MESSAGES: Final[tuple[Hl7Message, ...]] = ()


def hl7(number: str) -> Section:
    """Which messages are received and sent; honest where there are none."""
    if not MESSAGES:
        return Section(
            number,
            "HL7",
            (
                (
                    "Not offered yet: no port listens for MLLP, and no HL7 message is "
                    "sent. Orders come to the worklist from the administration pages and over REST."
                ),
            ),
        )
    return Section(
        number,
        "HL7",
        ("Messages are framed by MLLP and acknowledged when they are stored.",),
        (
            Table(
                "HL7 v2 messages",
                ("message", "direction", "version", "acknowledged by", "effect"),
                tuple(
                    Row(
                        (
                            each.message,
                            each.direction,
                            each.version,
                            each.acknowledged_by,
                            each.effect,
                        )
                    )
                    for each in MESSAGES
                ),
            ),
        ),
    )
