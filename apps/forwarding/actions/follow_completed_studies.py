"""Studies that became complete go where the rules send them."""

from __future__ import annotations

from typing import Final

from django.db import transaction
from django.utils import timezone

from apps.access.principals import Principal, system_principal
from apps.archive.models import Study
from apps.archive.selectors import instances_of
from apps.dicom.conditions import conditions_of
from apps.errors import PacsError
from apps.events.log import feed, latest_sequence
from apps.forwarding.conditions import fits, next_opening
from apps.forwarding.models import FollowedEvents, ForwardingRule
from apps.transfers.actions.request_transfer import send_to_other
from apps.transfers.models import Transfer, TransferInstance

_AT_ONCE: Final = 100


def follow_completed_studies() -> int:
    """Reads on in the event log; how many transfers were asked for.

    Each study and rule is one transaction. What was asked for already is not asked for again, so a
    crash half way, or a second reader, does no harm.
    """
    position, _ = FollowedEvents.objects.get_or_create(
        pk=1, defaults={"sequence": latest_sequence()}
    )
    events = feed(position.sequence, kinds=("StudyCompleted",), limit=_AT_ONCE)
    if not events:
        return 0
    rules = list(
        ForwardingRule.objects.filter(enabled=True).select_related("destination", "archive")
    )
    asked = 0
    for event in events:
        study = Study.objects.filter(study_instance_uid=event.study_instance_uid).first()
        for rule in rules:
            # A rule is for what comes after it.
            if study is not None and event.occurred_at >= rule.created_at:
                asked += forward_study(rule, study)
    FollowedEvents.objects.filter(pk=1, sequence__lt=events[-1].sequence).update(
        sequence=events[-1].sequence
    )
    return asked


def forward_study(rule: ForwardingRule, study: Study) -> bool:
    """Asks for a transfer of what this rule has not sent yet; False where nothing is to do.

    A study never goes back to where it came from.
    """
    principal = system_principal(f"rule {rule.name}")
    try:
        if why_not(principal, rule, study):
            return False
        with transaction.atomic():
            return _send(principal, rule, study)
    except PacsError as error:
        ForwardingRule.objects.filter(pk=rule.pk).update(last_problem=error.message[:200])
        return False


def why_not(principal: Principal, rule: ForwardingRule, study: Study) -> str:
    """Why the rule leaves the study alone, in a sentence; `""` where it does not.

    Raises InvalidRequest for conditions that cannot be read.
    """
    sources = {part.strip() for part in rule.sources.split(",") if part.strip()}
    if study.source_ae_title == rule.target:
        return "It came from the destination."
    if sources and study.source_ae_title not in sources:
        return "It came from another AE title."
    if not fits(principal, study.study_instance_uid, conditions_of(rule.conditions)):
        return "It does not meet the conditions."
    return ""


def _send(principal: Principal, rule: ForwardingRule, study: Study) -> bool:
    done = TransferInstance.objects.filter(
        transfer__peer=rule.destination,
        transfer__archive=rule.archive,
        transfer__asked_by_name=principal.name,
    ).values("instance_key")
    instances = instances_of(principal, study.study_instance_uid).exclude(pk__in=done)
    keys = list(instances.values_list("pk", flat=True))
    if not keys:
        return False
    transfer = send_to_other(principal, other=rule.other, keys=keys)
    opening = next_opening(timezone.now(), rule.not_before, rule.not_after)
    Transfer.objects.filter(pk=transfer.pk).update(not_before=opening)
    ForwardingRule.objects.filter(pk=rule.pk).exclude(last_problem="").update(last_problem="")
    return True
