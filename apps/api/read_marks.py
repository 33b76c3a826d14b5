"""A study's read mark: who has read it."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.principals import Permission
from apps.api.principal import PrincipalView
from apps.api.studies import StudyRowSerializer, study_row
from apps.archive.actions.mark_read import mark_read, mark_unread


class ReadMarkView(PrincipalView):
    """`/api/studies/{study}/read/`."""

    permission = Permission.MARK_READ

    @extend_schema(request=None, responses=StudyRowSerializer)
    def put(self, _request: Request, study: str) -> Response:
        """Marks the study as read; it goes back to complete when another image arrives."""
        return Response(study_row(mark_read(self.principal, study)))

    @extend_schema(request=None, responses={200: StudyRowSerializer})
    def delete(self, _request: Request, study: str) -> Response:
        """Takes the mark back."""
        return Response(study_row(mark_unread(self.principal, study)))
