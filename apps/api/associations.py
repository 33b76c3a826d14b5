"""Association records for programs: a list, one in full, and an export."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.principals import Permission
from apps.api.parameters import asked_number, moment
from apps.api.principal import PrincipalView
from apps.errors import InvalidRequest, NotFound
from apps.network.association_report import as_json, csv_lines
from apps.network.models import AssociationRecord
from apps.network.selectors import associations

_TEXTS = ("ae_title", "address", "ending", "direction")
_MOST = 1000
_PARAMETERS = [
    OpenApiParameter("ae_title", str, description="Calling or called AE title."),
    OpenApiParameter("address", str, description="Address of the peer."),
    OpenApiParameter("ending", str, enum=AssociationRecord.Ending.values),
    OpenApiParameter("direction", str, enum=AssociationRecord.Direction.values),
    OpenApiParameter("since", OpenApiTypes.DATETIME, description="Started at or after."),
    OpenApiParameter("until", OpenApiTypes.DATETIME, description="Started before."),
]


class AssociationsView(PrincipalView):
    """`GET /api/associations/`."""

    permission = Permission.ADMINISTER

    @extend_schema(
        parameters=[*_PARAMETERS, OpenApiParameter("limit", int), OpenApiParameter("offset", int)],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Associations, newest first: who, when, what was done, how it ended."""
        limit = min(asked_number(request, "limit", 100), _MOST)
        offset = asked_number(request, "offset", 0)
        rows = associations(self.principal, **_filters(request))[offset : offset + limit + 1]
        found = [as_json(row) for row in rows]
        return Response({"associations": found[:limit], "more": len(found) > limit})


class AssociationView(PrincipalView):
    """`GET /api/associations/{id}/`."""

    permission = Permission.ADMINISTER

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, _request: Request, association: int) -> Response:
        """One association with its presentation contexts and their explanation."""
        row = associations(self.principal).filter(pk=association).first()
        if row is None:
            raise NotFound("There is no such association record.")
        return Response(as_json(row, detailed=True))


class AssociationsExportView(PrincipalView):
    """`GET /api/associations/export/?as=csv|json`."""

    permission = Permission.ADMINISTER

    @extend_schema(
        parameters=[*_PARAMETERS, OpenApiParameter("as", str, enum=["csv", "json"])],
        responses={
            (200, "text/csv"): str,
            (200, "application/json"): {"type": "array", "items": {"type": "object"}},
        },
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Every record the filters leave, as CSV for a spreadsheet or as JSON in full."""
        kind = request.query_params.get("as", "csv")
        if kind not in {"csv", "json"}:
            raise InvalidRequest("`as` must be csv or json.", offending=("as",))
        rows = associations(self.principal, **_filters(request))
        return export(rows.iterator(chunk_size=500), kind)


def export(rows: Iterator[AssociationRecord], kind: str) -> StreamingHttpResponse:
    """The download, streamed; `kind` is csv or json."""
    lines = csv_lines(rows) if kind == "csv" else _json_lines(rows)
    content_type = "text/csv; charset=utf-8" if kind == "csv" else "application/json"
    answer = StreamingHttpResponse(lines, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="associations.{kind}"'
    return answer


def _json_lines(rows: Iterator[AssociationRecord]) -> Iterator[str]:
    yield "["
    for number, row in enumerate(rows):
        yield (",\n" if number else "\n") + json.dumps(as_json(row, detailed=True))
    yield "\n]\n"


def _filters(request: Request) -> dict[str, Any]:
    given: dict[str, Any] = {
        name: request.query_params.get(name, "").replace("\0", "") for name in _TEXTS
    }
    limits = ("since", "until")
    return given | {name: moment(request.query_params.get(name, ""), name) for name in limits}
