"""change_compression: an administrator pauses, resumes, cancels or begins a rule's walk anew."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.compression.models import CompressionRun
from apps.events.log import NewEvent, record

State = CompressionRun.State


def change_compression(
    principal: Principal, run: CompressionRun, state: CompressionRun.State
) -> bool:
    """Pauses, resumes or cancels; False where it is so already. Raises NotPermitted.

    A cancelled walk that is resumed begins with the first instance.
    """
    permit(principal, Permission.ADMINISTER)
    with transaction.atomic():
        current = CompressionRun.objects.select_for_update().get(pk=run.pk)
        if current.state == state:
            return False
        if current.state == State.CANCELLED:
            current.cursor, current.started_at = 0, timezone.now()
        current.state = state
        current.save(update_fields=["state", "cursor", "started_at"])
        told = {"rule": str(current.rule), "state": str(state)}
        record([NewEvent("CompressionChanged", actor_of(principal), payload=told)])
    return True


def begin_again(principal: Principal, run: CompressionRun) -> bool:
    """Looks at every instance once more, from the first. Raises NotPermitted."""
    permit(principal, Permission.ADMINISTER)
    with transaction.atomic():
        CompressionRun.objects.filter(pk=run.pk).update(
            cursor=0, state=State.RUNNING, started_at=timezone.now()
        )
        told = {"rule": str(run.rule), "state": "begun again"}
        record([NewEvent("CompressionChanged", actor_of(principal), payload=told)])
    return True
