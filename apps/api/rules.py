"""Rules, peers and webhooks for programs: listed, added, changed, removed, as in the admin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.db import models
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.actions.keep_rule import drop_rule, keep_rule
from apps.access.principals import Permission, Principal
from apps.api.principal import PrincipalView
from apps.errors import NotFound
from apps.forwarding.models import ForwardingRule, PrefetchRule
from apps.network.actions.set_polarity_rule import lift_polarity_rule, set_polarity_rule
from apps.network.models import ApplicationEntity, PolarityRule, Webhook


class _PeerField(serializers.SlugRelatedField[ApplicationEntity]):
    """An application entity by its title."""

    def __init__(self) -> None:
        super().__init__(slug_field="title", queryset=ApplicationEntity.objects.all())


class ForwardingRuleSerializer(serializers.ModelSerializer[ForwardingRule]):
    """Which complete studies go to the destination by themselves."""

    destination = _PeerField()

    class Meta:
        model = ForwardingRule
        fields = (
            "id",
            "name",
            "enabled",
            "destination",
            "sources",
            "conditions",
            "not_before",
            "not_after",
            "created_at",
            "last_problem",
        )
        read_only_fields = ("id", "created_at", "last_problem")


class PrefetchRuleSerializer(serializers.ModelSerializer[PrefetchRule]):
    """For whom earlier studies are fetched from the peer, and which."""

    peer = _PeerField()

    class Meta:
        model = PrefetchRule
        fields = (
            "id",
            "name",
            "enabled",
            "peer",
            "by_arrival",
            "by_worklist",
            "modalities",
            "years",
            "most",
            "created_at",
            "last_problem",
        )
        read_only_fields = ("id", "created_at", "last_problem")


class PolarityRuleSerializer(serializers.ModelSerializer[PolarityRule]):
    """Whose images are shown with black and white exchanged, and since when."""

    class Meta:
        model = PolarityRule
        fields = (
            "id",
            "source_ae_title",
            "station_name",
            "first_day",
            "last_day",
            "enabled",
            "reason",
            "created_at",
        )
        read_only_fields = ("id", "created_at")


class WebhookSerializer(serializers.ModelSerializer[Webhook]):
    """Who is told of changes over HTTP. The secret is made here unless given, and told once."""

    class Meta:
        model = Webhook
        fields = (
            "id",
            "url",
            "description",
            "secret",
            "kinds",
            "enabled",
            "delivered_at",
            "failures",
            "last_error",
            "next_attempt_at",
        )
        read_only_fields = ("id", "delivered_at", "failures", "last_error", "next_attempt_at")
        extra_kwargs: Final = {"secret": {"write_only": True}}


class ApplicationEntitySerializer(serializers.ModelSerializer[ApplicationEntity]):
    """A peer: where it listens, what it may do here, and the rules for what it sends."""

    class Meta:
        model = ApplicationEntity
        exclude = ()
        read_only_fields = ("id", "created_at", "last_seen_at")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A table that administrators keep, with its one way in and out."""

    model: type[models.Model]
    serializer: type[serializers.ModelSerializer[Any]]
    keep: Callable[[Principal, Any], object] = keep_rule
    drop: Callable[[Principal, Any], None] = drop_rule

    def row(self, key: int) -> models.Model:
        """Raises NotFound."""
        found = self.model._default_manager.filter(pk=key).first()
        if found is None:
            raise NotFound("There is no such rule.")
        return found

    def answer(self, row: models.Model) -> dict[str, Any]:
        """The row as programs see it."""
        return dict(self.serializer(row).data)


def _views(kind: _Kind) -> tuple[type[PrincipalView], type[PrincipalView]]:
    """The two views of a kind: of all its rows, and of one."""
    shape = kind.serializer

    class AllView(PrincipalView):
        permission = Permission.ADMINISTER
        __doc__ = shape.__doc__

        @extend_schema(responses=shape(many=True))
        def get(self, _request: Request) -> Response:
            rows = kind.model._default_manager.order_by("pk")
            return Response([kind.answer(each) for each in rows])

        @extend_schema(request=shape, responses={201: shape})
        def post(self, request: Request) -> Response:
            given = shape(data=request.data)
            given.is_valid(raise_exception=True)
            row = kind.model(**given.validated_data)
            kind.keep(self.principal, row)
            answer = kind.answer(row)
            if isinstance(row, Webhook):
                answer["secret"] = row.secret
            return Response(answer, status=201)

    class OneView(PrincipalView):
        permission = Permission.ADMINISTER
        __doc__ = shape.__doc__

        @extend_schema(responses=shape)
        def get(self, _request: Request, key: int) -> Response:
            return Response(kind.answer(kind.row(key)))

        @extend_schema(request=shape(partial=True), responses=shape)
        def patch(self, request: Request, key: int) -> Response:
            row = kind.row(key)
            given = shape(row, data=request.data, partial=True)
            given.is_valid(raise_exception=True)
            for name, value in given.validated_data.items():
                setattr(row, name, value)
            kind.keep(self.principal, row)
            return Response(kind.answer(row))

        @extend_schema(responses={204: OpenApiResponse(description="Removed.")})
        def delete(self, _request: Request, key: int) -> Response:
            kind.drop(self.principal, kind.row(key))
            return Response(status=204)

    return AllView, OneView


# TABLE: what administrators keep over REST, by its path.
KINDS: Final[dict[str, _Kind]] = {
    "rules/forwarding": _Kind(ForwardingRule, ForwardingRuleSerializer),
    "rules/prefetch": _Kind(PrefetchRule, PrefetchRuleSerializer),
    "rules/polarity": _Kind(
        PolarityRule, PolarityRuleSerializer, set_polarity_rule, lift_polarity_rule
    ),
    "webhooks": _Kind(Webhook, WebhookSerializer),
    "application-entities": _Kind(ApplicationEntity, ApplicationEntitySerializer),
}
VIEWS: Final = {path: _views(kind) for path, kind in KINDS.items()}
