"""Normalized services we ask of a peer (PS3.7 10.1): N-CREATE, N-SET, N-EVENT-REPORT."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from apps.dicom import command_set
from apps.dicom.command_set import CommandSetError, Value
from apps.dicom.data_sets import write_data_set
from apps.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from apps.errors import Unavailable
from apps.network.associate_items import ProposedContext, Remote
from apps.network.association import OpenContext, OutgoingAssociation

_PLAIN: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
# Warnings of PS3.7 C.1 and C.4; the service classes' own are 0xBxxx.
_WARNINGS: Final = frozenset({0x0001, 0x0107, 0x0116})
_WARNING_CLASS: Final = 0xB000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the peer answered: a DIMSE status, and its Error Comment if it gave one."""

    status: int
    comment: str = ""

    @property
    def accepted(self) -> bool:
        """Success or a warning (PS3.7 C.1, C.3)."""
        own_warning = self.status & 0xF000 == _WARNING_CLASS
        return self.status == 0 or self.status in _WARNINGS or own_warning


class NormalizedAssociation:
    """An association with one abstract syntax accepted. Methods raise PeerUnreachable."""

    def __init__(self, association: OutgoingAssociation, context: OpenContext) -> None:
        self._association = association
        self._context = context

    def create(self, sop_instance_uid: str, document: Mapping[str, Any]) -> Outcome:
        """N-CREATE of a data set in the DICOM JSON Model."""
        return self._ask(
            {
                command_set.COMMAND_FIELD: command_set.N_CREATE_RQ,
                command_set.AFFECTED_SOP_CLASS_UID: self._context.abstract_syntax,
                command_set.AFFECTED_SOP_INSTANCE_UID: sop_instance_uid,
            },
            document,
        )

    def set(self, sop_instance_uid: str, document: Mapping[str, Any]) -> Outcome:
        """N-SET."""
        return self._ask(
            {
                command_set.COMMAND_FIELD: command_set.N_SET_RQ,
                command_set.REQUESTED_SOP_CLASS_UID: self._context.abstract_syntax,
                command_set.REQUESTED_SOP_INSTANCE_UID: sop_instance_uid,
            },
            document,
        )

    def report(
        self,
        sop_class_uid: str,
        sop_instance_uid: str,
        event_type: int,
        document: Mapping[str, Any],
    ) -> Outcome:
        """N-EVENT-REPORT; the instance's class need not be the one negotiated (PS3.4 CC.3.1.1)."""
        return self._ask(
            {
                command_set.COMMAND_FIELD: command_set.N_EVENT_REPORT_RQ,
                command_set.AFFECTED_SOP_CLASS_UID: sop_class_uid,
                command_set.AFFECTED_SOP_INSTANCE_UID: sop_instance_uid,
                command_set.EVENT_TYPE_ID: event_type,
            },
            document,
        )

    def _ask(self, command: dict[int, Value], document: Mapping[str, Any]) -> Outcome:
        command[command_set.MESSAGE_ID] = self._association.new_message_id()
        data = write_data_set(document, self._context.transfer_syntax)
        self._association.request(self._context, command, data or None)
        answer = self._association.receive()
        try:
            comment = command_set.text(answer.elements, command_set.ERROR_COMMENT)
            return Outcome(answer.status, comment)
        except CommandSetError as error:
            raise Unavailable("The answer has no status.") from error


@contextlib.contextmanager
def normalized_association(
    remote: Remote, abstract_syntax: str, *, as_scp: bool = False
) -> Iterator[NormalizedAssociation]:
    """Opens and releases; `as_scp` for events that the SCP of a class reports.

    Raises PeerUnreachable, AssociationRejected, and InvalidRequest when the peer will not have
    this service.
    """
    proposed = [ProposedContext(abstract_syntax, _PLAIN, as_scp=as_scp)]
    with OutgoingAssociation.open(remote, proposed) as association:
        yield NormalizedAssociation(association, association.context_for(abstract_syntax))
