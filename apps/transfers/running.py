"""Runs transfers one after another: claims one, sends or fetches, writes down how it ended."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connections

from apps.dicom.sub_operations import is_passing
from apps.errors import PacsError
from apps.ingest.receiving import WADO_RS
from apps.network.peer_errors import AssociationRejected
from apps.network.scu import PeerRefused
from apps.transfers.actions.claim_transfer import claim_transfer
from apps.transfers.actions.end_transfer import end_transfer
from apps.transfers.actions.note_progress import LeaseLost, keep_lease
from apps.transfers.actions.request_transfer import STOW_RS
from apps.transfers.fetching import fetch
from apps.transfers.models import Transfer
from apps.transfers.sending import Cancelled, send
from apps.transfers.web_fetching import fetch_by_web
from apps.transfers.web_queries import ArchiveBusy
from apps.transfers.web_sending import send_by_web

logger = logging.getLogger(__name__)

_KEEP_SECONDS: Final = 3.0


# An attempt that ends here in whatever way is the last one once there were enough of them. More are
# claimed only where the worker died with it: at restarts, or because of what it was sent.
_MOST_DEATHS: Final = 8
_DEADLY: Final = "The process that ran it ended in the middle of it, again and again."


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
        if transfer.attempts > transfer.most_attempts + _MOST_DEATHS:
            end_transfer(transfer.pk, holder, problem=_DEADLY, retryable=False)
            return
        with _kept(transfer.pk, holder):
            problem, retryable, not_sooner = _run(transfer, holder)
        end_transfer(
            transfer.pk, holder, problem=problem, retryable=retryable, not_sooner=not_sooner
        )
    except LeaseLost:
        logger.warning("Transfer %d is run by another worker now.", transfer.pk)


@contextmanager
def _kept(transfer: int, holder: str) -> Iterator[None]:
    """Keeps the lease from a thread of its own: a peer may take its time, a dead worker may not."""
    over = threading.Event()

    def keep() -> None:
        try:
            while not over.wait(_KEEP_SECONDS):
                try:
                    keep_lease(transfer, holder)
                except DatabaseError as error:
                    # There is time for another try before it runs out.
                    logger.warning("A lease could not be kept: %s", type(error).__name__)
                    connections.close_all()
        finally:
            connections.close_all()

    keeper = threading.Thread(target=keep, name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def _run(transfer: Transfer, holder: str) -> tuple[str, bool, timedelta]:
    """What went wrong, `""` for nothing, whether another try may help, and when at the earliest.

    What nobody has foreseen counts as an attempt: with its lease run out, the transfer would be
    claimed again every few seconds, for ever. Raises LeaseLost, and where the database is away.
    """
    try:
        return _ended(transfer, holder)
    except (LeaseLost, OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
        # A traceback could carry what was sent into the log.
        logger.error("Transfer %d failed: %s", transfer.pk, type(error).__name__)  # noqa: TRY400 - no text
        return "It failed here: an administrator finds more in the log.", True, timedelta(0)


def _ended(transfer: Transfer, holder: str) -> tuple[str, bool, timedelta]:
    no_pause = timedelta(0)
    try:
        _work_of(transfer)(transfer, holder)
    except Cancelled:
        return "Cancelled.", False, no_pause
    except AssociationRejected as error:
        return error.message, error.transient, no_pause
    except PeerRefused as error:
        return error.message, is_passing(error.status), no_pause
    except ArchiveBusy as error:
        return error.message, True, error.after
    except PacsError as error:
        logger.info("Transfer %d could not go on: %s", transfer.pk, error.message)
        return error.message, error.retryable, no_pause
    return "", False, no_pause


def _work_of(transfer: Transfer) -> Callable[[Transfer, str], None]:
    if transfer.kind == Transfer.Kind.SEND:
        return send_by_web if transfer.method == STOW_RS else send
    return fetch_by_web if transfer.method == WADO_RS else fetch
