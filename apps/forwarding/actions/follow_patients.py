"""Patients who arrive or are expected: their earlier studies will be asked for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from apps.archive.models import Study
from apps.events.log import feed, latest_sequence
from apps.events.models import Event
from apps.forwarding.models import FollowedEvents, Prefetch, PrefetchRule
from apps.worklist.models import ServiceRequest

ARRIVAL: Final = "StudyCreated"
SCHEDULED: Final = "OrderScheduled"
_AT_ONCE: Final = 200
_QUIET: Final = timedelta(hours=24)


def follow_patients() -> int:
    """Reads on in the event log; for how many patients and rules a peer will be asked.

    The same patient is asked about once a day by each rule, whatever happens meanwhile: what is
    fetched arrives too, and would start it all again.
    """
    position, _ = FollowedEvents.objects.get_or_create(
        pk=2, defaults={"sequence": latest_sequence()}
    )
    events = feed(position.sequence, kinds=(ARRIVAL, SCHEDULED), limit=_AT_ONCE)
    if not events:
        return 0
    rules = list(PrefetchRule.objects.filter(enabled=True))
    with transaction.atomic():
        asked = sum(_note(event, rules) for event in events) if rules else 0
        FollowedEvents.objects.filter(pk=2).update(sequence=events[-1].sequence)
    return asked


def _note(event: Event, rules: Iterable[PrefetchRule]) -> int:
    patient_id, birth_date = patient_of(event)
    if not patient_id:
        return 0
    now = timezone.now()
    asked = 0
    for rule in rules:
        known = rule.prefetches.filter(patient_id=patient_id, asked_at__gte=now - _QUIET)
        # A rule is for what comes after it.
        if wants(rule, event) and event.occurred_at >= rule.created_at and not known.exists():
            Prefetch.objects.create(
                rule=rule,
                patient_id=patient_id,
                patient_birth_date=birth_date,
                asked_at=now,
                not_before=now,
            )
            asked += 1
    return asked


def wants(rule: PrefetchRule, event: Event) -> bool:
    """Whether the rule asks when such a thing happens."""
    return rule.by_arrival if event.kind == ARRIVAL else rule.by_worklist


def patient_of(event: Event) -> tuple[str, str]:
    """Patient ID and birth date, empty where there is none."""
    found: tuple[str, str] | None
    if event.kind == ARRIVAL:
        studies = Study.objects.filter(study_instance_uid=event.study_instance_uid)
        found = studies.values_list("patient_id", "patient_birth_date").first()
    else:
        orders = ServiceRequest.objects.filter(pk=event.payload.get("order"))
        found = orders.values_list("patient_id", "patient_birth_date").first()
    return found or ("", "")
