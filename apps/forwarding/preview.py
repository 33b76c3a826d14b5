"""What forwarding and prefetch rules would have done with what came last; nothing is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from apps.access.principals import Permission, Principal, permit
from apps.archive.models import Study
from apps.errors import InvalidRequest
from apps.events.models import Event
from apps.forwarding.actions.follow_completed_studies import why_not
from apps.forwarding.actions.follow_patients import ARRIVAL, SCHEDULED, patient_of, wants
from apps.forwarding.models import ONE_DESTINATION, ForwardingRule, PrefetchRule

MOST: Final = 20


@dataclass(frozen=True, slots=True)
class Previewed:
    """One study, or one patient's arrival: whether the rule would act, and if not, why."""

    study_instance_uid: str
    fits: bool
    reason: str = ""


def preview_forwarding(principal: Principal, rule: ForwardingRule) -> list[Previewed]:
    """The 20 studies that became complete last. Raises NotPermitted, InvalidRequest."""
    permit(principal, Permission.ADMINISTER)
    if rule.destination is None and rule.archive is None:
        raise InvalidRequest(ONE_DESTINATION, offending=("destination",))
    studies = Study.objects.filter(completed_at__isnull=False).order_by("-completed_at")[:MOST]
    out = []
    for study in studies:
        reason = why_not(principal, rule, study)
        out.append(Previewed(study.study_instance_uid, not reason, reason))
    return out


def preview_prefetch(principal: Principal, rule: PrefetchRule) -> list[Previewed]:
    """The 20 latest arrivals and orders. Raises NotPermitted."""
    permit(principal, Permission.ADMINISTER)
    events = Event.objects.filter(kind__in=(ARRIVAL, SCHEDULED)).order_by("-sequence")[:MOST]
    return list(_prefetches(rule, events))


def _prefetches(rule: PrefetchRule, events: Iterable[Event]) -> Iterator[Previewed]:
    for event in events:
        reason = ""
        if not wants(rule, event):
            when = "a study arrives" if event.kind == ARRIVAL else "an order is scheduled"
            reason = f"The rule does not ask when {when}."
        elif not patient_of(event)[0]:
            reason = "The patient has no ID."
        yield Previewed(event.study_instance_uid, not reason, reason)
