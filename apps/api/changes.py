"""The change feed as a page needs it: which studies changed since it last asked."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.principals import Permission
from apps.api.principal import PrincipalView
from apps.errors import InvalidRequest
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
        given = request.query_params.get("after")
        if given is None:
            return Response({"sequence": latest_sequence(), "more": False, "studies": []})
        if not given.isdigit() or len(given) > 18:  # noqa: PLR2004 -- fits 63 bits
            raise InvalidRequest("`after` must be a sequence number.", offending=("after",))
        events = feed(int(given), kinds=_KINDS, limit=_MOST)
        seen = dict.fromkeys(each.study_instance_uid for each in events if each.study_instance_uid)
        return Response(
            {
                "sequence": events[-1].sequence if events else int(given),
                "more": len(events) == _MOST,
                "studies": list(seen),
            }
        )
