"""What is known of instances whose received bytes were replaced by compressed ones."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from apps.archive.models import CompressedInstance

_State = CompressedInstance.State
_IN_USE: Final = (_State.KEPT, _State.REMOVING, _State.REMOVED)


def compressions_in_use(uids: Collection[str]) -> dict[str, CompressedInstance]:
    """By SOP Instance UID, where the compressed blob is the one in use. One query."""
    rows = CompressedInstance.objects.filter(sop_instance_uid__in=uids, state__in=_IN_USE)
    return {row.sop_instance_uid: row for row in rows.order_by("pk")}
