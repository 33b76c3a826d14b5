"""Render the picture that stands for each series of a complete study, before anybody asks for it.

Follows the event log, one series at a time: a series is passed before its image is decoded, so
what kills a worker is not tried again, and a second worker takes the next one. When all that is
there is done, older series follow, the newest first. Whatever is not made here is rendered when it
is asked for.
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
from apps.rendering.stored import (
    LISTED,
    has_room_for_older,
    middle_frame,
    older_series,
    rendered_frame,
    thumbnails_held,
)
from apps.retrieve.locations import Location, representative_of
from apps.retrieve.polarity import variant_of
from apps.storage.blobs import BlobMissing

SECONDS: Final = 1.5
SECONDS_WHILE_RECEIVING: Final = 0.2
_KIND: Final = "StudyCompleted"
_AT_FIRST: Final = 500
"""Of an archive that is older than this, the studies completed last come first."""
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
    older_too = policy.older and progress.older_key != 0 and has_room_for_older(policy)
    while time.monotonic() - begun < (while_receiving if spool.receiving() else seconds):
        series = _next_series(progress)
        if series is not None:
            made += _make(series)
            continue
        older = _next_older(progress) if older_too else None
        if older is None:
            break
        made += _make_older(older)
    if made:
        _trim(policy.most_megabytes * 1_000_000)
    return made


def _progress() -> ThumbnailProgress:
    progress = ThumbnailProgress.objects.filter(pk=1).first()
    if progress is None:
        completed = Event.objects.filter(kind=_KIND).order_by("-sequence")
        before = completed[_AT_FIRST : _AT_FIRST + 1].first()
        start = (
            {"sequence": before.sequence, "older_until": before.occurred_at}
            if before
            else {"older_key": 0}
        )
        progress, _ = ThumbnailProgress.objects.get_or_create(pk=1, defaults=start)
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


def _next_older(progress: ThumbnailProgress) -> Series | None:
    """The next older series, passed by this; None when none is left, and while anything arrives."""
    if progress.older_key == 0 or spool.receiving():
        return None
    rows = older_series(progress).select_related("study").order_by("-pk")
    series = rows.first()
    before, progress.older_key = progress.older_key, series.pk if series else 0
    mine = ThumbnailProgress.objects.filter(pk=1, older_key=before)
    return series if mine.update(older_key=progress.older_key) else None


def _make_older(series: Series) -> bool:
    """As for a new one; but where room is needed, it goes before those of newer studies."""
    if not _make(series):
        return False
    Thumbnail.objects.filter(pk=series.pk).update(made_at=series.study.received_at)
    return True


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
