"""request_by_web, fetch_result: storage commitment asked for and answered by DICOMweb (PS3.18 13).

The same request, checks and receipts as over DIMSE; the report is not sent, but fetched.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings

from apps.access.principals import Permission, Principal, permit
from apps.commitment import leases
from apps.commitment.actions.accept_request import WEB, Asking, accept_request
from apps.commitment.actions.deliver_reports import mark_reported
from apps.commitment.actions.note_committed import note_committed
from apps.commitment.models import CommitmentRequest
from apps.dicom import uids
from apps.dicom.element_shapes import Encoding
from apps.dicom.storage_commitment import Reference, action_information
from apps.errors import InvalidRequest, NotFound

_LONGEST_TITLE = 16
_ENCODING = Encoding(implicit=True, big_endian=False)
State = CommitmentRequest.State


def request_by_web(
    principal: Principal, transaction_uid: str, wanted: Iterable[Reference]
) -> CommitmentRequest:
    """Keeps the request, durable when this returns; the same one again is the same request.

    Raises NotPermitted, InvalidRequest, OutOfResources, and TransactionInUse where the UID is that
    of another request of this user.
    """
    permit(principal, Permission.STORE_INSTANCES)
    if not uids.is_valid(transaction_uid):
        raise InvalidRequest("The Transaction UID in the path is no UID.")
    asking = Asking(
        principal.name[:_LONGEST_TITLE],
        settings.PACSWEB.ae_title,
        principal.address,
        door=WEB,
    )
    information = action_information(transaction_uid, wanted, implicit=True)
    return accept_request(asking, information, _ENCODING)


def fetch_result(principal: Principal, transaction_uid: str) -> CommitmentRequest | None:
    """The request whose outcomes are known, None while they are not; noted as told.

    Raises NotPermitted, and NotFound for what this user has not asked for.
    """
    permit(principal, Permission.STORE_INSTANCES)
    request = CommitmentRequest.objects.filter(
        door=WEB,
        calling_ae_title=principal.name[:_LONGEST_TITLE],
        transaction_uid=transaction_uid,
    ).first()
    if request is None:
        raise NotFound("There is no such storage commitment request.")
    if request.state == State.RECEIVED:
        return None
    told = CommitmentRequest.objects.filter(pk=request.pk, state=State.VERIFIED)
    if leases.take(told):  # of two who fetch it at once, one is noted
        mark_reported(request, "DICOMweb")
        note_committed()
    return request
