"""C-STORE SCP (PS3.4 B.2, PS3.7 9.1.1): one instance from its command to its answer.

Nothing is lost, so only what can be kept is accepted: success leaves after the bytes are durable in
the inbox. What contradicts its command is refused and the sender keeps it; what says too little
about itself is accepted, because the command says enough to keep it and the indexer quarantines
what cannot be indexed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from django.utils import timezone

from apps.dicom.command_set import StoreRequest
from apps.dicom.part10 import Provenance
from apps.dicom.peek import HEAD_BYTES, Identity, peek
from apps.dimse import status
from apps.dimse.data_transfer import ProtocolError
from apps.dimse.offered import is_storage
from apps.dimse.service import AcceptedContext
from apps.dimse.status import Answer, Refused, answer_for
from apps.errors import IdentityConflict, PacsError
from apps.ingest import inbox
from apps.network.association_note import AssociationNote

logger = logging.getLogger(__name__)

# TABLE: what a C-STORE can be answered with, and when; part of the conformance statement.
STATUSES: Final = (
    (status.SUCCESS, "The instance is on disk."),
    (
        status.OUT_OF_RESOURCES,
        "The disk is below its watermark, or there was no room to write.",
    ),
    (status.DATA_SET_DOES_NOT_MATCH, "SOP Class or Instance UID differ between command and data."),
    (status.CANNOT_UNDERSTAND, "The command lacks what is mandatory, or the data set is empty."),
    (status.SOP_CLASS_NOT_SUPPORTED, "Not a storage SOP Class, or not a context for storage."),
    (status.NOT_AUTHORIZED, "The caller may not store here."),
    (
        status.DUPLICATE_SOP_INSTANCE,
        "The SOP Instance UID is stored with other content, and the rule for the caller refuses.",
    ),
    (status.PROCESSING_FAILURE, "A fault of ours; the log has the details."),
)


@dataclass(slots=True)
class Counts:
    """What one association did, for its last log line."""

    stored: int = 0
    bytes: int = 0
    refused: dict[int, int] = field(default_factory=dict)

    def note(self, answer: Answer, size: int) -> None:
        """Counts one answered instance of `size` bytes."""
        if answer.status == status.SUCCESS:
            self.stored += 1
            self.bytes += size
        else:
            self.refused[answer.status] = self.refused.get(answer.status, 0) + 1


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose instances these are, as negotiated."""

    calling_ae_title: str
    called_ae_title: str
    address: str
    user: str = ""


class StoreOperation:
    """Receives one data set. `write` and `finish` never raise for what the peer or disk did."""

    def __init__(
        self,
        request: StoreRequest,
        sender: Sender,
        transfer_syntax_uid: str,
        *,
        refuses_duplicates: bool = False,
    ) -> None:
        self._request = request
        self._refuses_duplicates = refuses_duplicates
        self._sender = sender
        self._transfer_syntax_uid = transfer_syntax_uid
        self._incoming: inbox.Incoming | None = None
        self._refusal = self._objection()
        self._head: bytearray | None = bytearray()
        self._began = time.monotonic()
        self.size = 0

    def write(self, chunk: memoryview) -> None:
        """Data set bytes as received.

        After a refusal they are only counted: the protocol has no way to stop a sender inside a
        message but to cut the association.
        """
        self.size += len(chunk)
        if self._refusal is not None:
            return
        try:
            if self._head is None:
                self._into_inbox(chunk)
            else:
                self._examine(chunk)
        except (PacsError, OSError) as error:
            self._refuse(error)

    def finish(self) -> Answer:
        """After the last byte. Success means durable."""
        if self._refusal is None and self.size == 0:
            self._refusal = Answer(status.CANNOT_UNDERSTAND, "The data set is empty")
        if self._refusal is None:
            try:
                if self._head is not None:
                    self._decide(memoryview(bytes(self._head)))
                if self._incoming is not None:
                    self._check_duplicate(self._incoming)
                    self._incoming.commit()
                    inbox.give_way(time.monotonic() - self._began)
            except (PacsError, OSError) as error:
                self._refuse(error)
        self.abandon()
        return self._refusal or Answer(status.SUCCESS)

    def _check_duplicate(self, incoming: inbox.Incoming) -> None:
        uid = self._request.sop_instance_uid
        if self._refuses_duplicates and inbox.stored_otherwise(uid, incoming.dataset_sha256):
            raise Refused(status.DUPLICATE_SOP_INSTANCE, "Stored already with other content")

    def refuse(self, answer: Answer) -> None:
        """Whatever comes, this is the answer."""
        self._refusal = answer

    def abandon(self) -> None:
        """Leaves nothing behind unless `finish` has committed."""
        if self._incoming is not None:
            self._incoming.abort()
            self._incoming = None

    def _objection(self) -> Answer | None:
        """What is wrong with the command alone (PS3.7 9.3.1.1 lists what is mandatory)."""
        if not self._request.sop_class_uid:
            return Answer(status.CANNOT_UNDERSTAND, "Affected SOP Class UID is missing")
        if not self._request.sop_instance_uid:
            return Answer(status.CANNOT_UNDERSTAND, "Affected SOP Instance UID is missing")
        if not self._request.has_data_set:
            return Answer(status.CANNOT_UNDERSTAND, "The command announces no data set")
        if not is_storage(self._request.sop_class_uid):
            return Answer(status.SOP_CLASS_NOT_SUPPORTED, "Not a storage SOP Class")
        return None

    def _examine(self, chunk: memoryview) -> None:
        """Holds the first bytes back until they say what the object is, or cannot."""
        assert self._head is not None
        if not self._head and self._decide_if_clear(chunk):
            return
        self._head += chunk
        whole = memoryview(bytes(self._head))
        if len(whole) >= HEAD_BYTES:
            self._decide(whole)
        else:
            self._decide_if_clear(whole)

    def _decide_if_clear(self, head: memoryview) -> bool:
        identity = peek(bytes(head[:HEAD_BYTES]), self._transfer_syntax_uid)
        if not identity.complete:
            return False
        self._admit(identity, head)
        return True

    def _decide(self, head: memoryview) -> None:
        self._admit(peek(bytes(head[:HEAD_BYTES]), self._transfer_syntax_uid), head)

    def _admit(self, identity: Identity, head: memoryview) -> None:
        """Rule STO-02: the data set must be what the command says (PS3.4 B.2.3)."""
        self._head = None
        if identity.sop_class_uid not in (None, "", self._request.sop_class_uid):
            raise IdentityConflict("SOP Class UID differs from the command")
        if identity.sop_instance_uid not in (None, "", self._request.sop_instance_uid):
            raise IdentityConflict("SOP Instance UID differs from the command")
        self._into_inbox(head)

    def _into_inbox(self, chunk: memoryview) -> None:
        if self._incoming is None:
            self._incoming = inbox.receive(
                Provenance(
                    door="dimse",
                    source_ae_title=self._sender.calling_ae_title,
                    receiving_ae_title=self._sender.called_ae_title,
                    source_address=self._sender.address,
                    received_at=timezone.now().isoformat(),
                    user=self._sender.user,
                ),
                sop_class_uid=self._request.sop_class_uid,
                sop_instance_uid=self._request.sop_instance_uid,
                transfer_syntax_uid=self._transfer_syntax_uid,
            )
        self._incoming.write(chunk)

    def _refuse(self, error: PacsError | OSError) -> None:
        self._refusal = answer_for(error)
        self._head = None
        self.abandon()
        # The kind of the error and our own sentence: neither can carry what the peer sent.
        logger.warning(
            "C-STORE refused with %04X: %s",
            self._refusal.status,
            error.message if isinstance(error, PacsError) else type(error).__name__,
            extra={"calling_ae_title": self._sender.calling_ae_title},
        )


class StoreService:
    """C-STORE for one association: its accepted contexts, its sender, its counts."""

    def __init__(
        self,
        sender: Sender,
        contexts: Mapping[int, AcceptedContext],
        note: AssociationNote,
        *,
        refuses_duplicates: bool = False,
    ) -> None:
        self._refuses_duplicates = refuses_duplicates
        self._sender = sender
        self._note = note
        self._sop_instance_uid = ""
        self._contexts = contexts
        self.counts = Counts()

    def begin(self, context_id: int, request: StoreRequest) -> StoreOperation:
        """The operation that takes the data set. Raises ProtocolError for a context not accepted.

        The command's SOP Class need not be the context's: senders get this wrong, the Transfer
        Syntax is what the context decides. Only a context that is not for storage is refused.
        """
        if context_id not in self._contexts:
            raise ProtocolError("a message in a presentation context that was not accepted")
        context = self._contexts[context_id]
        self._sop_instance_uid = request.sop_instance_uid
        operation = StoreOperation(
            request,
            self._sender,
            context.transfer_syntax,
            refuses_duplicates=self._refuses_duplicates,
        )
        if not is_storage(context.abstract_syntax):
            operation.refuse(Answer(status.SOP_CLASS_NOT_SUPPORTED, "Not a storage context"))
        elif not context.role.scu:
            operation.refuse(Answer(status.NOT_AUTHORIZED, "The SCU role was not granted here"))
        return operation

    def answered(self, answer: Answer, size: int) -> None:
        """The response is on its way; the indexer may hear of it."""
        self.counts.note(answer, size)
        self._note.count("C-STORE", answer.status)
        self._note.received_bytes += size
        if answer.status == status.SUCCESS:
            inbox.ring()
        else:
            self._note.refuse(self._sop_instance_uid, answer.status)
