"""announce_images: all images of an ended step are here; who wants to know is told (PS3.4 R)."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import system_principal
from apps.archive.models import Instance
from apps.dicom import uids
from apps.dicom.data_sets import Document, element
from apps.dicom.mpps import tag_of
from apps.events.log import NewEvent, record
from apps.worklist.actions.deliver import MPPS
from apps.worklist.actions.link_study import link_studies
from apps.worklist.deliveries import queue
from apps.worklist.models import Delivery, PerformedProcedureStep
from apps.worklist.selectors import missing_instances

_AT_ONCE: Final = 100


def announce_images() -> int:
    """Ended steps of which nothing is missing any more; how many.

    A step that referred to nothing is settled without a word. A later N-SET is not possible, so
    what is announced stays true.
    """
    pending = PerformedProcedureStep.objects.filter(
        ended_at__isnull=False, available_at=None, wrong_entry=False
    )
    complete = pending.filter(~Exists(missing_instances(OuterRef("pk"))))
    return sum(_announce(pk) for pk in complete.values_list("pk", flat=True)[:_AT_ONCE])


def _announce(pk: int) -> bool:
    with transaction.atomic():
        step = PerformedProcedureStep.objects.select_for_update().get(pk=pk)
        if step.available_at is not None:
            return False
        step.available_at = timezone.now()
        step.save(update_fields=["available_at"])
        documents = availability_documents(step)
        for study, document in documents.items():
            # The same UID for the same step and study: a second notice is a duplicate there.
            uid = uids.derived("availability", step.sop_instance_uid, study)
            queue(Delivery.Kind.AVAILABILITY, uid, document)
        actor = actor_of(system_principal("worklist"))
        payload = {"performed_step": step.sop_instance_uid}
        record([NewEvent("StepImagesAvailable", actor, study, payload=payload)
                for study in documents])  # fmt: skip
    link_studies(documents)  # nothing is missing any more: no need to wait until it is quiet
    return True


def availability_documents(step: PerformedProcedureStep) -> dict[str, Document]:
    """One Instance Availability Notification for each study (PS3.3 C.4.23), by its UID."""
    referenced = step.instances.values("sop_instance_uid")
    rows = Instance.objects.filter(sop_instance_uid__in=referenced).order_by("series_id", "pk")
    studies: dict[str, dict[str, list[Document]]] = {}
    for study, series, sop_class, sop_instance in rows.values_list(
        "study__study_instance_uid",
        "series__series_instance_uid",
        "sop_class_uid",
        "sop_instance_uid",
    ):
        available = _available(sop_class, sop_instance)
        studies.setdefault(study, {}).setdefault(series, []).append(available)
    return {study: _notification(step, study, series) for study, series in studies.items()}


def _available(sop_class_uid: str, sop_instance_uid: str) -> Document:
    return {
        tag_of("ReferencedSOPClassUID"): element("UI", sop_class_uid),
        tag_of("ReferencedSOPInstanceUID"): element("UI", sop_instance_uid),
        tag_of("InstanceAvailability"): element("CS", "ONLINE"),
        tag_of("RetrieveAETitle"): element("AE", settings.PACSWEB.ae_title),
    }


def _notification(
    step: PerformedProcedureStep, study: str, series: dict[str, list[Document]]
) -> Document:
    performed = {
        tag_of("ReferencedSOPClassUID"): element("UI", MPPS),
        tag_of("ReferencedSOPInstanceUID"): element("UI", step.sop_instance_uid),
        tag_of("PerformedWorkitemCodeSequence"): _sequence([]),
    }
    listed = [
        {
            tag_of("SeriesInstanceUID"): element("UI", uid),
            tag_of("ReferencedSOPSequence"): _sequence(instances),
        }
        for uid, instances in series.items()
    ]
    return {
        tag_of("ReferencedPerformedProcedureStepSequence"): _sequence([performed]),
        tag_of("StudyInstanceUID"): element("UI", study),
        tag_of("ReferencedSeriesSequence"): _sequence(listed),
    }


def _sequence(items: list[Document]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
