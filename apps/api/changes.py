"""The change feed as a page needs it: which studies changed since it last asked."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.principals import Permission
from apps.api.principal import PrincipalView
from apps.dicom.whole_numbers import whole_number
from apps.events.log import feed, latest_sequence

# Readings are events too, and would wake every open list for nothing.
_KINDS = (
    "StudyCreated",
    "InstancesStored",
    "StudyCompleted",
    "StudyReopened",
    "StudyDeleted",
    "InstanceReplaced",
    "InstancesRejected",
    "InstancesRestored",
    "StudyMarkedRead",
    "StudyMarkedUnread",
    "StudyAlertRaised",
    "StudyAlertSettled",
)
_MOST = 500


class ChangesSerializer(serializers.Serializer[object]):
    """Sequence number to ask with next time, and what changed."""

    sequence = serializers.IntegerField()
    more = serializers.BooleanField(
        help_text="Ask again at once: there were too many for one answer."
    )
    studies = serializers.ListField(child=serializers.CharField())


class ChangesView(PrincipalView):
    """`GET /api/changes/?after=SEQUENCE`."""

    permission = Permission.VIEW_IMAGES

    @extend_schema(
        parameters=[OpenApiParameter("after", int, description="The last `sequence` seen.")],
        responses=ChangesSerializer,
    )
    def get(self, request: Request) -> Response:
        """Studies that were created, grew, became complete or went since `after`.

        Without `after` the answer holds only the newest sequence number.
        """
        if "after" not in request.query_params:
            return Response({"sequence": latest_sequence(), "more": False, "studies": []})
        after = whole_number(request.query_params["after"], "after")
        events = feed(after, kinds=_KINDS, limit=_MOST)
        seen = dict.fromkeys(each.study_instance_uid for each in events if each.study_instance_uid)
        return Response(
            {
                "sequence": events[-1].sequence if events else after,
                "more": len(events) == _MOST,
                "studies": list(seen),
            }
        )
