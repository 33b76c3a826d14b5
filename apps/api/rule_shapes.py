"""How rules, peers and webhooks look to programs, and what their previews tell."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.archive.models import PrivateAttribute
from apps.coercion.models import CoercionRule
from apps.compression.models import CompressionRule
from apps.forwarding.models import ForwardingRule, PrefetchRule
from apps.network.models import ApplicationEntity, PolarityRule, WebArchive, Webhook
from apps.network.web_archive import ASKED_ANEW


class _PeerField(serializers.SlugRelatedField[ApplicationEntity]):
    """An application entity by its title."""

    def __init__(self, **options: Any) -> None:
        super().__init__(slug_field="title", queryset=ApplicationEntity.objects.all(), **options)


class _ArchiveField(serializers.SlugRelatedField[WebArchive]):
    """An archive that speaks DICOMweb by its name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(slug_field="name", queryset=WebArchive.objects.all(), **options)


class ForwardingRuleSerializer(serializers.ModelSerializer[ForwardingRule]):
    """Which complete studies go on by themselves: to `destination`, or else to `archive`."""

    destination = _PeerField(required=False, allow_null=True)
    archive = _ArchiveField(required=False, allow_null=True)

    class Meta:
        model = ForwardingRule
        fields = (
            "id",
            "name",
            "enabled",
            "destination",
            "archive",
            "sources",
            "conditions",
            "not_before",
            "not_after",
            "created_at",
            "last_problem",
        )
        read_only_fields = ("id", "created_at", "last_problem")


class PrefetchRuleSerializer(serializers.ModelSerializer[PrefetchRule]):
    """For whom earlier studies are fetched from `peer`, or else from `archive`, and which."""

    peer = _PeerField(required=False, allow_null=True)
    archive = _ArchiveField(required=False, allow_null=True)

    class Meta:
        model = PrefetchRule
        fields = (
            "id",
            "name",
            "enabled",
            "peer",
            "archive",
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


class CreatedWebhookSerializer(WebhookSerializer):
    """A webhook as it is told once, with its secret."""

    class Meta:
        model = Webhook
        fields = WebhookSerializer.Meta.fields
        read_only_fields = WebhookSerializer.Meta.read_only_fields


class WebArchiveSerializer(serializers.ModelSerializer[WebArchive]):
    """Another archive that speaks DICOMweb. Its secret is taken and never told."""

    has_secret = serializers.SerializerMethodField()

    class Meta:
        model = WebArchive
        fields = (
            "id",
            "name",
            "url",
            "description",
            "user",
            "secret",
            "has_secret",
            "authorities",
            "shows_certificate",
            "enabled",
            "queried",
            "move_destination",
            "parallel_transfers",
        )
        read_only_fields = ("id",)
        extra_kwargs: Final = {"secret": {"write_only": True}}

    @extend_schema_field(bool)
    def get_has_secret(self, row: WebArchive) -> bool:
        """Whether there is one."""
        return bool(row.secret)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A secret is for one server: another address or authority needs it anew."""
        row = self.instance
        if not isinstance(row, WebArchive) or not row.secret or "secret" in attrs:
            return attrs
        asked = (attrs.get(each, getattr(row, each)) for each in ("url", "authorities"))
        if row.leads_elsewhere(*asked):
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
