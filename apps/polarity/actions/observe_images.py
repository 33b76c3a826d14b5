"""Look at the radiographs that arrived, within a budget of time, and judge each.

Follows the event log from its beginning, so an archive that is older than the guard is looked at
too. A row is written before an image is decoded and completed after: what kills a worker is passed
over by the next one, and says so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from django.db import transaction
from django.db.models import Q

from apps.archive.models import Instance
from apps.errors import PacsError
from apps.events.log import feed
from apps.events.models import Event
from apps.polarity.actions.find_changes import find_changes
from apps.polarity.candidates import CANDIDATES, Kind, kind_of
from apps.polarity.judging import Judgement, judge
from apps.polarity.models import ObservedEvents, PolarityObservation
from apps.polarity.seeing import Seen, see
from apps.polarity.selectors import siblings_of
from apps.retrieve.locations import Location, locations_by_key
from apps.storage.blobs import BlobMissing

Verdict = PolarityObservation.Verdict

_KINDS: Final = ("InstancesStored", "InstancesRestored", "InstanceReplaced")
_AT_ONCE: Final = 200
_IMAGES: Final = 50
_UNFINISHED: Final = "The look at this image was cut off."


def observe_images(seconds: float) -> int:
    """Works for about so many seconds; how many images were looked at. A second worker is harmless.

    An image takes 0.1 to 0.5 s of one core; the budget is kept between images.
    """
    until = time.monotonic() + seconds
    seen = 0
    position, _ = ObservedEvents.objects.get_or_create(pk=1)
    sequence = position.sequence
    while time.monotonic() < until:
        events = feed(sequence, kinds=_KINDS, limit=_AT_ONCE)
        if not events:
            break
        rows = _waiting(events)
        taken = _observe(rows, until)
        seen += taken
        if taken < len(rows) or len(rows) == _IMAGES:
            continue
        sequence = events[-1].sequence
        find_changes()
        ObservedEvents.objects.filter(pk=1, sequence__lt=sequence).update(sequence=sequence)
    find_changes()
    return seen


def _waiting(events: Sequence[Event]) -> list[Instance]:
    """The images of these events that nobody has looked at, the earliest first."""
    series = {event.series_instance_uid for event in events if event.series_instance_uid}
    studies = {event.study_instance_uid for event in events if not event.series_instance_uid}
    rows = Instance.objects.filter(
        Q(series__series_instance_uid__in=series) | Q(study__study_instance_uid__in=studies),
        CANDIDATES,
        polarity_observation=None,
    )
    return list(rows.select_related("series").order_by("received_at", "pk")[:_IMAGES])


def _observe(rows: Sequence[Instance], until: float) -> int:
    """Looks at the images until the time is over; how many."""
    locations = {each.key: each for each in locations_by_key([row.pk for row in rows])}
    done = 0
    for row in rows:
        if time.monotonic() >= until and done:
            break
        observation = _begun(row)
        location = locations.get(row.pk)
        if observation is not None and location is not None:
            _complete(observation, location)
            done += 1
    return done


def _begun(row: Instance) -> PolarityObservation | None:
    """A row of what is to be seen; None where the instance is gone, or somebody else looks."""
    with transaction.atomic():
        if not Instance.objects.select_for_update().filter(pk=row.pk).exists():
            return None
        observation, created = PolarityObservation.objects.get_or_create(
            instance_id=row.pk,
            defaults={
                "source_ae_title": row.source_ae_title[:64],
                "station_name": row.series.station_name[:64],
                "modality": row.series.modality[:16],
                "sop_class_uid": row.sop_class_uid[:64],
                "body_part": row.series.body_part_examined[:64],
                "received_at": row.received_at,
                "evidence": [_UNFINISHED],
            },
        )
    return observation if created else None


def _complete(observation: PolarityObservation, location: Location) -> None:
    """Looks at the image. What cannot be decoded is unsure, with the reason."""
    kind = kind_of(observation.sop_class_uid, observation.modality) or Kind(by_air=False)
    seen, judgement = _judged(observation, location, kind)
    observation.verdict, observation.confidence = judgement.verdict, judgement.confidence
    observation.evidence = judgement.evidence
    if seen is not None:
        observation.statement = str(seen.statement)
        observation.white, observation.ruled = seen.white, seen.ruled
        observation.signature = seen.signature
    PolarityObservation.objects.filter(pk=observation.pk).update(
        verdict=observation.verdict,
        confidence=observation.confidence,
        evidence=observation.evidence,
        statement=observation.statement,
        white=observation.white,
        ruled=observation.ruled,
        signature=observation.signature,
        compared=False,
    )


def _judged(
    observation: PolarityObservation, location: Location, kind: Kind
) -> tuple[Seen | None, Judgement]:
    try:
        seen = see(location)
    except BlobMissing:
        return None, Judgement(Verdict.UNSURE, 0.0, ["Its bytes are missing."])
    except PacsError as error:
        return None, Judgement(Verdict.UNSURE, 0.0, [f"It cannot be looked at: {error.message}"])
    return seen, judge(seen, kind, siblings_of(observation))
