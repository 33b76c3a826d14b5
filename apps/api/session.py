"""Who is signed in, and what they may do."""

from __future__ import annotations

from django.conf import settings
from django.middleware.csrf import get_token
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.models import User
from apps.access.principals import Permission
from apps.api.principal import PrincipalView


class SessionSerializer(serializers.Serializer[object]):
    """The signed-in user and the node's own address."""

    user = serializers.CharField()
    full_name = serializers.CharField()
    staff = serializers.BooleanField(help_text="May open the administration pages.")
    permissions = serializers.ListField(child=serializers.CharField())
    csrf_token = serializers.CharField(help_text="For the X-CSRFToken header of unsafe requests.")
    ae_title = serializers.CharField()
    dicom_host = serializers.CharField()
    dicom_port = serializers.IntegerField()


class SessionView(PrincipalView):
    """`GET /api/session/`."""

    @extend_schema(responses=SessionSerializer)
    def get(self, request: Request) -> Response:
        """The signed-in user, their permissions, and how a modality reaches this node."""
        user = request.user
        assert isinstance(user, User)
        host = request.get_host().rpartition(":")[0] or request.get_host()
        body = {
            "user": user.get_username(),
            "full_name": user.get_full_name(),
            "staff": user.is_staff,
            "permissions": sorted(
                each.name.lower() for each in Permission if self.principal.may(each)
            ),
            "csrf_token": get_token(request._request),
            "ae_title": settings.PACSWEB.ae_title,
            "dicom_host": host if settings.PACSWEB.bind == "0.0.0.0" else settings.PACSWEB.bind,  # noqa: S104 -- compared, not bound
            "dicom_port": settings.PACSWEB.dicom_port,
        }
        return Response(SessionSerializer(body).data)
