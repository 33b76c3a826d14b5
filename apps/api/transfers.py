"""Transfers: send, fetch, follow, cancel, retry."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.principals import Permission
from apps.api.parameters import asked_number, one_of
from apps.api.principal import PrincipalView
from apps.dicom.whole_numbers import whole_number
from apps.errors import InvalidRequest
from apps.ingest.receiving import WADO_RS
from apps.transfers.actions.cancel_transfer import cancel_transfer
from apps.transfers.actions.request_transfer import (
    STOW_RS,
    fetch_from_other,
    send_to_other,
)
from apps.transfers.actions.retry_transfer import retry_transfer
from apps.transfers.models import ENDED, Transfer, TransferInstance
from apps.transfers.remote import (
    Other,
    Wanted,
    archive_named,
    instance_keys,
    peer_named,
    unique_keys,
)
from apps.transfers.selectors import transfer_of, transfers
from apps.transfers.tasks import request_work

_PAGE: Final = 200
_WEB: Final = (WADO_RS, STOW_RS)


class TransferSerializer(serializers.ModelSerializer[Transfer]):
    """A job: who asked, how far it is, how it ended."""

    study_instance_uid = serializers.SerializerMethodField(
        help_text="Of the study that is fetched; empty for what is sent."
    )

    @extend_schema_field(str)
    def get_study_instance_uid(self, row: Transfer) -> str:
        """From the keys of what is fetched."""
        return str(row.keys.get("StudyInstanceUID", ""))

    protocol = serializers.SerializerMethodField(
        help_text="dimse, or dicomweb where `peer_title` is the name of a DICOMweb archive."
    )

    @extend_schema_field(str)
    def get_protocol(self, row: Transfer) -> str:
        """By the method, which stays when the archive is removed."""
        return "dicomweb" if row.method in _WEB else "dimse"

    class Meta:
        model = Transfer
        fields = (
            "id",
            "kind",
            "state",
            "peer_title",
            "protocol",
            "asked_by_name",
            "shared",
            "level",
            "keys",
            "method",
            "study_instance_uid",
            "total",
            "completed",
            "warning",
            "failed",
            "sent_bytes",
            "attempts",
            "most_attempts",
            "message",
            "created_at",
            "started_at",
            "ended_at",
            "not_before",
        )
        read_only_fields = fields


class TransferInstanceSerializer(serializers.ModelSerializer[TransferInstance]):
    """What became of one instance."""

    class Meta:
        model = TransferInstance
        fields = ("position", "sop_instance_uid", "corrects", "state", "status", "message")
        read_only_fields = fields


class SendSerializer(serializers.Serializer[object]):
    """What to send, and to whom: a peer, or else an archive."""

    peer = serializers.CharField(max_length=16, default="", allow_blank=True, help_text="AE title.")
    archive = serializers.CharField(
        max_length=32,
        default="",
        allow_blank=True,
        help_text="Name of an archive that speaks DICOMweb.",
    )
    studies = serializers.ListField(child=serializers.CharField(max_length=64), default=list)
    series = serializers.ListField(child=serializers.CharField(max_length=64), default=list)
    instances = serializers.ListField(child=serializers.CharField(max_length=64), default=list)


class FetchSerializer(serializers.Serializer[object]):
    """What to fetch, and from whom: a peer, or else an archive."""

    peer = serializers.CharField(max_length=16, default="", allow_blank=True, help_text="AE title.")
    archive = serializers.CharField(
        max_length=32,
        default="",
        allow_blank=True,
        help_text="Name of an archive that speaks DICOMweb.",
    )
    level = serializers.CharField(default="STUDY", help_text="STUDY, SERIES or IMAGE.")
    keys = serializers.DictField(
        child=serializers.CharField(max_length=1024), help_text="Unique keys by keyword."
    )
    method = serializers.CharField(
        default="move", help_text="move, get, or auto: get, else move; of peers alone."
    )


class TransfersView(PrincipalView):
    """All transfers, newest first; POST sends."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(
        parameters=[
            OpenApiParameter("state", str, enum=Transfer.State.values),
            OpenApiParameter("before", int),
            OpenApiParameter("peer", str, description="AE title."),
            OpenApiParameter("archive", str, description="Name of a DICOMweb archive."),
            OpenApiParameter("id", int, many=True, description="These alone."),
            OpenApiParameter("active", bool, description="Only what has not ended."),
        ],
        responses=TransferSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        rows = _asked_for(transfers(self.principal), request)
        state = one_of(request, "state", Transfer.State.values)
        if state:
            rows = rows.filter(state=state)
        before = asked_number(request, "before", 0)
        if before:
            rows = rows.filter(pk__lt=before)
        return Response(TransferSerializer(rows.order_by("-pk")[:_PAGE], many=True).data)

    @extend_schema(request=SendSerializer, responses={201: TransferSerializer})
    def post(self, request: Request) -> Response:
        asked = valid(SendSerializer(data=request.data))
        wanted = Wanted(asked["studies"], asked["series"], asked["instances"])
        other = _other(asked)
        keys = instance_keys(self.principal, wanted)
        transfer = send_to_other(self.principal, other=other, keys=keys)
        request_work()
        return Response(TransferSerializer(transfer).data, status=201)


def _other(asked: dict[str, Any]) -> Other:
    if bool(asked["peer"]) == bool(asked["archive"]):
        raise InvalidRequest("Name a peer, or else an archive.", offending=("peer", "archive"))
    return archive_named(asked["archive"]) if asked["archive"] else peer_named(asked["peer"])


def _asked_for(rows: QuerySet[Transfer], request: Request) -> QuerySet[Transfer]:
    peer = request.query_params.get("peer", "")
    if peer:
        rows = rows.filter(peer_title=peer).exclude(method__in=_WEB)
    archive = request.query_params.get("archive", "")
    if archive:
        rows = rows.filter(peer_title=archive, method__in=_WEB)
    wanted = [whole_number(each, "id") for each in request.query_params.getlist("id")[:_PAGE]]
    if wanted:
        rows = rows.filter(pk__in=wanted)
    if request.query_params.get("active", "") in {"1", "true"}:
        rows = rows.exclude(state__in=ENDED)
    return rows


class FetchesView(PrincipalView):
    """POST fetches from a peer or an archive; 200 where a transfer under way brings it already."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(
        request=FetchSerializer, responses={200: TransferSerializer, 201: TransferSerializer}
    )
    def post(self, request: Request) -> Response:
        asked = valid(FetchSerializer(data=request.data))
        level, keys = asked["level"].upper(), unique_keys(asked["level"], asked["keys"])
        fetch = fetch_from_other(
            self.principal, other=_other(asked), level=level, keys=keys, method=asked["method"]
        )
        request_work()
        status = HTTPStatus.OK if fetch.joined else HTTPStatus.CREATED
        return Response(TransferSerializer(fetch.transfer).data, status=status)


class TransferView(PrincipalView):
    """One transfer; DELETE cancels it."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(responses=TransferSerializer)
    def get(self, _request: Request, transfer: int) -> Response:
        return Response(TransferSerializer(transfer_of(self.principal, transfer)).data)

    @extend_schema(responses=TransferSerializer)
    def delete(self, _request: Request, transfer: int) -> Response:
        return Response(TransferSerializer(cancel_transfer(self.principal, transfer)).data)


class TransferRetryView(PrincipalView):
    """POST tries again what has not arrived."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(request=None, responses=TransferSerializer)
    def post(self, _request: Request, transfer: int) -> Response:
        row = retry_transfer(self.principal, transfer)
        request_work()
        return Response(TransferSerializer(row).data)


class TransferInstancesView(PrincipalView):
    """What became of each instance, in order, 200 at a time."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(
        parameters=[
            OpenApiParameter("state", str, enum=TransferInstance.State.values),
            OpenApiParameter("after", int),
        ],
        responses=TransferInstanceSerializer(many=True),
    )
    def get(self, request: Request, transfer: int) -> Response:
        rows = transfer_of(self.principal, transfer).instances.order_by("position")
        state = one_of(request, "state", TransferInstance.State.values)
        if state:
            rows = rows.filter(state=state)
        rows = rows.filter(position__gt=asked_number(request, "after", -1))
        return Response(TransferInstanceSerializer(rows[:_PAGE], many=True).data)


def valid(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    """What was given, checked."""
    serializer.is_valid(raise_exception=True)
    checked: dict[str, Any] = serializer.validated_data
    return checked
