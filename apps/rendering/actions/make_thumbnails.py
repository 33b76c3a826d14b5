"""Render the picture that stands for each series of a complete study, before anybody asks for it.

Follows the event log, one series at a time: a series is passed before its image is decoded, so
what kills a worker is not tried again, and a second worker takes the next one. Whatever is not
made here is rendered when it is asked for.
"""

from __future__ import annotations

import time
from typing import Final

from django.db import IntegrityError, transaction

from apps.access.principals import system_principal
from apps.archive.models import Instance, Series
from apps.dicom.transfer_syntaxes import transfer_syntax
from apps.errors import NotFound, PacsError
from apps.events.log import feed
from apps.events.models import Event
from apps.ingest import spool
from apps.rendering.models import Thumbnail, ThumbnailPolicy, ThumbnailProgress
from apps.rendering.render import RenderedImage
from apps.rendering.stored import LISTED, middle_frame, rendered_frame, thumbnails_held
from apps.retrieve.locations import Location, representative_of
from apps.retrieve.polarity import variant_of
from apps.storage.blobs import BlobMissing

SECONDS: Final = 1.5
SECONDS_WHILE_RECEIVING: Final = 0.2
_KIND: Final = "StudyCompleted"
_AT_FIRST: Final = 500
"""Of an archive that is older than this, the studies completed last; the others are old."""
_ROOM_AFTER_TRIMMING: Final = 0.95


def make_thumbnails(
    seconds: float = SECONDS, while_receiving: float = SECONDS_WHILE_RECEIVING
) -> int:
    """Works for about so many seconds, fewer while instances arrive; how many were made."""
    policy = ThumbnailPolicy.objects.filter(pk=1).first() or ThumbnailPolicy()
    if not policy.enabled:
        return 0
    begun = time.monotonic()
    made = 0
    progress = _progress()
    while time.monotonic() - begun < (while_receiving if spool.receiving() else seconds):
        series = _next_series(progress)
        if series is None:
            break
        made += _make(series)
    if made:
        _trim(policy.most_megabytes * 1_000_000)
    return made


def _progress() -> ThumbnailProgress:
    progress = ThumbnailProgress.objects.filter(pk=1).first()
    if progress is None:
        completed = Event.objects.filter(kind=_KIND).order_by("-sequence")
        recent = completed.values_list("sequence", flat=True)[_AT_FIRST : _AT_FIRST + 1].first()
        progress, _ = ThumbnailProgress.objects.get_or_create(
            pk=1, defaults={"sequence": recent or 0}
        )
    return progress


def _next_series(progress: ThumbnailProgress) -> Series | None:
    """The next series, passed by this; None where all is done, or somebody else is at it."""
    while events := feed(progress.sequence, kinds=(_KIND,), limit=20):
        for event in events:
            study = Series.objects.filter(study__study_instance_uid=event.study_instance_uid)
            rows = study.filter(pk__gt=progress.series_key).select_related("study")
            series = rows.order_by("pk").first()
            if series is not None:
                return series if _pass(progress, progress.sequence, series.pk) else None
            if not _pass(progress, event.sequence, 0):
                return None
    return None


def _pass(progress: ThumbnailProgress, sequence: int, series_key: int) -> bool:
    """Moves on unless another worker did."""
    moved = ThumbnailProgress.objects.filter(
        pk=1, sequence=progress.sequence, series_key=progress.series_key
    ).update(sequence=sequence, series_key=series_key)
    progress.sequence, progress.series_key = sequence, series_key
    return bool(moved)


def _make(series: Series) -> bool:
    """Renders and keeps the picture; False where there is none, or nothing new."""
    everything = system_principal("thumbnails")
    uids = series.study.study_instance_uid, series.series_instance_uid
    try:
        location = representative_of(everything, *uids)
    except NotFound:
        return False
    source = Instance.objects.filter(pk=location.key).values_list("source_ae_title", "received_at")
    received = source.first()
    if received is None or transfer_syntax(location.transfer_syntax_uid).video:
        return False
    variant = variant_of(*received)
    known = Thumbnail.objects.filter(pk=series.pk, instance_id=location.key, variant=variant)
    if known.filter(digest=location.digest).exists():
        return False
    try:
        picture = rendered_frame(location, middle_frame(location), LISTED)
    except (PacsError, BlobMissing):
        return False
    return _keep(series, location, variant, picture)


def _keep(series: Series, location: Location, variant: str, picture: RenderedImage) -> bool:
    """Keeps it in the place of the series' last one; False where the instance is gone by now."""
    try:
        with transaction.atomic():
            Thumbnail.objects.update_or_create(
                pk=series.pk,
                defaults={
                    "instance_id": location.key,
                    "digest": location.digest,
                    "variant": variant,
                    "width": picture.width,
                    "height": picture.height,
                    "lossy": picture.lossy,
                    "size": len(picture.body),
                    "body": picture.body,
                },
            )
    except IntegrityError:
        return False
    return True


def _trim(most_bytes: int) -> None:
    """Drops the oldest until a little less than what may be kept is left."""
    held = thumbnails_held().bytes
    if held <= most_bytes:
        return
    dropped = []
    for key, size in Thumbnail.objects.order_by("made_at", "pk").values_list("pk", "size"):
        if held <= most_bytes * _ROOM_AFTER_TRIMMING:
            break
        dropped.append(key)
        held -= size
    for start in range(0, len(dropped), 500):
        Thumbnail.objects.filter(pk__in=dropped[start : start + 500]).delete()
