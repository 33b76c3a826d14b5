"""restore_originals: what was received is in use again, instance by instance, while it is kept."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from django.db import transaction
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.archive.actions.alert_damage import alert_damage
from apps.archive.actions.repoint_instance import BlobContent, repoint_instance
from apps.archive.actions.take_back_originals import STILL_READ
from apps.archive.models import CompressedInstance, Instance, Study
from apps.archive.pixel_passages import recoded_fragment
from apps.archive.selectors import study_of
from apps.dicom.reader import InstanceReader
from apps.dicom.scanning import InstanceScan
from apps.errors import NotFound, WrongState
from apps.events.log import NewEvent, record
from apps.storage.blobs import BlobMissing
from apps.storage.stores import blob_store

State = CompressedInstance.State


def restore_originals_of(principal: Principal, study_instance_uid: str) -> int:
    """Of a whole study; how many. Raises NotPermitted, NotFound where none is kept."""
    permit(principal, Permission.ADMINISTER)
    study_of(study_instance_uid, principal)
    kept = CompressedInstance.objects.filter(
        study_instance_uid=study_instance_uid, state=State.KEPT
    )
    count = restore_originals(principal, kept.order_by("pk"))
    if not count:
        raise NotFound("No originals of this study are kept beside compressed images.")
    return count


def restore_originals(principal: Principal, rows: Iterable[CompressedInstance]) -> int:
    """How many came back; those that are not kept any more are passed over.

    Each in a transaction of its own: those before a failure stay. No rule compresses them again.
    Raises NotPermitted, WrongState where a kept original is missing or unreadable.
    """
    permit(principal, Permission.ADMINISTER)
    return sum(_restore(principal, row) for row in rows)


def _restore(principal: Principal, row: CompressedInstance) -> bool:
    scan = _scan(row)
    with transaction.atomic():
        instance = _locked(row)
        current = (
            CompressedInstance.objects.select_for_update()
            .filter(pk=row.pk, state=State.KEPT)
            .first()
        )
        if current is None or instance is None or instance.blob_key != row.blob_key:
            return False
        repoint_instance(
            instance,
            BlobContent(
                row.original_transfer_syntax_uid,
                row.original_blob_key,
                row.original_size_bytes,
                scan.dataset_offset,
                bytes(row.original_dataset_sha256),
                None if scan.frames is None else scan.frames.to_bytes(),
                recoded_fragment(bytes(instance.metadata.fragment), scan.json),
            ),
        )
        current.state, current.removal_due_at = State.RESTORED, timezone.now() + STILL_READ
        current.save(update_fields=["state", "removal_due_at"])
        told = {"instances": 1, "sop_instance_uids": [row.sop_instance_uid]}
        actor = actor_of(principal)
        event = NewEvent("OriginalsRestored", actor, row.study_instance_uid, payload=told)
        # It may have been the compressed blob that was damaged.
        record([event, *alert_damage([row.study_instance_uid], actor)])
    return True


def _scan(row: CompressedInstance) -> InstanceScan:
    try:
        with closing(blob_store().open(row.original_blob_key)) as source:
            return InstanceReader(source).scan()
    except BlobMissing:
        raise WrongState(f"The original of {row.sop_instance_uid} is missing.") from None


def _locked(row: CompressedInstance) -> Instance | None:
    studies = Study.objects.select_for_update().filter(study_instance_uid=row.study_instance_uid)
    list(studies.values_list("pk", flat=True))
    instances = Instance.objects.select_for_update(of=("self",)).select_related("metadata")
    return instances.filter(sop_instance_uid=row.sop_instance_uid).first()
