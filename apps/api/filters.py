"""The signed-in user's saved filters of the study list, each with its count."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.principals import Permission
from apps.api.principal import PrincipalView
from apps.archive.actions.keep_filter import arrange_filters, forget_filter, keep_filter
from apps.archive.models import SavedFilter
from apps.archive.saved_filters import MOST_COUNTED, saved_filters


class SavedFilterSerializer(serializers.Serializer[object]):
    """A filter under its name; `asked` has the names of the query parameters of `/api/studies/`."""

    id = serializers.IntegerField(read_only=True)
    name = serializers.CharField(max_length=64)
    asked = serializers.DictField()
    sort = serializers.CharField(required=False, allow_blank=True, default="")


class CountedFilterSerializer(SavedFilterSerializer):
    """With how many studies it finds now."""

    count = serializers.IntegerField(allow_null=True)
    count_is_exact = serializers.BooleanField(help_text="False: there are at least `count`.")


class FilterOrderSerializer(serializers.Serializer[object]):
    """The ids in the order in which the tabs stand."""

    order = serializers.ListField(child=serializers.IntegerField(), max_length=100)


def _row(row: SavedFilter) -> dict[str, Any]:
    return {"id": row.pk, "name": row.name, "asked": row.asked, "sort": row.sort}


class SavedFiltersView(PrincipalView):
    """`/api/saved-filters/`."""

    permission = Permission.VIEW_IMAGES

    @extend_schema(
        parameters=[OpenApiParameter("today", str, description="YYYYMMDD, where the user is.")],
        responses=CountedFilterSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """The user's filters in their order, each with its count."""
        today = request.query_params.get("today", "")
        rows = [
            {
                **_row(each.row),
                "count": each.count,
                "count_is_exact": each.count is not None and each.count < MOST_COUNTED,
            }
            for each in saved_filters(self.principal, today)
        ]
        return Response(rows)

    @extend_schema(request=SavedFilterSerializer, responses={201: SavedFilterSerializer})
    def post(self, request: Request) -> Response:
        """Keeps a filter; one of the same name gives way."""
        given = SavedFilterSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        data = given.validated_data
        row = keep_filter(self.principal, data["name"], data["asked"], data["sort"])
        return Response(_row(row), status=status.HTTP_201_CREATED)

    @extend_schema(request=FilterOrderSerializer, responses={204: None})
    def patch(self, request: Request) -> Response:
        """Puts the filters in another order."""
        given = FilterOrderSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        arrange_filters(self.principal, given.validated_data["order"])
        return Response(status=status.HTTP_204_NO_CONTENT)


class SavedFilterView(PrincipalView):
    """`/api/saved-filters/{id}/`."""

    permission = Permission.VIEW_IMAGES

    @extend_schema(responses={204: None})
    def delete(self, _request: Request, filter_id: int) -> Response:
        """Removes the filter."""
        forget_filter(self.principal, filter_id)
        return Response(status=status.HTTP_204_NO_CONTENT)
