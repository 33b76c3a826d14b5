"""Runs transfers one after another: claims one, sends or fetches, writes down how it ended."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import Error as DatabaseError
from django.db import connections

from apps.dicom.sub_operations import is_passing
from apps.errors import PacsError, Unavailable
from apps.network.peer_errors import AssociationRejected
from apps.network.scu import PeerRefused
from apps.transfers.actions.claim_transfer import claim_transfer
from apps.transfers.actions.end_transfer import end_transfer
from apps.transfers.actions.note_progress import LeaseLost, keep_lease
from apps.transfers.fetching import fetch
from apps.transfers.models import Transfer
from apps.transfers.sending import Cancelled, send

logger = logging.getLogger(__name__)

_KEEP_SECONDS: Final = 3.0


def run_due_transfers() -> int:
    """Runs what is due until nothing is; how many."""
    holder = f"{socket.gethostname()[:20]}-{os.getpid()}-{threading.get_ident()}"[:50]
    ran = 0
    while (transfer := claim_transfer(f"{holder}-{uuid.uuid4().hex[:8]}")) is not None:
        run_transfer(transfer)
        ran += 1
    return ran


def run_transfer(transfer: Transfer) -> None:
    """Runs a claimed transfer to its end, or to its next attempt."""
    holder = transfer.lease_holder
    try:
        with _kept(transfer.pk, holder):
            problem, retryable = _run(transfer, holder)
        end_transfer(transfer.pk, holder, problem=problem, retryable=retryable)
    except LeaseLost:
        logger.warning("Transfer %d is run by another worker now.", transfer.pk)


@contextmanager
def _kept(transfer: int, holder: str) -> Iterator[None]:
    """Keeps the lease from a thread of its own: a peer may take its time, a dead worker may not."""
    over = threading.Event()

    def keep() -> None:
        try:
            while not over.wait(_KEEP_SECONDS):
                keep_lease(transfer, holder)
        except DatabaseError as error:
            logger.warning("A lease could not be kept: %s", type(error).__name__)
        finally:
            connections.close_all()

    keeper = threading.Thread(target=keep, name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def _run(transfer: Transfer, holder: str) -> tuple[str, bool]:
    """What went wrong, `""` for nothing, and whether another try may help."""
    try:
        if transfer.kind == Transfer.Kind.SEND:
            send(transfer, holder)
        else:
            fetch(transfer, holder)
    except Cancelled:
        return "Cancelled.", False
    except AssociationRejected as error:
        return error.message, error.transient
    except PeerRefused as error:
        return error.message, is_passing(error.status)
    except PacsError as error:
        logger.info("Transfer %d could not go on: %s", transfer.pk, error.message)
        return error.message, isinstance(error, Unavailable)
    return "", False
