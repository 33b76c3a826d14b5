"""Stored objects to try the web services with: those that a resource and a media type are for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db.models import QuerySet

from apps.archive.models import Instance
from apps.dicom.sop_classes import TABLE as SOP_CLASSES
from apps.dicom.transfer_syntaxes import TABLE as SYNTAXES

_MOST: Final = 6
"""So many are tried: not every object can be had as everything."""
_REPORTS: Final = tuple(row.uid for row in SOP_CLASSES if row.kind == "report")
_IMAGES: Final = tuple(row.uid for row in SOP_CLASSES if row.kind == "image")
_PDFS: Final = tuple(row.uid for row in SOP_CLASSES if row.keyword == "EncapsulatedPDFStorage")
_TEXTS: Final = frozenset({"text/html", "text/plain", "text/xml"})


def samples(resource: str, media_type: str) -> Sequence[Instance]:
    """The newest that `resource`, a path of ours, can be given of as `media_type`; few at most."""
    plain = media_type.rpartition('type="')[2].rstrip('"')
    if resource.endswith(("/rendered", "/thumbnail")):
        return _newest(_rendered(plain))
    if resource.endswith(("/pixeldata", "/bulkdata")) and plain.startswith("image/"):
        return _newest(_stored_as(plain))  # never transcoded (PS3.18 10.4.1.1.7)
    if resource.endswith("/pixeldata") and not media_type.startswith("multipart/"):
        # Frames of what is encapsulated come as parts, whatever was asked for.
        native = [row.uid for row in SYNTAXES if not row.encapsulated]
        return _newest(_pictures().filter(transfer_syntax_uid__in=native))
    if resource.endswith("/frames/{frames}"):
        return [*_newest(_stored_as(plain)), *_newest(_pictures())]
    return _newest(_pictures()) or _newest(Instance.objects.all())


def samples_stored_in(transfer_syntax_uid: str) -> Sequence[Instance]:
    """Those with frames in that Transfer Syntax."""
    return _newest(Instance.objects.filter(transfer_syntax_uid=transfer_syntax_uid, rows__gt=0))


def _newest(rows: QuerySet[Instance]) -> list[Instance]:
    return list(rows.select_related("study", "series").order_by("-pk")[:_MOST])


def _pictures() -> QuerySet[Instance]:
    videos = [row.uid for row in SYNTAXES if row.video]
    return Instance.objects.filter(sop_class_uid__in=_IMAGES, rows__gt=0).exclude(
        transfer_syntax_uid__in=videos
    )


def _stored_as(media_type: str) -> QuerySet[Instance]:
    syntaxes = [row.uid for row in SYNTAXES if row.media_type == media_type and row.encapsulated]
    return Instance.objects.filter(transfer_syntax_uid__in=syntaxes, rows__gt=0)


def _rendered(media_type: str) -> QuerySet[Instance]:
    if media_type in _TEXTS:
        return Instance.objects.filter(sop_class_uid__in=_REPORTS)
    if media_type == "application/pdf":
        return Instance.objects.filter(sop_class_uid__in=_PDFS)
    if media_type.startswith("video/"):
        return _stored_as(media_type)
    return _pictures()
