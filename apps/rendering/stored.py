"""Stored frames rendered, and the one picture of a series that is made before anybody asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Count, QuerySet, Sum

from apps.archive.models import Series
from apps.rendering.models import Thumbnail, ThumbnailPolicy, ThumbnailProgress
from apps.rendering.options import JPEG, RenderOptions, Viewport
from apps.rendering.render import RenderedImage, render_frame
from apps.retrieve.bulkdata import bulk_bytes
from apps.retrieve.frames import frame_table_of, stored_frame
from apps.retrieve.locations import Location
from apps.retrieve.metadata import shown_json_of
from apps.retrieve.polarity import variant_of

_ROOM_FOR_OLDER: Final = 900_000  # bytes of each megabyte
LISTED: Final = RenderOptions(JPEG, viewport=Viewport(152, 112))
"""What the study list and the viewer's strip ask for."""


@dataclass(frozen=True, slots=True)
class Held:
    """How many thumbnails are ready, and their size."""

    count: int
    bytes: int


def thumbnails_held() -> Held:
    """Read from an index alone."""
    total = Thumbnail.objects.aggregate(count=Count("pk"), bytes=Sum("size"))
    return Held(total["count"], total["bytes"] or 0)


def has_room_for_older(policy: ThumbnailPolicy) -> bool:
    """Whether older series get theirs; the last tenth of the room is for new ones."""
    return thumbnails_held().bytes < policy.most_megabytes * _ROOM_FOR_OLDER


def older_series(progress: ThumbnailProgress) -> QuerySet[Series]:
    """Those not looked at, of complete studies that the event log does not lead to."""
    complete: dict[str, object] = {"study__completed_at__isnull": False}
    if progress.older_until is not None:
        complete = {"study__completed_at__lte": progress.older_until}
    rows = Series.objects.filter(thumbnail=None, **complete)
    return rows if progress.older_key is None else rows.filter(pk__lt=progress.older_key)


def older_left() -> int:
    """How many older series have not been looked at."""
    progress = ThumbnailProgress.objects.filter(pk=1).first()
    return older_series(progress).count() if progress and progress.older_key != 0 else 0


def middle_frame(location: Location) -> int:
    """The frame, from 1, that stands for the instance."""
    return (frame_table_of(location).count + 1) // 2


def rendered_frame(location: Location, number: int, options: RenderOptions) -> RenderedImage:
    """Frame `number` (from 1) as it is to be shown.

    Raises NotFound, InvalidRequest, BlobMissing, and UnsupportedPixels where it cannot be shown.
    """
    table = frame_table_of(location)
    return render_frame(
        stored_frame(location, table, number),
        shown_json_of(location.key),
        location.transfer_syntax_uid,
        options,
        number,
        bit_offset=table.bit_offset(number - 1),
        bulk_data=lambda uri: bulk_bytes(location, uri),
    )


def ready_thumbnail(
    location: Location, number: int, options: RenderOptions
) -> RenderedImage | None:
    """The picture made ahead, where exactly this one was and still shows what would be rendered."""
    if options != LISTED or number != middle_frame(location):
        return None
    rows = Thumbnail.objects.filter(instance_id=location.key, digest=location.digest)
    row = rows.values_list(
        "body",
        "width",
        "height",
        "lossy",
        "variant",
        "instance__source_ae_title",
        "instance__received_at",
    ).first()
    if row is None:
        return None
    body, width, height, lossy, variant, source, received_at = row
    if variant != variant_of(source, received_at):
        return None
    return RenderedImage(JPEG, bytes(body), width, height, lossy)
