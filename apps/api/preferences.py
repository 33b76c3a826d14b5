"""What the signed-in user chose for a page: columns, panels, keys."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.actions.set_preference import set_preference
from apps.access.models import UserPreference
from apps.api.principal import PrincipalView
from apps.errors import InvalidRequest


class PreferenceView(PrincipalView):
    """`/api/preferences/{name}/`; the names are `study-list` and `viewer`."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, _request: Request, name: str) -> Response:
        """The kept object, `{}` where nothing is kept yet."""
        row = UserPreference.objects.filter(user_id=self.principal.user_id or 0, name=name).first()
        return Response({} if row is None else row.value)

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def put(self, request: Request, name: str) -> Response:
        """Keeps an object of at most 64 kB in place of the former."""
        if not isinstance(request.data, dict):
            raise InvalidRequest("Preferences are a JSON object.")
        return Response(set_preference(self.principal, name, dict(request.data)).value)
