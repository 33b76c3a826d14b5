"""Questions to the quarantine. A selector: it demands who may decide on what is in there."""

from __future__ import annotations

from django.db.models import QuerySet

from apps.access.principals import Permission, Principal, permit
from apps.errors import NotFound
from apps.ingest.models import QuarantinedInstance


def quarantined_instances(principal: Principal) -> QuerySet[QuarantinedInstance]:
    """All cases, the newest first; decided ones stay. Raises NotPermitted."""
    permit(principal, Permission.MANAGE_QUARANTINE)
    return QuarantinedInstance.objects.select_related("stored_instance__study").order_by(
        "-received_at", "-pk"
    )


def quarantined_instance(principal: Principal, quarantined_id: int) -> QuarantinedInstance:
    """One case. Raises NotPermitted and NotFound."""
    row = quarantined_instances(principal).filter(pk=quarantined_id).first()
    if row is None:
        raise NotFound("There is no such quarantined instance.")
    return row
