"""sweep_strays: blobs that no row points to go back to the inbox.

A blob without a row is what a crash between placing and committing leaves, or a database restored
from an older backup. It is never deleted here: the indexer decides anew what it is, and removes it
only when the same bytes are stored under another key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from django.utils import timezone

from apps.ingest import spool
from apps.ingest.outcomes import INSTANCES, QUARANTINE, used_keys
from apps.ingest.spool import SpoolName
from apps.storage.blobs import BlobMissing
from apps.storage.stores import blob_store

_AT_ONCE: Final = 500
_UNFINISHED_SECONDS: Final = 24 * 3600


def sweep_strays(older_than: timedelta = timedelta(hours=1)) -> int:
    """Looks at every blob's key; how many were taken back. Run it when little else happens."""
    store = blob_store()
    limit = timezone.now() - older_than
    taken = 0
    for kind in (INSTANCES, QUARANTINE):
        for keys in _chunks(store.keys(f"{kind}/")):
            for key in set(keys) - used_keys(keys):
                taken += _take_back(key, limit)
    store.discard_unfinished(_UNFINISHED_SECONDS)
    return taken


def _take_back(key: str, limit: datetime) -> bool:
    try:
        name = SpoolName.parse(key.rpartition("/")[2])
    except ValueError:
        return False  # not placed by the indexer
    if name.received_at >= limit or spool.is_waiting(str(name)):
        return False
    try:
        spool.take_back(blob_store().stream(key), name)
    except BlobMissing:
        return False  # cleared meanwhile
    return True


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(keys)
    while chunk := list(islice(remaining, _AT_ONCE)):
        yield chunk
