"""Transfers and peers: send, fetch, follow, cancel, retry; verify and query another system."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.principals import Permission
from apps.api.principal import PrincipalView
from apps.errors import InvalidRequest
from apps.network.models import ApplicationEntity
from apps.transfers.actions.cancel_transfer import cancel_transfer
from apps.transfers.actions.request_transfer import fetch_instances, send_instances
from apps.transfers.actions.retry_transfer import retry_transfer
from apps.transfers.models import Transfer, TransferInstance
from apps.transfers.remote import (
    Wanted,
    instance_keys,
    peer_named,
    query_peer,
    unique_keys,
    verify,
)
from apps.transfers.selectors import transfer_of, transfers
from apps.transfers.tasks import request_work

_PAGE: Final = 200
_MOST_ANSWERS: Final = 1000
_SETTINGS: Final = frozenset({"level", "limit"})


class TransferSerializer(serializers.ModelSerializer[Transfer]):
    """A job: who asked, how far it is, how it ended."""

    class Meta:
        model = Transfer
        fields = (
            "id",
            "kind",
            "state",
            "peer_title",
            "asked_by_name",
            "level",
            "keys",
            "method",
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
        fields = ("position", "sop_instance_uid", "state", "status", "message")
        read_only_fields = fields


class SendSerializer(serializers.Serializer[object]):
    """What to send, and to whom."""

    peer = serializers.CharField(max_length=16, help_text="AE title.")
    studies = serializers.ListField(child=serializers.CharField(max_length=64), default=list)
    series = serializers.ListField(child=serializers.CharField(max_length=64), default=list)
    instances = serializers.ListField(child=serializers.CharField(max_length=64), default=list)


class FetchSerializer(serializers.Serializer[object]):
    """What to fetch, and from whom."""

    peer = serializers.CharField(max_length=16, help_text="AE title.")
    level = serializers.CharField(default="STUDY", help_text="STUDY, SERIES or IMAGE.")
    keys = serializers.DictField(
        child=serializers.CharField(max_length=1024), help_text="Unique keys by keyword."
    )
    method = serializers.CharField(default="move", help_text="move or get.")


class TransfersView(PrincipalView):
    """All transfers, newest first; POST sends."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(
        parameters=[OpenApiParameter("state", str), OpenApiParameter("before", int)],
        responses=TransferSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        rows = transfers(self.principal)
        state = request.query_params.get("state", "")
        if state:
            rows = rows.filter(state=state)
        before = request.query_params.get("before", "")
        if before:
            rows = rows.filter(pk__lt=_number(before, "before"))
        return Response(TransferSerializer(rows.order_by("-pk")[:_PAGE], many=True).data)

    @extend_schema(request=SendSerializer, responses={201: TransferSerializer})
    def post(self, request: Request) -> Response:
        asked = _valid(SendSerializer(data=request.data))
        wanted = Wanted(asked["studies"], asked["series"], asked["instances"])
        transfer = send_instances(
            self.principal,
            peer=peer_named(asked["peer"]),
            keys=instance_keys(self.principal, wanted),
        )
        request_work()
        return Response(TransferSerializer(transfer).data, status=201)


class FetchesView(PrincipalView):
    """POST fetches from a peer."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(request=FetchSerializer, responses={201: TransferSerializer})
    def post(self, request: Request) -> Response:
        asked = _valid(FetchSerializer(data=request.data))
        transfer = fetch_instances(
            self.principal,
            peer=peer_named(asked["peer"]),
            level=asked["level"].upper(),
            keys=unique_keys(asked["level"], asked["keys"]),
            method=asked["method"],
        )
        request_work()
        return Response(TransferSerializer(transfer).data, status=201)


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
        parameters=[OpenApiParameter("state", str), OpenApiParameter("after", int)],
        responses=TransferInstanceSerializer(many=True),
    )
    def get(self, request: Request, transfer: int) -> Response:
        rows = transfer_of(self.principal, transfer).instances.order_by("position")
        state = request.query_params.get("state", "")
        if state:
            rows = rows.filter(state=state)
        after = request.query_params.get("after", "")
        if after:
            rows = rows.filter(position__gt=_number(after, "after"))
        return Response(TransferInstanceSerializer(rows[:_PAGE], many=True).data)


class PeerSerializer(serializers.ModelSerializer[ApplicationEntity]):
    """An application entity that can be called."""

    class Meta:
        model = ApplicationEntity
        fields = ("title", "description")
        read_only_fields = fields


class PeersView(PrincipalView):
    """Whom one can send to and fetch from."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(responses=PeerSerializer(many=True))
    def get(self, _request: Request) -> Response:
        rows = ApplicationEntity.objects.filter(enabled=True, port__isnull=False).exclude(host="")
        return Response(PeerSerializer(rows, many=True).data)


class PeerEchoView(PrincipalView):
    """POST asks whether it is there (C-ECHO)."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(request=None, responses={200: serializers.DictField()})
    def post(self, _request: Request, title: str) -> Response:
        return Response({"status": f"{verify(self.principal, peer_named(title)):04X}"})


class PeerSearchView(PrincipalView):
    """Searches another system: query parameters are keys by keyword (C-FIND)."""

    permission = Permission.TRANSFER_STUDIES

    @extend_schema(
        parameters=[OpenApiParameter("level", str), OpenApiParameter("limit", int)],
        responses={200: serializers.ListField(child=serializers.DictField())},
    )
    def get(self, request: Request, title: str) -> Response:
        asked = request.query_params
        keys = {name: asked[name] for name in asked if name not in _SETTINGS}
        limit = min(_number(asked.get("limit", "200"), "limit"), _MOST_ANSWERS)
        answers = query_peer(
            self.principal, peer_named(title), asked.get("level", "STUDY"), keys, limit
        )
        return Response(list(answers))


def _valid(serializer: serializers.Serializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    checked: dict[str, Any] = serializer.validated_data
    return checked


def _number(text: str, name: str) -> int:
    if not text.isdecimal() or len(text) > 12:  # noqa: PLR2004 - beyond any count we have
        raise InvalidRequest(f"{name} is no whole number.", offending=(name,))
    return int(text)
