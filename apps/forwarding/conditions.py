"""Conditions of a rule: attributes of a study, in the words and by the matching of queries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from django.core.exceptions import ValidationError
from pydicom.datadict import tag_for_keyword

from apps.access.principals import Principal
from apps.archive.selectors import count
from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.query import Key, Level, Query, plan
from apps.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Condition:
    """An attribute with the values of which one must match."""

    keyword: str
    values: tuple[str, ...]

    def query(self, study_instance_uid: str, value: str) -> Query:
        """Whether this study has this value."""
        keys = (
            Key((BY_KEYWORD["StudyInstanceUID"].tag,), (study_instance_uid,)),
            Key((int(tag_for_keyword(self.keyword) or 0),), (value,)),
        )
        return Query(level=Level.STUDY, keys=keys, relational=True)


def conditions_of(text: str) -> tuple[Condition, ...]:
    """Lines of `Keyword=value, value`. Raises ValidationError, naming the line."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        keyword, equals, rest = line.partition("=")
        values = tuple(filter(None, map(str.strip, rest.split(","))))
        condition = Condition(keyword.strip(), values)
        if not equals or not values or condition.keyword not in BY_KEYWORD:
            raise ValidationError(f"“{line}” is no condition: write Keyword=value.")
        if condition.keyword == "StudyInstanceUID":
            raise ValidationError("A rule is for studies to come: StudyInstanceUID fits none.")
        try:
            for value in values:
                plan(condition.query("1.2.3", value))
        except InvalidRequest as error:
            raise ValidationError(f"“{line}”: {error.message}") from error
        found.append(condition)
    return tuple(found)


def validate_conditions(text: str) -> None:
    """For the model's field."""
    conditions_of(text)


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
