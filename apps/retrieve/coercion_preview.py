"""What a coercion rule would have done with the objects that came last; nothing is changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from django.conf import settings
from django.utils import timezone

from apps.access.audit import view_event
from apps.access.principals import Permission, Principal, permit
from apps.archive.models import Instance
from apps.coercion.models import CoercionRule
from apps.coercion.rules import Difference, Rule, apply, read_rule
from apps.dicom.reader import InstanceReader
from apps.errors import PacsError
from apps.events.models import Event
from apps.retrieve.coercion import character_set_of
from apps.retrieve.locations import Location, locations_by_key
from apps.retrieve.metadata import dicom_json_of
from apps.storage.stores import blob_store

OBJECTS: Final = 20
_EVENTS: Final = 20


@dataclass(frozen=True, slots=True)
class Previewed:
    """One object: what the rule would change of it; `problems` are sentences without values."""

    sop_instance_uid: str
    study_instance_uid: str
    source_ae_title: str
    received_at: datetime
    fits: bool
    differences: tuple[Difference, ...] = ()
    problems: tuple[str, ...] = ()


def preview(principal: Principal, row: CoercionRule) -> list[Previewed]:
    """The last 20 objects of the rule's sources, newest first; for sending, the last 20 of all.

    On receipt the rule is run on the objects as they came, read again. Raises NotPermitted,
    InvalidRequest.
    """
    permit(principal, Permission.ADMINISTER)
    permit(principal, Permission.VIEW_IMAGES)
    rule = read_rule(row)
    receiving = row.direction == CoercionRule.Direction.RECEIVE
    found = latest_of(rule.titles if receiving else frozenset())
    instances = {each.pk: each for each in found}
    out = []
    for location in locations_by_key(list(instances)):
        view_event(principal, "StudyViewed", location.study_instance_uid)
        out.append(_previewed(rule, location, instances[location.key], receiving=receiving))
    return out


def latest_of(titles: Collection[str]) -> Iterator[Instance]:
    """The newest instances, those of the senders where any are named; found by their events."""
    if not titles:
        yield from Instance.objects.order_by("-pk")[:OBJECTS]
        return
    events = Event.objects.filter(kind="InstancesStored", actor_name__in=sorted(titles))
    uids: list[str] = []
    for payload in events.order_by("-sequence").values_list("payload", flat=True)[:_EVENTS]:
        uids += payload.get("sop_instance_uids", [])[len(uids) - OBJECTS :]
        if len(uids) >= OBJECTS:
            break
    yield from Instance.objects.filter(sop_instance_uid__in=uids).order_by("-pk")


def _previewed(rule: Rule, location: Location, row: Instance, *, receiving: bool) -> Previewed:
    facts = (
        location.sop_instance_uid,
        location.study_instance_uid,
        row.source_ae_title,
        row.received_at,
    )
    try:
        document, terms = _as_received(location, rule) if receiving else _as_given_out(location)
    except (OSError, PacsError):
        return Previewed(*facts, fits=False, problems=("Its stored bytes cannot be read.",))
    applied = apply(
        (rule,), document, terms, source=settings.PACSWEB.ae_title, moment=timezone.now()
    )
    fits = rule.fits(document, terms)
    return Previewed(*facts, fits, applied.differences, applied.problems)


def _as_received(location: Location, rule: Rule) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    with closing(blob_store().open(location.blob_key)) as handle:
        scan = InstanceReader(handle, fallback_character_set=rule.character_set).scan()
    declared = scan.attributes.get("SpecificCharacterSet", "")
    return orjson.loads(b"".join(scan.json)), tuple(declared.split("\\")) if declared else ()


def _as_given_out(location: Location) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    return dicom_json_of(location.key), character_set_of(location)
