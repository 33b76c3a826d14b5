"""hand_out_quarantined: quarantined bytes leave by a door, and that is an event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from apps.access.audit import actor_of
from apps.access.principals import Principal
from apps.errors import Unavailable
from apps.events.log import NewEvent, record
from apps.ingest.quarantine import quarantined_instance
from apps.storage.blobs import BlobMissing
from apps.storage.stores import blob_store


@dataclass(frozen=True, slots=True)
class QuarantinedBytes:
    """The bytes as they were received, in chunks; `size` in bytes."""

    file_name: str
    size: int
    chunks: Iterator[bytes]


def hand_out_quarantined(principal: Principal, quarantined_id: int) -> QuarantinedBytes:
    """Raises NotPermitted, NotFound, and Unavailable when the bytes are gone."""
    row = quarantined_instance(principal, quarantined_id)
    store = blob_store()
    try:
        size = store.size(row.blob_key)
    except BlobMissing as failure:
        raise Unavailable("The bytes of this case cannot be found.") from failure
    record(
        [
            NewEvent(
                "QuarantinedInstanceRetrieved",
                actor_of(principal),
                row.study_instance_uid,
                row.series_instance_uid,
                row.sop_instance_uid,
                payload={"quarantined": row.pk},
            )
        ]
    )
    return QuarantinedBytes(f"quarantined-{row.pk}.dcm", size, store.stream(row.blob_key))
