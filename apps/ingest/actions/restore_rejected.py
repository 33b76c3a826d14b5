"""restore_rejected: what was rejected of a study comes back, from its bytes, as it was."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.archive.actions.add_instances import NewInstance, StaleSnapshot, add_instances
from apps.archive.models import Instance
from apps.dicom.part10 import Provenance
from apps.dicom.reader import InstanceReader
from apps.errors import IdentityConflict, NotFound
from apps.events.log import NewEvent, record
from apps.ingest.arrivals import new_instance, scanned
from apps.ingest.house_rules import HouseRules, house_rules
from apps.ingest.models import QuarantinedInstance
from apps.storage.stores import blob_store

_AT_ONCE: Final = 200
_RESTORABLE: Final = (QuarantinedInstance.State.KEPT, QuarantinedInstance.State.WAITING)


def restore_rejected(
    principal: Principal, study_uid: str, *, only: Collection[str] | None = None
) -> int:
    """How many instances came back, of the SOP Instance UIDs in `only` if that is given.

    What was stored again meanwhile stays rejected, and so does all but the last of what was
    rejected several times. Those that came back before a failure stay.

    Raises NotPermitted, NotFound where nothing of the study is rejected, and IdentityConflict
    where something else has taken the place of all of them, or of their series or study.
    """
    permit(principal, Permission.DELETE_STUDIES)
    restored = 0
    rows_of = rejected_of(study_uid)
    if only is not None:
        rows_of = rows_of.filter(sop_instance_uid__in=only)
    stored = Instance.objects.filter(sop_instance_uid=OuterRef("sop_instance_uid"))
    free = rows_of.filter(~Exists(stored)).order_by("-pk")
    while keys := list(free.values_list("pk", flat=True)[:_AT_ONCE]):
        with transaction.atomic():
            locked = rejected_of(study_uid).select_for_update().filter(pk__in=keys)
            # In order, so that the last of several with one UID is the one that is kept here.
            rows = list({row.sop_instance_uid: row for row in locked}.values())
            _restore(principal, study_uid, rows)
        restored += len(rows)
    if not restored and rows_of.exists():
        raise IdentityConflict("All of it was stored again meanwhile.")
    if not restored:
        raise NotFound("Nothing of this study is rejected.")
    return restored


def rejected_of(study_uid: str) -> QuerySet[QuarantinedInstance]:
    """The rejected instances of a study that can still come back."""
    return QuarantinedInstance.objects.filter(
        study_instance_uid=study_uid,
        reason=QuarantinedInstance.Reason.REJECTED,
        state__in=_RESTORABLE,
    ).order_by("pk")


def _restore(principal: Principal, study_uid: str, rows: Sequence[QuarantinedInstance]) -> None:
    uids = [row.sop_instance_uid for row in rows]
    if Instance.objects.filter(sop_instance_uid__in=uids).exists():
        raise IdentityConflict("An instance with the same UID was stored meanwhile.")
    rules = house_rules()
    try:
        add_instances([_as_new(row, rules) for row in rows])
    except StaleSnapshot:
        raise IdentityConflict(
            "Its series or study belongs to another study or patient meanwhile."
        ) from None
    QuarantinedInstance.objects.filter(pk__in=[row.pk for row in rows]).delete()
    payload = {"count": len(rows)}
    event = NewEvent("InstancesRestored", actor_of(principal), study_uid, payload=payload)
    record([event])


def _as_new(row: QuarantinedInstance, rules: HouseRules) -> NewInstance:
    """The instance scanned again, its blob where it always was."""
    provenance = Provenance(
        row.source_door,
        source_ae_title=row.source_ae_title,
        source_address=row.source_address,
    )
    with closing(blob_store().open(row.blob_key)) as source:
        coerced = scanned(InstanceReader(source), provenance, rules)
    return new_instance(
        coerced,
        provenance,
        blob_key=row.blob_key,
        size_bytes=row.size_bytes,
        dataset_sha256=bytes(row.sha256),
        received_at=row.received_at,
    )
