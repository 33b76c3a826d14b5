"""C-MOVE SCP (PS3.4 C.4.2): a transfer to a third party, followed until it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from apps.dicom import command_set
from apps.dicom.sub_operations import SubOperations
from apps.dimse.retrieval import final, pending, wanted_keys
from apps.dimse.service import Request, Response
from apps.dimse.status import Refused
from apps.ingest import inbox
from apps.network.models import ApplicationEntity, WebArchive
from apps.transfers.actions.cancel_transfer import cancel_transfer
from apps.transfers.actions.request_transfer import MoveOrigin, send_to_other
from apps.transfers.remote import Other
from apps.transfers.selectors import standing_of
from apps.transfers.tasks import request_work

MOVE_DESTINATION_UNKNOWN: Final = 0xA801
_LOOK_SECONDS: Final = 0.1
_TELL_SECONDS: Final = 1.0
_CANCEL_SECONDS: Final = 5.0


def handle_c_move(request: Request) -> Iterator[Response]:
    """The work outlives this association; C-CANCEL ends it."""
    inbox.catch_up()
    destination = _destination(request)
    keys = wanted_keys(request)
    if not keys:
        yield final(request, SubOperations(0), cancelled=False)
        return
    transfer = send_to_other(
        request.session.principal,
        other=destination,
        keys=keys,
        origin=MoveOrigin(request.session.calling_ae_title, request.message_id),
    )
    request_work()
    yield from _followed(request, transfer.pk)


def _destination(request: Request) -> Other:
    """Raises Refused with A801 (rule MOV-05): nobody is called who is not known here."""
    title = request.text(command_set.MOVE_DESTINATION)
    peer = ApplicationEntity.objects.filter(title=title, enabled=True).first()
    if peer is not None and peer.host and peer.port:
        return peer
    # One that speaks DICOMweb takes them by STOW-RS.
    archives = WebArchive.objects.filter(name=title, enabled=True, move_destination=True)
    archive = archives.first()
    if peer is not None or archive is None:
        raise Refused(MOVE_DESTINATION_UNKNOWN, "The move destination is not known here")
    return archive


def _followed(request: Request, transfer: int) -> Iterator[Response]:
    told, cancelled_at = time.monotonic(), 0.0
    while True:
        standing = standing_of(transfer)
        if request.abandoned:
            return  # the transfer goes on
        if standing.ended:
            break
        if request.cancelled and not cancelled_at:
            cancelled_at = time.monotonic()
            cancel_transfer(request.session.principal, transfer)
            continue
        if cancelled_at and time.monotonic() - cancelled_at > _CANCEL_SECONDS:
            break  # its worker is inside a long instance; nothing after that will be sent
        if not cancelled_at and time.monotonic() - told >= _TELL_SECONDS:
            told = time.monotonic()
            yield pending(standing.counts)
        time.sleep(_LOOK_SECONDS)
    cancelled = standing.cancelled or bool(cancelled_at and not standing.ended)
    yield final(request, standing.counts, cancelled=cancelled)
