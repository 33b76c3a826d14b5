"""queue(): puts a message in line for every destination that wants its kind."""

from __future__ import annotations

from django.utils import timezone

from apps.dicom.data_sets import Document
from apps.worklist.models import Delivery, WorkflowPeer


def queue(kind: Delivery.Kind, sop_instance_uid: str, document: Document) -> None:
    """In the caller's transaction: what is to be told commits with what happened."""
    wants = (
        {"notify_availability": True}
        if kind is Delivery.Kind.AVAILABILITY
        else {"forward_mpps": True}
    )
    now = timezone.now()
    Delivery.objects.bulk_create(
        [
            Delivery(
                destination=destination,
                destination_title=destination.application_entity.title.strip(),
                kind=kind,
                sop_instance_uid=sop_instance_uid,
                document=document,
                next_attempt_at=now,
            )
            for destination in WorkflowPeer.objects.filter(enabled=True, **wants).select_related(
                "application_entity"
            )
        ]
    )
