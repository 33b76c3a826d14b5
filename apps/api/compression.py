"""Compression of stored images for programs: how far each rule is, and the way back."""

from __future__ import annotations

from typing import Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.principals import Permission
from apps.api.principal import PrincipalView
from apps.compression.actions.change_compression import begin_again, change_compression
from apps.compression.actions.restore_originals import restore_originals_of
from apps.compression.models import CompressionRun
from apps.compression.selectors import newest_instance, share_of
from apps.errors import NotFound

_AGAIN: Final = "again"


class CompressionRunSerializer(serializers.ModelSerializer[CompressionRun]):
    """How far a rule is; `percent` of the instances there are, in the order they were stored."""

    rule = serializers.CharField(source="rule.name")
    percent = serializers.SerializerMethodField()

    class Meta:
        model = CompressionRun
        fields = (
            "id",
            "rule",
            "state",
            "percent",
            "started_at",
            "worked_at",
            "looked_at",
            "compressed",
            "bytes_before",
            "bytes_after",
            "left_alone",
            "refused",
            "problem",
        )

    def get_percent(self, run: CompressionRun) -> int:
        return share_of(run, self.context["newest"])


class CompressionStateSerializer(serializers.Serializer[object]):
    """What is to become of the work of a rule."""

    state = serializers.ChoiceField([*CompressionRun.State.values, _AGAIN])


class CompressionsView(PrincipalView):
    """`GET /api/compressions/`."""

    permission = Permission.ADMINISTER

    @extend_schema(responses=CompressionRunSerializer(many=True))
    def get(self, _request: Request) -> Response:
        """Every rule's work."""
        rows = CompressionRun.objects.select_related("rule").order_by("rule__name")
        context = {"newest": newest_instance()}
        return Response(CompressionRunSerializer(rows, many=True, context=context).data)


class CompressionView(PrincipalView):
    """`PATCH /api/compressions/{id}/`."""

    permission = Permission.ADMINISTER

    @extend_schema(request=CompressionStateSerializer, responses=CompressionRunSerializer)
    def patch(self, request: Request, key: int) -> Response:
        """Paused, resumed (`running`), cancelled, or begun `again` from the first instance."""
        given = CompressionStateSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        run = CompressionRun.objects.filter(pk=key).first()
        if run is None:
            raise NotFound("There is no such compression.")
        state = given.validated_data["state"]
        if state == _AGAIN:
            begin_again(self.principal, run)
        else:
            change_compression(self.principal, run, CompressionRun.State(state))
        run.refresh_from_db()
        context = {"newest": newest_instance()}
        return Response(CompressionRunSerializer(run, context=context).data)


class OriginalsView(PrincipalView):
    """`POST /api/studies/{study}/originals/`."""

    permission = Permission.ADMINISTER

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, _request: Request, study: str) -> Response:
        """The received bytes of a study are in use again, as far as they are kept."""
        return Response({"restored": restore_originals_of(self.principal, study)})
