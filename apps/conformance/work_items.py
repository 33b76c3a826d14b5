"""The worklist service over HTTP in the conformance statement (PS3.18 11, 8.10)."""

from __future__ import annotations

from typing import Final

from apps.conformance.document import Row, Table
from apps.dicom import ups
from apps.dicom.ups import Fault
from apps.dicomweb.ups_rs.refusals import ALREADY, OF_UPDATE, TABLE
from apps.worklist import work_item_events as events

NOTE: Final = (
    "Events of work items are sent as DICOM JSON in text frames of a WebSocket (PS3.18 8.10.5), "
    "whose address is the Content-Location of a subscription; it takes the same sign-in, and from "
    "browsers an Origin of this installation. Reports wait for a listener who is away, for a week "
    "at most."
)
# TABLE: the event types of PS3.4 CC.2.4-1, all of which are sent.
_EVENTS: Final = (
    (events.STATE_REPORT, "UPS State Report"),
    (events.CANCEL_REQUESTED, "UPS Cancel Requested"),
    (events.PROGRESS_REPORT, "UPS Progress Report"),
    (events.STATUS_CHANGE, "SCP Status Change"),
    (events.ASSIGNED, "UPS Assigned"),
)


def tables() -> tuple[Table, ...]:
    """HTTP status and Warning of each fault, and the events."""
    return (
        Table(
            "Faults of work items (UPS-RS)",
            ("fault", "status", "Warning"),
            tuple(
                Row((ups.WORDS[fault], _statuses(fault), warning))
                for fault, (_, warning) in TABLE.items()
            )
            + tuple(Row((ups.WORDS[fault], "200, 202", text)) for fault, text in ALREADY.items()),
        ),
        Table(
            "Events over WebSocket",
            ("Event Type ID", "event"),
            tuple(Row((str(number), name)) for number, name in _EVENTS),
        ),
    )


def _statuses(fault: Fault) -> str:
    status = str(TABLE[fault][0])
    update = OF_UPDATE.get(fault)
    return f"{status}; of an update {update[0]}" if update else status
