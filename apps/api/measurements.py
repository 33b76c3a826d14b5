"""A reader's draft of measurements on a study: read whole, saved whole."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.principals import Permission
from apps.api.principal import PrincipalView
from apps.errors import InvalidRequest
from apps.measurements.actions.save_draft import save_draft
from apps.measurements.models import MeasurementDraft
from apps.measurements.selectors import draft_of

_NEVER_SAVED = MeasurementDraft(version=0, measurements=[])


class ReadingSerializer(serializers.Serializer[object]):
    """A number that the reader saw beside the drawing."""

    name = serializers.CharField()
    value = serializers.FloatField()
    unit = serializers.CharField()


class MeasurementSerializer(serializers.Serializer[object]):
    """One drawing on one frame."""

    id = serializers.CharField(help_text="Chosen by the client, unique in the draft.")
    tool = serializers.CharField()
    series_instance_uid = serializers.CharField()
    sop_instance_uid = serializers.CharField()
    frame_number = serializers.IntegerField(help_text="From 1.")
    points = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField()),
        help_text="Column and row each, in pixels; 0, 0 is the middle of the first pixel.",
    )
    label_at = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    text = serializers.CharField()
    note = serializers.CharField(help_text="What millimetres rest on.")
    readings = ReadingSerializer(many=True)


class DraftSerializer(serializers.Serializer[object]):
    """The draft and its version; 0 means that nothing was ever saved."""

    version = serializers.IntegerField()
    saved_at = serializers.DateTimeField(allow_null=True)
    measurements = MeasurementSerializer(many=True)


class ConflictSerializer(DraftSerializer):
    """What another window saved meanwhile."""

    detail = serializers.CharField()


class SaveSerializer(serializers.Serializer[object]):
    """All measurements, and the version they were made from."""

    version = serializers.IntegerField()
    measurements = MeasurementSerializer(many=True)


def _body(draft: MeasurementDraft) -> dict[str, object]:
    return {
        "version": draft.version,
        "saved_at": draft.saved_at,
        "measurements": draft.measurements,
    }


class MeasurementsView(PrincipalView):
    """`/api/studies/{study}/measurements/`."""

    permission = Permission.VIEW_IMAGES

    @extend_schema(responses=DraftSerializer)
    def get(self, _request: Request, study: str) -> Response:
        """The caller's own draft on the study."""
        return Response(_body(draft_of(study, self.principal) or _NEVER_SAVED))

    @extend_schema(
        request=SaveSerializer, responses={200: DraftSerializer, 409: ConflictSerializer}
    )
    def put(self, request: Request, study: str) -> Response:
        """Saves all measurements; 409 with what is stored when `version` is not the newest."""
        given = request.data if isinstance(request.data, dict) else {}
        version, measurements = given.get("version"), given.get("measurements")
        if not isinstance(version, int) or not isinstance(measurements, list):
            raise InvalidRequest("`version` and `measurements` are needed.")
        saved = save_draft(self.principal, study, measurements, based_on=version)
        if saved.conflict:
            detail = "Another window has saved measurements meanwhile."
            return Response({"detail": detail, **_body(saved.draft)}, status=409)
        return Response(_body(saved.draft))
