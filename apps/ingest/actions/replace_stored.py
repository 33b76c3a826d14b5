"""replace_stored: a quarantined instance takes the place of the stored one with its UID.

Nothing is dropped: the displaced bytes become a quarantined instance themselves, and can be put
back in the same way.
"""

from __future__ import annotations

from apps.access.principals import Permission, Principal, permit
from apps.archive.actions.add_instances import NewInstance, StaleSnapshot, add_instances
from apps.archive.actions.remove_instances import prune, remove_instances
from apps.archive.actions.take_back_originals import (
    ReceivedBlob,
    received_blobs,
    take_back_originals,
)
from apps.archive.models import Instance, NonPatientInstance
from apps.dicom.part10 import Provenance
from apps.dicom.reader import InstanceReader
from apps.errors import IdentityConflict, InvalidRequest, NotFound
from apps.ingest.actions.decide_quarantined import deciding
from apps.ingest.arrivals import new_instance, scanned
from apps.ingest.house_rules import house_rules
from apps.ingest.models import QuarantinedInstance
from apps.ingest.outcomes import INSTANCES, QUARANTINE
from apps.ingest.spool import SpoolName
from apps.storage.stores import blob_store

State = QuarantinedInstance.State


def replace_stored(principal: Principal, quarantined_id: int) -> QuarantinedInstance:
    """Returns the decided row; the displaced instance has a row of its own.

    Raises NotPermitted, NotFound, InvalidRequest when there is nothing it could replace, and
    IdentityConflict when it belongs to a series or study it cannot be filed under.
    """
    permit(principal, Permission.MANAGE_QUARANTINE)
    asked = QuarantinedInstance.objects.filter(pk=quarantined_id).first()
    if asked is None:
        raise NotFound("There is no such quarantined instance.")
    stored = Instance.objects.filter(sop_instance_uid=asked.sop_instance_uid).first()
    if stored is None or not asked.sop_instance_uid:
        if NonPatientInstance.objects.filter(sop_instance_uid=asked.sop_instance_uid).exists():
            raise InvalidRequest(
                "An instance that belongs to no patient cannot be replaced. Give the new one a "
                "SOP Instance UID of its own at its source, and send it again."
            )
        raise InvalidRequest("Nothing with its SOP Instance UID is stored: retry it instead.")
    store = blob_store()
    new = _new(asked)
    leaving = received_blobs([stored])[stored.pk]
    displaced_key = _mint(QUARANTINE, leaving.size_bytes, leaving.dataset_sha256)
    try:
        store.copy(asked.blob_key, new.blob_key)
        store.copy(leaving.blob_key, displaced_key)
        with deciding(principal, quarantined_id, State.REPLACED) as row:
            kept = _exchange(stored, new, row, displaced_key, leaving)
    except BaseException:
        store.delete(new.blob_key)
        store.delete(displaced_key)
        raise
    store.delete(stored.blob_key)
    if not kept:
        store.delete(displaced_key)
    return row


def _new(asked: QuarantinedInstance) -> NewInstance:
    """The quarantined bytes as an instance, scanned again, under a key of its own."""
    provenance = Provenance(
        asked.source_door,
        source_ae_title=asked.source_ae_title,
        source_address=asked.source_address,
    )
    source = blob_store().open(asked.blob_key)
    try:
        coerced = scanned(InstanceReader(source), provenance, house_rules())
    finally:
        source.close()
    return new_instance(
        coerced,
        provenance,
        blob_key=_mint(INSTANCES, asked.size_bytes, bytes(asked.sha256)),
        size_bytes=asked.size_bytes,
        dataset_sha256=bytes(asked.sha256),
        received_at=asked.received_at,
    )


def _mint(kind: str, size: int, sha256: bytes) -> str:
    return SpoolName.mint(size, sha256.hex()).blob_key(kind)


def _exchange(
    stored: Instance,
    new: NewInstance,
    row: QuarantinedInstance,
    displaced_key: str,
    leaving: ReceivedBlob,
) -> bool:
    """Rows out, rows in, under locks; False when the displaced bytes were a case already."""
    current = (
        Instance.objects.select_for_update(of=("self",))
        .select_related("study", "series")
        .filter(pk=stored.pk, blob_key=stored.blob_key)
        .first()
    )
    if current is None or take_back_originals([current])[current.pk] != leaving:
        raise IdentityConflict("The stored instance has changed meanwhile. Look again.")
    kept = _displace(current, displaced_key, leaving)
    pointing = list(
        QuarantinedInstance.objects.filter(stored_instance=current).values_list("pk", flat=True)
    )
    try:
        remove_instances([current])
        add_instances([new])
    except StaleSnapshot:
        raise IdentityConflict(
            "This instance cannot take the stored one's place: its series or study belongs to "
            "another study or another patient."
        ) from None
    prune([current.study_id])
    successor = Instance.objects.get(blob_key=new.blob_key)
    QuarantinedInstance.objects.filter(pk__in=pointing).update(stored_instance=successor)
    row.stored_instance = successor
    return kept


def _displace(current: Instance, displaced_key: str, leaving: ReceivedBlob) -> bool:
    """The stored bytes as a case that is kept aside; True when it is a new one."""
    _, new = QuarantinedInstance.objects.update_or_create(
        sha256=leaving.dataset_sha256,
        sop_instance_uid=current.sop_instance_uid,
        defaults={
            "state": State.KEPT,
            "reason": QuarantinedInstance.Reason.OTHER_BYTES,
            "explanation": _DISPLACED,
        },
        create_defaults={
            "state": State.KEPT,
            "reason": QuarantinedInstance.Reason.OTHER_BYTES,
            "explanation": _DISPLACED,
            "blob_key": displaced_key,
            "size_bytes": leaving.size_bytes,
            "sop_class_uid": current.sop_class_uid,
            "series_instance_uid": current.series.series_instance_uid,
            "study_instance_uid": current.study.study_instance_uid,
            "transfer_syntax_uid": leaving.transfer_syntax_uid,
            "source_ae_title": current.source_ae_title,
            "source_address": current.source_address,
            "source_door": current.source_door,
            "received_at": current.received_at,
        },
    )
    return new


_DISPLACED = (
    "This instance was stored, until another one with the same SOP Instance UID was chosen to "
    "replace it. Let it replace that one to undo the choice."
)
