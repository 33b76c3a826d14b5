"""When a forwarding rule fits: its conditions, asked of the archive, and its hours."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from django.core.exceptions import ValidationError

from apps.access.principals import Principal
from apps.archive.selectors import count
from apps.dicom.conditions import Condition, conditions_of
from apps.errors import InvalidRequest


def validate_conditions(text: str) -> None:
    """For the model's field."""
    try:
        conditions_of(text)
    except InvalidRequest as error:
        raise ValidationError(error.message) from error


def fits(principal: Principal, study_instance_uid: str, conditions: tuple[Condition, ...]) -> bool:
    """True when the study meets every condition. One small query a value."""
    return all(
        any(count(each.query(study_instance_uid, value), principal) for value in each.values)
        for each in conditions
    )


def next_opening(now: datetime, opens: time | None, closes: time | None) -> datetime:
    """`now` within the hours (UTC, also over midnight), else when they begin again."""
    if opens is None or closes is None or opens == closes:
        return now
    at = now.astimezone(UTC).time()
    inside = opens <= at < closes if opens < closes else at >= opens or at < closes
    if inside:
        return now
    today = now.astimezone(UTC).replace(
        hour=opens.hour, minute=opens.minute, second=opens.second, microsecond=0
    )
    return today if today > now else today + timedelta(days=1)
