"""record_report: what a peer answered to our request for storage commitment (PS3.4 J.3.3)."""

from __future__ import annotations

from typing import Final

from django.db import transaction
from django.utils import timezone

from apps.commitment.actions.note_committed import note_copied
from apps.commitment.models import CommitmentInquiry
from apps.commitment.references import pack_outcomes, unpack_references
from apps.dicom.element_shapes import Encoding
from apps.dicom.storage_commitment import FailureReason, references, transaction_uid
from apps.errors import NotFound
from apps.events.log import Actor, NewEvent, record

State = CommitmentInquiry.State
_ANSWERED: Final = (State.COMMITTED, State.FAILED)


def record_report(title: str, information: bytes, *, implicit: bool) -> CommitmentInquiry:
    """Keeps the outcome, instance by instance; hearing the same report twice changes nothing.

    What the report does not mention is not committed. Raises NotFound for a transaction that is
    not one of ours with this peer, InvalidRequest for a report that cannot be read.
    """
    encoding = Encoding(implicit=implicit, big_endian=False)
    uid = transaction_uid(information, encoding)
    outcome = {each.sop_instance_uid: each.failure for each in references(information, encoding)}
    with transaction.atomic():
        inquiry = (
            CommitmentInquiry.objects.select_for_update(of=("self",))
            .filter(transaction_uid=uid, peer_title=title.strip())
            .first()
        )
        if inquiry is None or not uid:
            raise NotFound("There is no such transaction.")
        if inquiry.state in _ANSWERED:
            return inquiry
        inquiry.failed = _keep(inquiry, outcome)
        inquiry.state = State.FAILED if inquiry.failed else State.COMMITTED
        inquiry.answered_at = timezone.now()
        inquiry.next_attempt_at = None
        inquiry.problem = (
            f"{title} did not commit to {inquiry.failed} of {inquiry.instances} instances."
            if inquiry.failed
            else ""
        )
        inquiry.save(update_fields=["failed", "state", "answered_at", "next_attempt_at", "problem"])
        told = {
            "inquiry": inquiry.pk,
            "committed": inquiry.instances - inquiry.failed,
            "failed": inquiry.failed,
        }
        record([NewEvent("CommitmentObtained", Actor("ae", title, door="dimse"), payload=told)])
    return inquiry


def _keep(inquiry: CommitmentInquiry, outcome: dict[str, int]) -> int:
    """Outcomes to the rows, copies to the receipts; how many failed."""
    failed = 0
    now = timezone.now()
    for row in inquiry.references.order_by("number").iterator(chunk_size=1):
        uids = [uid for _, uid in unpack_references(bytes(row.packed))]
        failures = [outcome.get(uid, int(FailureReason.PROCESSING_FAILURE)) for uid in uids]
        row.outcomes = pack_outcomes(failures)
        row.save(update_fields=["outcomes"])
        failed += sum(map(bool, failures))
        good = [uid for uid, failure in zip(uids, failures, strict=True) if not failure]
        note_copied(good, inquiry.peer_title, now)
    return failed
