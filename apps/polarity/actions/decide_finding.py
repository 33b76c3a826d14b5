"""What a person decides about a finding. Nothing stored changes, and each can be taken back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.errors import InvalidRequest, NotFound
from apps.events.log import NewEvent, record
from apps.network.actions.set_polarity_rule import lift_polarity_rule, set_polarity_rule
from apps.network.models import PolarityRule
from apps.polarity.actions.alert_polarity import alert_polarity
from apps.polarity.actions.find_changes import payload_of, studies_of
from apps.polarity.models import PolarityFinding

State = PolarityFinding.State

_SHORT: Final = "%Y-%m-%d %H:%M:%S"


def dismiss_finding(principal: Principal, pk: int) -> None:
    """The images are shown rightly: such images of this source are not flagged again."""
    with _deciding(principal, pk, State.DISMISSED, "Shown rightly.") as _:
        pass


def correct_source(
    principal: Principal, pk: int, *, first: datetime, last: datetime | None
) -> PolarityRule:
    """A display rule for what the source sends from one moment (UTC) to another, or from now on."""
    until = f"until {last:{_SHORT}} UTC" if last else "until further notice"
    words = f"Rule from {first:{_SHORT}} UTC {until}."
    with _deciding(principal, pk, State.CONFIRMED, words) as finding:
        _not_ruled(finding)
        # People say seconds; the image before may have come in the same one.
        if timedelta(0) <= finding.first_at - first < timedelta(seconds=1):
            first = finding.first_at
        rule = _rule(finding, first, last)
        set_polarity_rule(principal, rule)
        finding.rule = rule
    return rule


def correct_images(principal: Principal, pk: int, sop_instance_uids: Sequence[str]) -> PolarityRule:
    """A display rule for these images of the finding alone."""
    words = f"Rule for {len(sop_instance_uids)} images alone."
    with _deciding(principal, pk, State.CONFIRMED, words) as finding:
        _not_ruled(finding)
        rows = finding.observations.filter(instance__sop_instance_uid__in=sop_instance_uids)
        moments = list(rows.values_list("received_at", flat=True))
        if not moments or len(moments) != len(set(sop_instance_uids)):
            raise InvalidRequest("Choose images of this finding.")
        rule = _rule(finding, min(moments), max(moments))
        rule.sop_instance_uids = "\n".join(sorted(set(sop_instance_uids)))
        set_polarity_rule(principal, rule)
        finding.rule = rule
    return rule


def end_rules(principal: Principal, pk: int, *, last: datetime) -> int:
    """The device is repaired: rules for the source end at that moment (UTC); how many did."""
    words = f"Rule ended at {last:{_SHORT}} UTC."
    with _deciding(principal, pk, State.CONFIRMED, words) as finding:
        rows = PolarityRule.objects.filter(
            source_ae_title=finding.source_ae_title,
            station_name__in=("", finding.station_name),
            sop_instance_uids="",
            enabled=True,
        )
        ended = [row for row in rows if row.begin <= last and (row.end is None or row.end > last)]
        if not ended:
            raise InvalidRequest("No rule for this source is in force at that time.")
        for rule in ended:
            rule.last_day, rule.last_time = last.date(), last.time()
            set_polarity_rule(principal, rule)
        finding.rule = ended[0]
    return len(ended)


def reopen_finding(principal: Principal, pk: int) -> None:
    """Takes a decision back: the rule it made is lifted, one that it ended goes on.

    Raises NotPermitted, NotFound, InvalidRequest.
    """
    permit(principal, Permission.ADMINISTER)
    with transaction.atomic():
        finding = _locked(pk)
        if finding.state == State.OPEN:
            raise InvalidRequest("This finding is open.")
        if _another_open(finding):
            raise InvalidRequest("Another finding of this source is open: decide that one first.")
        rule, finding.rule = finding.rule, None
        finding.state, finding.decided_at = State.OPEN, None
        finding.decided_by = finding.decision = ""
        finding.save()
        if rule is not None and finding.ruled:
            rule.last_day = rule.last_time = None
            set_polarity_rule(principal, rule)
        elif rule is not None:
            lift_polarity_rule(principal, rule)
        _tell(principal, finding, "PolarityFindingReopened")


@contextmanager
def _deciding(
    principal: Principal, pk: int, state: PolarityFinding.State, words: str
) -> Iterator[PolarityFinding]:
    """One transaction: the finding that is open, then its new state, alerts and event."""
    permit(principal, Permission.ADMINISTER)
    with transaction.atomic():
        finding = _locked(pk)
        if finding.state != State.OPEN:
            raise InvalidRequest("This finding is decided already.")
        yield finding
        finding.state, finding.decision = state, words
        finding.decided_at, finding.decided_by = timezone.now(), principal.name[:256]
        finding.save()
        name = "Dismissed" if state == State.DISMISSED else "Confirmed"
        _tell(principal, finding, f"PolarityFinding{name}")


def _locked(pk: int) -> PolarityFinding:
    finding = PolarityFinding.objects.select_for_update(of=("self",)).filter(pk=pk).first()
    if finding is None:
        raise NotFound("There is no such finding.")
    return finding


def _another_open(finding: PolarityFinding) -> bool:
    return PolarityFinding.objects.filter(
        state=State.OPEN,
        source_ae_title=finding.source_ae_title,
        station_name=finding.station_name,
        modality=finding.modality,
    ).exists()


def _not_ruled(finding: PolarityFinding) -> None:
    """Two rules for one image do not cancel each other out."""
    if finding.ruled:
        raise InvalidRequest("A rule turns these images round already: end that rule.")


def _rule(finding: PolarityFinding, first: datetime, last: datetime | None) -> PolarityRule:
    return PolarityRule(
        source_ae_title=finding.source_ae_title,
        station_name=finding.station_name,
        first_day=first.date(),
        first_time=first.time(),
        last_day=last.date() if last else None,
        last_time=last.time() if last else None,
        reason=f"Finding {finding.pk}: {finding.inverted} images appear inverted.",
    )


def _tell(principal: Principal, finding: PolarityFinding, kind: str) -> None:
    actor = actor_of(principal)
    events = alert_polarity(studies_of([finding]), actor)
    payload = {**payload_of(finding), "decision": finding.decision}
    record([*events, NewEvent(kind, actor, payload=payload)])
