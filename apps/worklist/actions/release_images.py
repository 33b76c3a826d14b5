"""release_images: images made under a wrong worklist entry may be seen again, to be assigned."""

from __future__ import annotations

from django.db import transaction

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.errors import NotFound, WrongState
from apps.events.log import NewEvent, record
from apps.worklist.models import PerformedProcedureStep


def release_images(principal: Principal, performed_step_id: int) -> PerformedProcedureStep:
    """From now on nobody rejects its images. Raises NotPermitted, NotFound, WrongState."""
    permit(principal, Permission.MANAGE_WORKLIST)
    with transaction.atomic():
        rows = PerformedProcedureStep.objects.select_for_update()
        step = rows.filter(pk=performed_step_id).first()
        if step is None:
            raise NotFound("There is no such performed step.")
        if not step.wrong_entry:
            raise WrongState("That step was done under the right entry.")
        step.images_released = True
        step.save(update_fields=["images_released"])
        payload = {"performed_step": step.sop_instance_uid}
        record([NewEvent("StepImagesReleased", actor_of(principal), payload=payload)])
    return step
