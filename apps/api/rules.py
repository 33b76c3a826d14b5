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
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.actions.keep_rule import drop_rule, keep_rule
from apps.access.principals import Permission, Principal
from apps.api.principal import PrincipalView
from apps.archive.models import PrivateAttribute
from apps.coercion.models import CoercionRule
from apps.compression.models import CompressionRule
from apps.compression.preview import preview_compression
from apps.errors import NotFound
from apps.forwarding.models import ForwardingRule, PrefetchRule
from apps.forwarding.preview import preview_forwarding, preview_prefetch
from apps.network.actions.set_polarity_rule import lift_polarity_rule, set_polarity_rule
from apps.network.models import ApplicationEntity, PolarityRule, WebArchive, Webhook
from apps.network.web_archive import ASKED_ANEW
from apps.retrieve.coercion_preview import preview
from apps.retrieve.polarity_preview import preview_polarity


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
            "sop_instance_uids",
            "first_day",
            "first_time",
            "last_day",
            "last_time",
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


class WebArchiveSerializer(serializers.ModelSerializer[WebArchive]):
    """Another archive that speaks DICOMweb. Its secret is taken and never told."""

    has_secret = serializers.SerializerMethodField()

    class Meta:
        model = WebArchive
        fields = ("id", "name", "url", "description", "user", "secret", "has_secret", "enabled")
        read_only_fields = ("id",)
        extra_kwargs: Final = {"secret": {"write_only": True}}

    @extend_schema_field(bool)
    def get_has_secret(self, row: WebArchive) -> bool:
        """Whether there is one."""
        return bool(row.secret)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A secret is for one server: another address needs it anew."""
        row = self.instance
        if not isinstance(row, WebArchive) or not row.secret or "secret" in attrs:
            return attrs
        if row.leads_elsewhere(attrs.get("url", row.url)):
            raise serializers.ValidationError({"secret": [ASKED_ANEW]})
        return attrs


class ApplicationEntitySerializer(serializers.ModelSerializer[ApplicationEntity]):
    """A peer: where it listens, what it may do here, and the rules for what it sends."""

    class Meta:
        model = ApplicationEntity
        exclude = ()
        read_only_fields = ("id", "created_at", "last_seen_at")


class CoercionRuleSerializer(serializers.ModelSerializer[CoercionRule]):
    """What is changed of the objects of an application entity, on receipt or on sending."""

    class Meta:
        model = CoercionRule
        fields = (
            "id",
            "name",
            "enabled",
            "direction",
            "ae_titles",
            "conditions",
            "operations",
            "reason",
            "position",
            "created_at",
        )
        read_only_fields = ("id", "created_at")


class CompressionRuleSerializer(serializers.ModelSerializer[CompressionRule]):
    """Which stored images are compressed to HTJ2K, lossless, in the background."""

    class Meta:
        model = CompressionRule
        fields = (
            "id",
            "name",
            "enabled",
            "sources",
            "conditions",
            "older_than_days",
            "smallest_kb",
            "created_at",
        )
        read_only_fields = ("id", "created_at")


class PrivateAttributeSerializer(serializers.ModelSerializer[PrivateAttribute]):
    """A private attribute that is searched by and answered like any other, once collected."""

    class Meta:
        model = PrivateAttribute
        fields = (
            "id",
            "name",
            "creator",
            "group",
            "element",
            "vr",
            "level",
            "state",
            "cursor",
            "created_at",
        )
        read_only_fields = ("id", "state", "cursor", "created_at")


class DifferenceSerializer(serializers.Serializer[object]):
    """One attribute before and after."""

    keyword = serializers.CharField()
    before = serializers.CharField()
    after = serializers.CharField()


class PreviewedObjectSerializer(serializers.Serializer[object]):
    """What a coercion rule would have done with one object."""

    sop_instance_uid = serializers.CharField()
    study_instance_uid = serializers.CharField()
    source_ae_title = serializers.CharField()
    received_at = serializers.DateTimeField()
    fits = serializers.BooleanField(help_text="Whether it meets the conditions.")
    differences = DifferenceSerializer(many=True)
    problems = serializers.ListField(child=serializers.CharField())


class PreviewedStudySerializer(serializers.Serializer[object]):
    """Whether a rule would have acted on a study, and if not, why."""

    study_instance_uid = serializers.CharField()
    fits = serializers.BooleanField()
    reason = serializers.CharField()


class PreviewedImageSerializer(PreviewedStudySerializer):
    """Whether a rule would act on an image, and if not, why."""

    sop_instance_uid = serializers.CharField()


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
        found = self.preview.ask(self.principal, self.kind.model(**given.validated_data))
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
    every = extend_schema_view(
        get=extend_schema(responses=shape(many=True)),
        post=extend_schema(request=shape, responses={201: shape}),
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
