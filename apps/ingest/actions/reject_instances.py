"""reject_instances: out of the archive, with a reason, but not gone.

The bytes stay where they are and are pointed to by a quarantined instance: nobody finds them by
query or retrieve any more, `restore_rejected` puts them back, and only `purge_rejected` ends them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.archive.actions.remove_instances import prune, remove_instances
from apps.archive.actions.take_back_originals import ReceivedBlob, take_back_originals
from apps.archive.models import Instance, Study
from apps.archive.selectors import instances_of
from apps.errors import NotFound
from apps.events.log import NewEvent, record
from apps.ingest.models import QuarantinedInstance
from apps.ingest.rejection_reasons import sentence
from apps.storage.stores import blob_store

State = QuarantinedInstance.State


def reject_instances(
    principal: Principal,
    study_uid: str,
    series_uid: str | None = None,
    sop_uid: str | None = None,
    *,
    reason: str = "",
) -> int:
    """Rejects a study, a series or an instance; how many instances went.

    `reason` is a code of CID 7011 or `""`. Raises NotPermitted, and NotFound where there is nothing
    the principal may know of.
    """
    permit(principal, Permission.DELETE_STUDIES)
    with transaction.atomic():
        found = instances_of(principal, study_uid, series_uid, sop_uid).order_by("pk")
        instances = list(
            found.select_for_update(of=("self",)).select_related("study__patient_entity", "series")
        )
        if not instances:
            raise NotFound("There is no such study, series or instance.")
        superfluous = _set_aside(principal, instances, reason)
        remove_instances(instances)
        prune([instances[0].study_id])
        record(_events(principal, study_uid, instances, reason))
    for key in superfluous:
        blob_store().delete(key)
    return len(instances)


def _set_aside(principal: Principal, instances: Sequence[Instance], reason: str) -> list[str]:
    """A row for each; the keys of blobs whose very bytes were rejected before."""
    now = timezone.now()
    superfluous = []
    received = take_back_originals(instances)
    for each in instances:
        blob = received[each.pk]
        decided = {
            "state": State.KEPT,
            "reason": QuarantinedInstance.Reason.REJECTED,
            "explanation": sentence(reason),
            "decided_at": now,
            "decided_by_id": principal.user_id,
        }
        row, _ = QuarantinedInstance.objects.update_or_create(
            sha256=blob.dataset_sha256,
            sop_instance_uid=each.sop_instance_uid,
            defaults=decided,
            create_defaults={**decided, **_described(each, blob)},
        )
        if row.blob_key != blob.blob_key:
            superfluous.append(blob.blob_key)
    return superfluous


def _described(instance: Instance, blob: ReceivedBlob) -> dict[str, object]:
    return {
        "blob_key": blob.blob_key,
        "size_bytes": blob.size_bytes,
        "sop_class_uid": instance.sop_class_uid,
        "series_instance_uid": instance.series.series_instance_uid,
        "study_instance_uid": instance.study.study_instance_uid,
        "transfer_syntax_uid": blob.transfer_syntax_uid,
        "source_ae_title": instance.source_ae_title,
        "source_address": instance.source_address,
        "source_door": instance.source_door,
        "received_at": instance.received_at,
    }


def _events(
    principal: Principal, study_uid: str, instances: Sequence[Instance], reason: str
) -> list[NewEvent]:
    """One event per series, and one more where nothing of the study is left."""
    by_series: dict[str, int] = defaultdict(int)
    for each in instances:
        by_series[each.series.series_instance_uid] += 1
    actor = actor_of(principal)
    events = [
        NewEvent(
            "InstancesRejected",
            actor,
            study_uid,
            series_uid,
            payload={"count": number, "reason": reason},
        )
        for series_uid, number in by_series.items()
    ]
    if not Study.objects.filter(study_instance_uid=study_uid).exists():
        events.append(NewEvent("StudyDeleted", actor, study_uid, payload={"reason": reason}))
    return events
