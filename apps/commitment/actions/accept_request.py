"""accept_request: a peer's request for storage commitment becomes a durable row (PS3.4 J.3.2)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.commitment.models import CommitmentRequest, RequestedReferences
from apps.commitment.references import chunks_without_repetition, pack_references
from apps.dicom.element_shapes import Encoding
from apps.dicom.storage_commitment import LONGEST_UID, references, transaction_uid
from apps.errors import IdentityConflict, InvalidRequest, OutOfResources
from apps.events.log import Actor, NewEvent, record

State = CommitmentRequest.State

WEB: Final = "dicomweb"
MOST_INSTANCES: Final = 500_000
ASSOCIATION_LEASE: Final = timedelta(seconds=15)
"""An association that has not said for so long that it is open does not deliver the report."""


class TransactionInUse(IdentityConflict):
    """The Transaction UID belongs to another request of this peer, or to a finished one."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, by which association; `association` is "" where it cannot carry the report.

    By the door `dicomweb` the title is the beginning of the user's name, who fetches the report.
    """

    calling_ae_title: str
    called_ae_title: str
    address: str
    association: str = ""
    door: str = "dimse"

    @property
    def actor(self) -> Actor:
        """For the event log."""
        kind = "ae" if self.door == "dimse" else "user"
        return Actor(kind, self.calling_ae_title, self.address, self.door)


def accept_request(asking: Asking, information: bytes, encoding: Encoding) -> CommitmentRequest:
    """Keeps the request; what it asks for is verified later. Durable when this returns.

    The same request once more, while the first is not reported, is the same request: its sender
    has not heard our answer. Raises TransactionInUse for any other reuse of the Transaction UID,
    InvalidRequest for Action Information that lacks something, OutOfResources for too much.
    """
    uid = transaction_uid(information, encoding)
    if not uid or len(uid) > LONGEST_UID:
        raise InvalidRequest("Transaction UID is missing or too long.", offending=("00081195",))
    digest = hashlib.sha256(information).digest()
    known = _known(asking, uid)
    if known is None:
        try:
            return _kept(asking, uid, digest, information, encoding)
        except IntegrityError:
            known = _known(asking, uid)
            if known is None:
                raise
    fetched = asking.door == WEB and known.state == State.REPORTED
    open_states = (State.RECEIVED, State.VERIFIED)
    if bytes(known.content_sha256) != digest or not (fetched or known.state in open_states):
        raise TransactionInUse("The Transaction UID is in use.")
    if asking.door != WEB:
        _moved(known, asking)
    return known


def _known(asking: Asking, uid: str) -> CommitmentRequest | None:
    return CommitmentRequest.objects.filter(
        door=asking.door, calling_ae_title=asking.calling_ae_title, transaction_uid=uid
    ).first()


def _moved(request: CommitmentRequest, asking: Asking) -> None:
    """The report goes to the association the peer uses now."""
    request.association = asking.association
    request.association_until = timezone.now() + ASSOCIATION_LEASE
    request.called_ae_title = asking.called_ae_title
    request.save(update_fields=["association", "association_until", "called_ae_title"])


def _kept(
    asking: Asking, uid: str, digest: bytes, information: bytes, encoding: Encoding
) -> CommitmentRequest:
    now = timezone.now()
    with transaction.atomic():
        request = CommitmentRequest.objects.create(
            transaction_uid=uid,
            door=asking.door,
            calling_ae_title=asking.calling_ae_title,
            called_ae_title=asking.called_ae_title,
            address=asking.address,
            content_sha256=digest,
            received_at=now,
            association=asking.association,
            association_until=now + ASSOCIATION_LEASE if asking.association else None,
        )
        asked = references(information, encoding)
        for number, chunk in enumerate(chunks_without_repetition(asked)):
            request.instances += len(chunk)
            if request.instances > MOST_INSTANCES:
                raise OutOfResources(f"More than {MOST_INSTANCES} instances in one request.")
            RequestedReferences.objects.create(
                request=request, number=number, packed=pack_references(chunk)
            )
        if not request.instances:
            raise InvalidRequest("No instance is referenced.", offending=("00081199",))
        request.save(update_fields=["instances"])
        record(
            [
                NewEvent(
                    "CommitmentRequested",
                    asking.actor,
                    payload={"request": request.pk, "instances": request.instances},
                )
            ]
        )
    return request
