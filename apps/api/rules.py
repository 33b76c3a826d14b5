"""Rules, peers and webhooks for programs: listed, added, changed, removed, as in the admin."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import models
from drf_spectacular.utils import (
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.actions.keep_rule import check_rule, drop_rule, keep_rule
from apps.access.principals import Permission, Principal
from apps.api.principal import PrincipalView
from apps.api.rule_shapes import (
    ApplicationEntitySerializer,
    CoercionRuleSerializer,
    CompressionRuleSerializer,
    CreatedWebhookSerializer,
    ForwardingRuleSerializer,
    PolarityRuleSerializer,
    PrefetchRuleSerializer,
    PreviewedImageSerializer,
    PreviewedObjectSerializer,
    PreviewedStudySerializer,
    PrivateAttributeSerializer,
    WebArchiveSerializer,
    WebhookSerializer,
)
from apps.archive.models import PrivateAttribute
from apps.coercion.models import CoercionRule
from apps.compression.models import CompressionRule
from apps.compression.preview import preview_compression
from apps.errors import NotFound
from apps.forwarding.models import ForwardingRule, PrefetchRule
from apps.forwarding.preview import preview_forwarding, preview_prefetch
from apps.network.actions.set_polarity_rule import lift_polarity_rule, set_polarity_rule
from apps.network.models import ApplicationEntity, PolarityRule, WebArchive, Webhook
from apps.retrieve.coercion_preview import preview
from apps.retrieve.polarity_preview import preview_polarity


@dataclass(frozen=True, slots=True)
class _Preview:
    """What a rule would have done: the question, and how its answers look."""

    ask: Callable[[Principal, Any], Sequence[Any]]
    serializer: type[serializers.Serializer[Any]]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A table that administrators keep, with its one way in and out."""

    model: type[models.Model]
    serializer: type[serializers.ModelSerializer[Any]]
    keep: Callable[[Principal, Any], object] = keep_rule
    drop: Callable[[Principal, Any], None] = drop_rule
    preview: _Preview | None = None

    def row(self, key: int) -> models.Model:
        """Raises NotFound."""
        found = self.model._default_manager.filter(pk=key).first()
        if found is None:
            raise NotFound("There is no such rule.")
        return found

    def answer(self, row: models.Model) -> dict[str, Any]:
        """The row as programs see it."""
        return dict(self.serializer(row).data)


class _RulesView(PrincipalView):
    """All rows of a kind."""

    permission = Permission.ADMINISTER
    kind: _Kind

    def get(self, _request: Request) -> Response:
        rows = self.kind.model._default_manager.order_by("pk")
        return Response([self.kind.answer(each) for each in rows])

    def post(self, request: Request) -> Response:
        given = self.kind.serializer(data=request.data)
        given.is_valid(raise_exception=True)
        row = self.kind.model(**given.validated_data)
        self.kind.keep(self.principal, row)
        answer = self.kind.answer(row)
        if isinstance(row, Webhook):
            answer["secret"] = row.secret
        return Response(answer, status=201)


class _RuleView(PrincipalView):
    """One row of a kind."""

    permission = Permission.ADMINISTER
    kind: _Kind

    def get(self, _request: Request, key: int) -> Response:
        return Response(self.kind.answer(self.kind.row(key)))

    def patch(self, request: Request, key: int) -> Response:
        row = self.kind.row(key)
        given = self.kind.serializer(row, data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        for name, value in given.validated_data.items():
            setattr(row, name, value)
        self.kind.keep(self.principal, row)
        return Response(self.kind.answer(row))

    def delete(self, _request: Request, key: int) -> Response:
        self.kind.drop(self.principal, self.kind.row(key))
        return Response(status=204)


class _PreviewView(PrincipalView):
    """POST a rule: what it would have done with what came last. Nothing is saved."""

    permission = Permission.ADMINISTER
    kind: _Kind
    preview: _Preview

    def post(self, request: Request) -> Response:
        data = request.data
        if isinstance(data, dict):
            # A rule that exists may be tried under its own name.
            data = {**data, "name": secrets.token_hex(16)}
        given = self.kind.serializer(data=data)
        given.is_valid(raise_exception=True)
        row = self.kind.model(**given.validated_data)
        check_rule(row)
        found = self.preview.ask(self.principal, row)
        return Response(self.preview.serializer(found, many=True).data)


def _preview_view(kind: _Kind, preview: _Preview) -> type[PrincipalView]:
    """The view of a kind's preview, described for the OpenAPI document."""
    described = extend_schema_view(
        post=extend_schema(request=kind.serializer, responses=preview.serializer(many=True))
    )
    members = {"kind": kind, "preview": preview, "__doc__": _PreviewView.__doc__}
    return described(type(f"{kind.model.__name__}Preview", (_PreviewView,), members))


def _views(kind: _Kind) -> tuple[type[PrincipalView], type[PrincipalView]]:
    """The two views of a kind, described for the OpenAPI document."""
    shape = kind.serializer
    members = {"kind": kind, "__doc__": shape.__doc__}
    name = kind.model.__name__
    created = CreatedWebhookSerializer if kind.model is Webhook else shape
    every = extend_schema_view(
        get=extend_schema(responses=shape(many=True)),
        post=extend_schema(request=shape, responses={201: created}),
    )
    one = extend_schema_view(
        get=extend_schema(responses=shape),
        patch=extend_schema(request=shape(partial=True), responses=shape),
        delete=extend_schema(responses={204: OpenApiResponse(description="Removed.")}),
    )
    return (
        every(type(f"{name}sView", (_RulesView,), members)),
        one(type(f"{name}View", (_RuleView,), members)),
    )


# TABLE: what administrators keep over REST, by its path.
KINDS: Final[dict[str, _Kind]] = {
    "rules/coercion": _Kind(
        CoercionRule,
        CoercionRuleSerializer,
        preview=_Preview(preview, PreviewedObjectSerializer),
    ),
    "rules/forwarding": _Kind(
        ForwardingRule,
        ForwardingRuleSerializer,
        preview=_Preview(preview_forwarding, PreviewedStudySerializer),
    ),
    "rules/prefetch": _Kind(
        PrefetchRule,
        PrefetchRuleSerializer,
        preview=_Preview(preview_prefetch, PreviewedStudySerializer),
    ),
    "rules/polarity": _Kind(
        PolarityRule,
        PolarityRuleSerializer,
        set_polarity_rule,
        lift_polarity_rule,
        _Preview(preview_polarity, PreviewedImageSerializer),
    ),
    "rules/compression": _Kind(
        CompressionRule,
        CompressionRuleSerializer,
        preview=_Preview(preview_compression, PreviewedImageSerializer),
    ),
    "private-attributes": _Kind(PrivateAttribute, PrivateAttributeSerializer),
    "webhooks": _Kind(Webhook, WebhookSerializer),
    "dicomweb-archives": _Kind(WebArchive, WebArchiveSerializer),
    "application-entities": _Kind(ApplicationEntity, ApplicationEntitySerializer),
}
VIEWS: Final = {path: _views(kind) for path, kind in KINDS.items()}
PREVIEWS: Final = {
    path: _preview_view(kind, kind.preview)
    for path, kind in KINDS.items()
    if kind.preview is not None
}
