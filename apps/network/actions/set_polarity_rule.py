"""Set, change or lift a rule by which images are shown with black and white exchanged."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.errors import InvalidRequest
from apps.events.log import NewEvent, record
from apps.network.models import PolarityRule


def set_polarity_rule(principal: Principal, rule: PolarityRule) -> None:
    """Saves the rule, with its event. Raises NotPermitted, InvalidRequest."""
    permit(principal, Permission.ADMINISTER)
    try:
        rule.full_clean()
    except ValidationError as error:
        name, problems = next(iter(error.message_dict.items()))
        raise InvalidRequest(f"{name}: {problems[0]}", offending=(name,)) from error
    with transaction.atomic():
        rule.save()
        record([NewEvent("PolarityRuleSet", actor_of(principal), payload=_payload(rule))])


def lift_polarity_rule(principal: Principal, rule: PolarityRule) -> None:
    """Removes the rule, with its event. Raises NotPermitted."""
    permit(principal, Permission.ADMINISTER)
    with transaction.atomic():
        payload = _payload(rule)
        rule.delete()
        record([NewEvent("PolarityRuleLifted", actor_of(principal), payload=payload)])


def _payload(rule: PolarityRule) -> dict[str, object]:
    return {
        "source": rule.source_ae_title,
        "station": rule.station_name,
        "from": rule.begin.isoformat(),
        "until": rule.end.isoformat() if rule.end else "",
        "instances": len(rule.sop_instance_uids.split()),
        "enabled": rule.enabled,
        "reason": rule.reason,
    }
