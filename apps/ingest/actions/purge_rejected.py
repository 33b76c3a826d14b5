"""purge_rejected: the end of what was rejected of a study. There is no way back."""

from __future__ import annotations

from django.db import transaction

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.archive.models import Instance
from apps.errors import NotFound
from apps.events.log import NewEvent, record
from apps.ingest.models import QuarantinedInstance
from apps.measurements.actions.remove_drafts import remove_drafts
from apps.storage.stores import blob_store


def purge_rejected(principal: Principal, study_uid: str) -> int:
    """How many instances' bytes were removed. Raises NotPermitted and NotFound.

    A blob goes before its row: after a crash between the two the row is purged again. The other
    way round its bytes would be found without a row, and taken in anew. Where nothing of the study
    is left its readers' drafts of measurements go too.
    """
    permit(principal, Permission.DELETE_STUDIES)
    rows = QuarantinedInstance.objects.filter(
        study_instance_uid=study_uid, reason=QuarantinedInstance.Reason.REJECTED
    )
    with transaction.atomic():
        doomed = list(rows.select_for_update().order_by("pk"))
        if not doomed:
            raise NotFound("Nothing of this study is rejected.")
        keys = {row.blob_key for row in doomed}
        keys -= set(Instance.objects.filter(blob_key__in=keys).values_list("blob_key", flat=True))
        for key in sorted(keys):
            blob_store().delete(key)
        QuarantinedInstance.objects.filter(pk__in=[row.pk for row in doomed]).delete()
        payload = {"count": len(doomed)}
        if not Instance.objects.filter(study__study_instance_uid=study_uid).exists():
            payload["drafts"] = remove_drafts(study_uid)
        record([NewEvent("InstancesPurged", actor_of(principal), study_uid, payload=payload)])
    return len(doomed)
