"""One instance looked into: its header element by element, and a report as a readable outline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.access.audit import view_event
from apps.access.principals import Permission, Principal
from apps.api.principal import PrincipalView
from apps.archive.fragments import plain
from apps.archive.models import Instance, Metadata
from apps.archive.selectors import instance_of
from apps.dicom.element_listing import Element
from apps.dicom.reader import InstanceReader
from apps.dicom.structured_report import outline
from apps.errors import NotFound, Unavailable
from apps.storage.blobs import BlobMissing, RandomAccess
from apps.storage.stores import blob_store

# A header with more elements than this (a huge enhanced multi-frame) is cut, and says so.
_MOST_ELEMENTS = 50_000


class ElementSerializer(serializers.Serializer[object]):
    """One data element as it stands in the stored bytes."""

    depth = serializers.IntegerField(help_text="0 at the top, 1 inside a sequence item, …")
    tag = serializers.CharField(help_text="Eight hexadecimal digits.")
    vr = serializers.CharField()
    vm = serializers.IntegerField(help_text="How many values the element has.")
    length = serializers.IntegerField(help_text="As stored, in bytes; -1 for undefined length.")
    keyword = serializers.CharField()
    name = serializers.CharField()
    creator = serializers.CharField(help_text="Private creator, for private elements.")
    value = serializers.CharField()
    truncated = serializers.BooleanField(help_text="The value goes on.")


@contextmanager
def opened(instance: Instance) -> Iterator[RandomAccess]:
    """The instance's blob; raises Unavailable in words when its bytes cannot be had."""
    try:
        blob = blob_store().open(instance.blob_key)
    except BlobMissing as error:
        raise Unavailable("The stored bytes of this instance cannot be found.") from error
    try:
        yield blob
    finally:
        blob.close()


def _as_row(element: Element) -> dict[str, Any]:
    return {
        "depth": element.depth,
        "tag": f"{element.tag:08X}",
        "vr": element.vr,
        "vm": element.multiplicity,
        "length": element.length,
        "keyword": element.keyword,
        "name": element.name,
        "creator": element.private_creator,
        "value": element.value,
        "truncated": element.value != element.full_value,
    }


def _viewed(principal: Principal, study: str) -> None:
    view_event(principal, "StudyViewed", study)


class HeaderView(PrincipalView):
    """`GET /api/studies/{study}/series/{series}/instances/{instance}/header/`."""

    permission = Permission.VIEW_IMAGES

    @extend_schema(responses=ElementSerializer(many=True))
    def get(self, _request: Request, study: str, series: str, instance: str) -> Response:
        """Every element in stored order, sequences unfolded, values shortened."""
        found = instance_of(study, series, instance, self.principal)
        _viewed(self.principal, study)
        rows: list[dict[str, Any]] = []
        with opened(found) as blob:
            for element in InstanceReader(blob).elements():
                rows.append(_as_row(element))
                if len(rows) >= _MOST_ELEMENTS:
                    break
        return Response(rows)


class ReportView(PrincipalView):
    """`GET /api/studies/{study}/series/{series}/instances/{instance}/report/`."""

    permission = Permission.VIEW_IMAGES

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, _request: Request, study: str, series: str, instance: str) -> Response:
        """The content tree of a structured report or key object document as an outline."""
        found = instance_of(study, series, instance, self.principal)
        _viewed(self.principal, study)
        row = (
            Metadata.objects.filter(instance_id=found.pk).values_list("fragment", flat=True).first()
        )
        if row is None:
            raise NotFound("This instance has no metadata.")
        document = orjson.loads(plain(bytes(row)))
        if "0040A730" not in document and "0040A043" not in document:
            raise NotFound("This instance is not a structured report.")
        return Response(outline(document).as_dict())
