"""Quarantine for programs: the cases, their bytes, and the decisions the console offers too."""

from __future__ import annotations

from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.principals import Permission
from apps.api.parameters import asked_number, one_of
from apps.api.principal import PrincipalView
from apps.errors import NotFound
from apps.ingest.actions.hand_out_quarantined import hand_out_quarantined
from apps.ingest.decisions import DECISIONS
from apps.ingest.models import QuarantinedInstance
from apps.ingest.quarantine import quarantined_instance, quarantined_instances

_MOST = 500


class QuarantinedSerializer(serializers.Serializer[object]):
    """One case: what came, from whom, why it is not in the archive, what was decided."""

    id = serializers.IntegerField()
    received_at = serializers.DateTimeField()
    reason = serializers.ChoiceField(choices=QuarantinedInstance.Reason.choices)
    explanation = serializers.CharField(help_text="What happened and what can be done.")
    state = serializers.ChoiceField(choices=QuarantinedInstance.State.choices)
    sender = serializers.CharField(help_text="AE title of the sender, `` where it had none.")
    address = serializers.CharField()
    door = serializers.CharField()
    SOPClassUID = serializers.CharField()
    SOPInstanceUID = serializers.CharField()
    SeriesInstanceUID = serializers.CharField()
    StudyInstanceUID = serializers.CharField()
    transfer_syntax_uid = serializers.CharField()
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField(help_text="Of the data set; of the whole file without one.")
    conflicts_with_study = serializers.CharField(
        help_text="Study Instance UID of the stored instance with the same SOP Instance UID."
    )
    decided_at = serializers.DateTimeField(allow_null=True)


class QuarantinePageSerializer(serializers.Serializer[object]):
    """Cases, the newest first."""

    cases = QuarantinedSerializer(many=True)
    next = serializers.IntegerField(allow_null=True, help_text="`before` of the next page.")
    waiting = serializers.IntegerField(help_text="How many wait for a decision in all.")


def _case(row: QuarantinedInstance) -> dict[str, Any]:
    stored = row.stored_instance
    return {
        "id": row.pk,
        "received_at": row.received_at,
        "reason": row.reason,
        "explanation": row.explanation,
        "state": row.state,
        "sender": row.source_ae_title,
        "address": row.source_address,
        "door": row.source_door,
        "SOPClassUID": row.sop_class_uid,
        "SOPInstanceUID": row.sop_instance_uid,
        "SeriesInstanceUID": row.series_instance_uid,
        "StudyInstanceUID": row.study_instance_uid,
        "transfer_syntax_uid": row.transfer_syntax_uid,
        "size_bytes": row.size_bytes,
        "sha256": bytes(row.sha256).hex(),
        "conflicts_with_study": stored.study.study_instance_uid if stored else "",
        "decided_at": row.decided_at,
    }


class QuarantineView(PrincipalView):
    """`GET /api/quarantine/`."""

    permission = Permission.MANAGE_QUARANTINE

    @extend_schema(
        parameters=[
            OpenApiParameter("state", str, enum=QuarantinedInstance.State.values),
            OpenApiParameter("reason", str, enum=QuarantinedInstance.Reason.values),
            OpenApiParameter("study", str, description="Study Instance UID"),
            OpenApiParameter("instance", str, description="SOP Instance UID"),
            OpenApiParameter("sender", str, description="AE title"),
            OpenApiParameter("before", int, description="`next` of the page before."),
            OpenApiParameter("limit", int, description="At most 500; 100 unless told."),
        ],
        responses=QuarantinePageSerializer,
    )
    def get(self, request: Request) -> Response:
        """The cases that match everything given."""
        rows = quarantined_instances(self.principal).order_by("-pk")
        waiting = rows.filter(state=QuarantinedInstance.State.WAITING).count()
        for name, allowed in _CHOICES.items():
            one_of(request, name, allowed)
        for name, column in _FILTERS.items():
            if value := request.query_params.get(name, ""):
                rows = rows.filter(**{column: value})
        before = asked_number(request, "before", 0)
        if before:
            rows = rows.filter(pk__lt=before)
        limit = max(1, min(asked_number(request, "limit", 100), _MOST))
        found = list(rows[: limit + 1])
        more = len(found) > limit
        return Response(
            {
                "cases": [_case(row) for row in found[:limit]],
                "next": found[limit - 1].pk if more else None,
                "waiting": waiting,
            }
        )


_CHOICES = {
    "state": QuarantinedInstance.State.values,
    "reason": QuarantinedInstance.Reason.values,
}
_FILTERS = {
    "state": "state",
    "reason": "reason",
    "study": "study_instance_uid",
    "instance": "sop_instance_uid",
    "sender": "source_ae_title",
}


class QuarantinedView(PrincipalView):
    """`GET /api/quarantine/{id}/`."""

    permission = Permission.MANAGE_QUARANTINE

    @extend_schema(responses=QuarantinedSerializer)
    def get(self, _request: Request, quarantined_id: int) -> Response:
        """One case."""
        return Response(_case(quarantined_instance(self.principal, quarantined_id)))


class QuarantinedBytesView(PrincipalView):
    """`GET /api/quarantine/{id}/bytes/`."""

    permission = Permission.MANAGE_QUARANTINE

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, _request: Request, quarantined_id: int) -> StreamingHttpResponse:
        """The bytes as they were received."""
        held = hand_out_quarantined(self.principal, quarantined_id)
        answer = StreamingHttpResponse(held.chunks, content_type="application/octet-stream")
        answer["Content-Length"] = str(held.size)
        answer["Content-Disposition"] = f'attachment; filename="{held.file_name}"'
        return answer


class QuarantinedDecisionView(PrincipalView):
    """`POST /api/quarantine/{id}/{decision}/`: keep, retry, replace or discard."""

    permission = Permission.MANAGE_QUARANTINE

    @extend_schema(
        request=None,
        parameters=[OpenApiParameter("decision", str, "path", enum=list(DECISIONS))],
        responses=QuarantinedSerializer,
    )
    def post(self, _request: Request, quarantined_id: int, decision: str) -> Response:
        """Decides on the case. 400 for what was decided otherwise already."""
        if decision not in DECISIONS:
            raise NotFound(f"A decision is one of {', '.join(DECISIONS)}.")
        row = DECISIONS[decision].decide(self.principal, quarantined_id)
        return Response(_case(row))
