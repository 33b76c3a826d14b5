"""What a compression rule would do with what came last; nothing is compressed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apps.access.principals import Permission, Principal, permit
from apps.archive.models import Instance
from apps.compression.candidates import Asked, Candidate
from apps.compression.models import CompressionRule
from apps.dicom.part10 import Provenance
from apps.retrieve.locations import locations_by_key
from apps.retrieve.metadata import dicom_json_by_key

_MOST: Final = 20


@dataclass(frozen=True, slots=True)
class Previewed:
    """One instance: whether the rule would compress it, and if not, why."""

    study_instance_uid: str
    sop_instance_uid: str
    fits: bool
    reason: str


def preview_compression(principal: Principal, rule: CompressionRule) -> list[Previewed]:
    """The 20 instances stored last, each series once. Raises NotPermitted, InvalidRequest."""
    permit(principal, Permission.ADMINISTER)
    asked = Asked.of(rule)
    newest = Instance.objects.order_by("-pk").values_list("pk", "series_id")[: _MOST * 50]
    keys = list({series: pk for pk, series in newest}.values())[:_MOST]
    rows = Instance.objects.in_bulk(keys)
    documents = dicom_json_by_key(keys)
    found = []
    for location in locations_by_key(keys):
        row = rows[location.key]
        provenance = Provenance(row.source_door, row.source_ae_title)
        candidate = Candidate(location, documents[location.key], provenance, row.received_at)
        reason = asked.why_not(candidate)
        found.append(
            Previewed(location.study_instance_uid, row.sop_instance_uid, not reason, reason)
        )
    return found
