"""The receipt ledger for programs: what is safe, by study, association and sender."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.audit import view_event
from apps.access.principals import Permission
from apps.api.parameters import moment
from apps.api.principal import PrincipalView
from apps.commitment.actions.scrub_blobs import start_scrub
from apps.commitment.ledger import (
    Account,
    StudyAccount,
    association_account,
    ledger_page,
    study_account,
)


class ReceiptsView(PrincipalView):
    """`GET /api/receipts/`."""

    permission = Permission.VIEW_IMAGES

    @extend_schema(
        parameters=[
            OpenApiParameter("sender", str, description="AE title the instances came from."),
            OpenApiParameter("since", OpenApiTypes.DATETIME, description="Arrived at or after."),
            OpenApiParameter("cursor", str, description="`next` of the page before."),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Studies with what can be said of their stored bytes, the latest arrival first."""
        page = ledger_page(
            self.principal,
            sender=request.query_params.get("sender", ""),
            since=moment(request.query_params.get("since", ""), "since"),
            cursor=request.query_params.get("cursor", ""),
        )
        return Response({"studies": [_study(each) for each in page.studies], "next": page.next})


class StudyReceiptsView(PrincipalView):
    """`GET` and `POST /api/receipts/studies/{study}/`."""

    permission = Permission.VIEW_IMAGES

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, _request: Request, study: str) -> Response:
        """One study, whole and by sender."""
        found = study_account(self.principal, study)
        view_event(self.principal, "StudyViewed", study)
        return Response(_study(found))

    @extend_schema(request=None, responses={202: OpenApiTypes.OBJECT})
    def post(self, _request: Request, study: str) -> Response:
        """Has every instance of the study read back and compared, soon."""
        run = start_scrub(self.principal, study)
        return Response({"check": run.pk, "state": run.state}, status=202)


class AssociationReceiptsView(PrincipalView):
    """`GET /api/receipts/associations/{id}/`."""

    permission = Permission.VIEW_IMAGES

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, _request: Request, association: int) -> Response:
        """What came by one association, against what was acknowledged on it."""
        record, account = association_account(self.principal, association)
        return Response(
            {
                "association": record.pk,
                "sender": record.calling_ae_title,
                "address": record.address,
                "started_at": record.started_at,
                "ended_at": record.ended_at,
                **_account(account),
            }
        )


def _study(each: StudyAccount) -> dict[str, Any]:
    return {
        "StudyInstanceUID": each.study.study_instance_uid,
        **_account(each.account),
        "senders": [{"sender": name, **_account(account)} for name, account in each.senders],
    }


def _account(account: Account) -> dict[str, Any]:
    counts = {field.name: getattr(account, field.name) for field in fields(account)}
    return {"safe": account.safe, "sentence": account.sentence, **counts}
