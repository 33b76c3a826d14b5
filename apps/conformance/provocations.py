"""TABLE: requests that change nothing and must be refused, each with the status it is refused with.

They prove the failures of the statement: `manage.py conformance test` sends them to ourselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from apps.conformance.document import Claim
from apps.dicom import command_set, ups
from apps.dicom.command_set import (
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    N_ACTION_RQ,
    N_EVENT_REPORT_RQ,
    N_GET_RQ,
    N_SET_RQ,
    Value,
)
from apps.dicom.identifiers import AnswerWriter
from apps.dicom.storage_commitment import PUSH_MODEL_CLASS, PUSH_MODEL_INSTANCE
from apps.dicom.uids import name_of
from apps.dimse import mpps, query_models, worklist
from apps.network.associate_items import ProposedContext, Remote
from apps.network.association import OutgoingAssociation
from apps.network.scu import PLAIN

_NOBODY: Final = "2.25.1"  # no instance has it
_LEVEL, _STUDY, _BIRTH_DATE = 0x00080052, 0x0020000D, 0x00100030
_PATIENT_ID: Final = 0x00100020
_PATIENT_ROOT: Final = query_models.TABLE[0]


@dataclass(frozen=True, slots=True)
class Provocation:
    """A request in a context of `sop_class`: further command elements, and an identifier or none.

    `instance` is the SOP Instance UID of a DIMSE-N request.
    """

    sop_class: str
    command: int
    status: int
    instance: str = ""
    elements: Mapping[int, Value] = field(default_factory=dict)
    identifier: Mapping[int, str] | None = None

    @property
    def claim(self) -> Claim:
        """What it proves."""
        name = command_set.COMMAND_NAMES[self.command]
        key = f"{self.sop_class}:{name}:{self.status:04X}"
        text = f"{name} of {name_of(self.sop_class)} is answered {self.status:04X} where due."
        return Claim(f"status:{key}", text, "status", {"key": key})


TABLE: Final = (
    *(
        Provocation(model.find, C_FIND_RQ, 0xA900, identifier={_STUDY: ""})
        for model in query_models.TABLE
    ),
    Provocation(_PATIENT_ROOT.get, C_GET_RQ, 0xA900, identifier={_LEVEL: "STUDY"}),
    Provocation(
        _PATIENT_ROOT.move,
        C_MOVE_RQ,
        0xA801,
        elements={command_set.MOVE_DESTINATION: "NOBODY.KNOWN.HR"},
        identifier={_LEVEL: "PATIENT", _PATIENT_ID: "NOBODY"},
    ),
    Provocation(worklist.FIND, C_FIND_RQ, 0xA900, identifier={_BIRTH_DATE: "no date"}),
    Provocation(mpps.PERFORMED_STEP, N_SET_RQ, 0x0112, _NOBODY),
    Provocation(mpps.RETRIEVE, N_GET_RQ, 0x0112, _NOBODY),
    Provocation(PUSH_MODEL_CLASS, N_ACTION_RQ, 0x0112, _NOBODY, {command_set.ACTION_TYPE_ID: 1}),
    Provocation(
        PUSH_MODEL_CLASS, N_ACTION_RQ, 0x0123, PUSH_MODEL_INSTANCE, {command_set.ACTION_TYPE_ID: 7}
    ),
    Provocation(
        PUSH_MODEL_CLASS,
        N_EVENT_REPORT_RQ,
        0x0113,
        PUSH_MODEL_INSTANCE,
        {command_set.EVENT_TYPE_ID: 7},
    ),
    *(
        Provocation(uid, N_ACTION_RQ, 0x0123, _NOBODY, {command_set.ACTION_TYPE_ID: 9})
        for uid in (ups.PUSH, ups.PULL, ups.WATCH)
    ),
)
BY_KEY: Final = {each.claim.facts["key"]: each for each in TABLE}


def answer_to(provocation: Provocation, target: Remote) -> int:
    """The status of the response. Raises PeerUnreachable, AssociationRejected, InvalidRequest."""
    proposed = [ProposedContext(provocation.sop_class, PLAIN)]
    with OutgoingAssociation.open(target, proposed) as association:
        context = association.context_for(provocation.sop_class)
        data = None
        if provocation.identifier is not None:
            data = AnswerWriter(context.transfer_syntax, ()).write(provocation.identifier, {})
        command = _command(provocation, association.new_message_id())
        association.request(context, command, data)
        return association.receive().status


def _command(provocation: Provocation, message_id: int) -> dict[int, Value]:
    command: dict[int, Value] = {
        command_set.COMMAND_FIELD: provocation.command,
        command_set.MESSAGE_ID: message_id,
        **provocation.elements,
    }
    if not provocation.instance:
        return command | {
            command_set.AFFECTED_SOP_CLASS_UID: provocation.sop_class,
            command_set.PRIORITY: 0,
        }
    if provocation.command == N_EVENT_REPORT_RQ:
        return command | {
            command_set.AFFECTED_SOP_CLASS_UID: provocation.sop_class,
            command_set.AFFECTED_SOP_INSTANCE_UID: provocation.instance,
        }
    return command | {
        command_set.REQUESTED_SOP_CLASS_UID: provocation.sop_class,
        command_set.REQUESTED_SOP_INSTANCE_UID: provocation.instance,
    }
