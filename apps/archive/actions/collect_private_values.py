"""collect_private_values: what instances have of the private attributes that are indexed.

Of new instances as they are added; of those that were here before by a walk in the order they were
stored, which keeps its place. Both may come to the same instance: a value is kept once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.archive.bulk import insert_rows
from apps.archive.fragments import plain
from apps.archive.models import Instance, PrivateAttribute, PrivateValue
from apps.archive.private_values import asked_of, collected_attributes, values_in
from apps.events.log import Actor, NewEvent, record

State = PrivateAttribute.State
# Longer than a batch of the indexer takes: what is younger may not have been asked by it.
SETTLED: Final = timedelta(seconds=20)
_AT_ONCE: Final = 200
_ACTOR: Final = Actor("system", "private attributes")

Said = tuple[int, int, int, bytes]
"""Keys of study, series and instance, and the packed metadata of the instance."""


def collect_from_new(instances: Iterable[Said]) -> None:
    """In the caller's transaction; one query where no private attribute is indexed."""
    attributes = collected_attributes()
    if attributes:
        _collect(instances, attributes)


def _collect(instances: Iterable[Said], attributes: Sequence[PrivateAttribute]) -> None:
    rows: list[dict[str, Any]] = []
    for study, series, instance, fragment in instances:
        document = json.loads(plain(fragment))
        rows += [
            {
                "attribute_id": attribute.pk,
                "study_id": study,
                "series_id": series,
                "instance_id": instance,
                "value": value,
            }
            for attribute in attributes
            for value in sorted(values_in(document, attribute))
        ]
    insert_rows(PrivateValue, rows, ignore_conflicts=True)


def collect_private_values(seconds: float, *, settled: timedelta = SETTLED) -> bool:
    """Goes on with a walk for about so many seconds; True when there is more to do at once."""
    until = time.monotonic() + seconds
    _begin_anew()
    attribute = PrivateAttribute.objects.filter(state=State.RUNNING).order_by("pk").first()
    goes_on = attribute is not None
    while attribute is not None and goes_on and time.monotonic() < until:
        goes_on = _batch(attribute.pk, settled)
    return goes_on


def _begin_anew() -> None:
    """What is new, or was changed to be something else: its old values mean nothing any more."""
    for attribute in PrivateAttribute.objects.exclude(state=State.CANCELLED):
        asked = asked_of(attribute)
        if attribute.asked == asked:
            continue
        with transaction.atomic():
            PrivateValue.objects.filter(attribute=attribute).delete()
            PrivateAttribute.objects.filter(pk=attribute.pk).update(
                asked=asked, cursor=0, state=State.RUNNING, started_at=timezone.now()
            )


def _batch(key: int, settled: timedelta) -> bool:
    """The next instances; False when there are none, or somebody has stopped it."""
    with transaction.atomic():
        attribute = (
            PrivateAttribute.objects.select_for_update().filter(pk=key, state=State.RUNNING).first()
        )
        if attribute is None or attribute.asked != asked_of(attribute):
            return False
        rows = list(
            Instance.objects.filter(pk__gt=attribute.cursor)
            .order_by("pk")
            .values_list("study_id", "series_id", "pk", "metadata__fragment", "indexed_at")[
                :_AT_ONCE
            ]
        )
        limit = timezone.now() - settled
        ready = [row for row in rows if row[4] is None or row[4] <= limit]
        _collect(
            ((study, series, pk, bytes(said)) for study, series, pk, said, _ in ready if said),
            [attribute],
        )
        if ready and len(ready) == len(rows):
            attribute.cursor = rows[-1][2]
            attribute.save(update_fields=["cursor"])
            return True
        return _at_the_end(attribute, rows, settled)


def _at_the_end(
    attribute: PrivateAttribute, rows: Sequence[tuple[Any, ...]], settled: timedelta
) -> bool:
    """Done when all that is left was added by an indexer that knew of the attribute."""
    started: datetime = attribute.started_at or timezone.now()
    knowing = started + settled
    if timezone.now() < knowing or any(row[4] is None or row[4] < knowing for row in rows):
        return False
    attribute.state = State.DONE
    attribute.save(update_fields=["state"])
    told = {"name": attribute.name}
    record([NewEvent("PrivateAttributeCollected", _ACTOR, payload=told)])
    return False


def change_collection(principal: Principal, attribute: PrivateAttribute, state: str) -> bool:
    """Pauses, resumes (`running`) or cancels; False where it is so. Raises NotPermitted.

    Resumed after it was cancelled, or done, it begins with the first instance.
    """
    permit(principal, Permission.ADMINISTER)
    with transaction.atomic():
        current = PrivateAttribute.objects.select_for_update().get(pk=attribute.pk)
        if current.state == state or (state == State.PAUSED and current.state != State.RUNNING):
            return False
        if current.state in (State.CANCELLED, State.DONE):
            current.cursor, current.started_at = 0, timezone.now()
        current.state = state
        current.save(update_fields=["state", "cursor", "started_at"])
        told = {"name": current.name, "state": state}
        record([NewEvent("PrivateAttributeChanged", actor_of(principal), payload=told)])
    return True
