"""reject_wrong_entries: images made under a wrong worklist entry leave the archive (IHE SWF, PIR).

The device said so itself, by the reason it discontinued the step with. Nobody finds the images in a
wrong patient's study any more, also those that arrive late, until a person has them brought back.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Final

from django.db.models import Exists, OuterRef

from apps.access.principals import Permission, Principal, system_principal
from apps.archive.models import Instance
from apps.ingest.actions.reject_instances import reject_instances
from apps.ingest.actions.restore_rejected import rejected_of, restore_rejected
from apps.worklist.actions.release_images import release_images
from apps.worklist.models import PerformedInstance

# CID 7011: Incorrect Modality Worklist Entry.
REASON: Final = "113038"
_AT_ONCE: Final = 200


def reject_wrong_entries() -> int:
    """Rejects up to 200 instances; how many."""
    theirs = PerformedInstance.objects.filter(
        performed_step__wrong_entry=True,
        performed_step__images_released=False,
        sop_instance_uid=OuterRef("sop_instance_uid"),
    )
    if not PerformedInstance.objects.filter(
        performed_step__wrong_entry=True, performed_step__images_released=False
    ).exists():
        return 0  # most of the time, and then the archive is not looked through
    found = Instance.objects.filter(Exists(theirs)).values_list(
        "study__study_instance_uid", "series__series_instance_uid", "sop_instance_uid"
    )
    principal = system_principal("worklist")
    rows = list(found[:_AT_ONCE])
    for study, series, sop_instance in rows:
        reject_instances(principal, study, series, sop_instance, reason=REASON)
    return len(rows)


def bring_back(principal: Principal, performed_step_id: int) -> int:
    """A person has the images of a step back, to assign them; how many came.

    Raises NotPermitted, NotFound, WrongState, IdentityConflict.
    """
    step = release_images(principal, performed_step_id)
    studies: dict[str, set[str]] = defaultdict(set)
    uids = step.instances.values_list("sop_instance_uid", flat=True)
    for study in step.studies.values_list("study_instance_uid", flat=True):
        rejected = rejected_of(study).filter(sop_instance_uid__in=uids)
        studies[study].update(rejected.values_list("sop_instance_uid", flat=True))
    # Who manages the worklist may undo what this rejected, and nothing else.
    lifted = principal.permissions | {Permission.DELETE_STUDIES}
    actor = replace(principal, permissions=lifted)
    return sum(restore_rejected(actor, study, only=own) for study, own in studies.items() if own)
