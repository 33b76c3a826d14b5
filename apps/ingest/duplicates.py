"""Whether a UID is taken by other bytes: asked by doors that refuse such objects on the spot."""

from __future__ import annotations

import logging

from django.db import Error as DatabaseError
from django.db import connection

from apps.archive.compressed import compressions_in_use
from apps.archive.models import Instance, NonPatientInstance

logger = logging.getLogger(__name__)


def stored_otherwise(sop_instance_uid: str, dataset_sha256: bytes) -> bool:
    """True when an instance of that UID is indexed and its data set is not these bytes (STO-06).

    What still waits in the inbox is not known here, nor anything while the database is away: such
    an object is taken, and set aside when it is indexed.
    """
    try:
        for model in (Instance, NonPatientInstance):
            rows = model._default_manager.filter(sop_instance_uid=sop_instance_uid)
            for known in rows.values_list("dataset_sha256", flat=True):
                return bytes(known) != dataset_sha256 and not _received(
                    sop_instance_uid, dataset_sha256
                )
    except DatabaseError as error:
        connection.close_if_unusable_or_obsolete()
        logger.warning("Duplicates could not be looked for: %s", type(error).__name__)
    return False


def _received(sop_instance_uid: str, dataset_sha256: bytes) -> bool:
    """Whether these are the bytes in whose place compressed ones stand."""
    compressed = compressions_in_use([sop_instance_uid]).get(sop_instance_uid)
    return compressed is not None and bytes(compressed.original_dataset_sha256) == dataset_sha256
