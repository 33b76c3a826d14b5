"""Collecting the values of private attributes: paused, resumed, cancelled by programs."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.principals import Permission
from apps.api.principal import PrincipalView
from apps.api.rule_shapes import PrivateAttributeSerializer
from apps.archive.actions.collect_private_values import change_collection
from apps.archive.models import PrivateAttribute
from apps.errors import NotFound

_State = PrivateAttribute.State


class CollectionSerializer(serializers.Serializer[object]):
    """What is to become of the collecting."""

    state = serializers.ChoiceField([_State.RUNNING, _State.PAUSED, _State.CANCELLED])


class CollectionView(PrincipalView):
    """`PATCH /api/private-attributes/{id}/collection/`."""

    permission = Permission.ADMINISTER

    @extend_schema(request=CollectionSerializer, responses=PrivateAttributeSerializer)
    def patch(self, request: Request, key: int) -> Response:
        """Paused, resumed (`running`; once done or cancelled from the first), or cancelled."""
        given = CollectionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        row = PrivateAttribute.objects.filter(pk=key).first()
        if row is None:
            raise NotFound("There is no such private attribute.")
        change_collection(self.principal, row, given.validated_data["state"])
        row.refresh_from_db()
        return Response(PrivateAttributeSerializer(row).data)
