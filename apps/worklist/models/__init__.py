"""Orders, scheduled steps and performed steps (PS3.3 7.3, B.17): what is to be done and was done.

Columns are named after their attribute, as in the archive; `apps.worklist.checks` holds them to
`apps.dicom.worklist`. No logic lives here: state changes are in `actions/`, questions in
`selectors.py`.
"""

from __future__ import annotations

from apps.worklist.models.event_channels import EventChannel, EventReport
from apps.worklist.models.links import StudyLink, UnlinkedStudy
from apps.worklist.models.messages import Delivery, FeedPosition, WorkflowPeer
from apps.worklist.models.orders import RequestedProcedure, ScheduledProcedureStep, ServiceRequest
from apps.worklist.models.performed import PerformedInstance, PerformedProcedureStep, PerformedStudy
from apps.worklist.models.work_items import WorkItem, WorkItemSubscription

__all__ = [
    "Delivery",
    "EventChannel",
    "EventReport",
    "FeedPosition",
    "PerformedInstance",
    "PerformedProcedureStep",
    "PerformedStudy",
    "RequestedProcedure",
    "ScheduledProcedureStep",
    "ServiceRequest",
    "StudyLink",
    "UnlinkedStudy",
    "WorkItem",
    "WorkItemSubscription",
    "WorkflowPeer",
]
