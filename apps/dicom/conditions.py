"""Conditions of a rule: attributes and values, in the words and by the matching of queries.

One a line, `Keyword=value, value`: each must hold, by any of its values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from apps.dicom.attributes import BY_KEYWORD, Matching
from apps.dicom.criteria import criterion_of
from apps.dicom.matching import value_met
from apps.dicom.query import Key, Level, Query, plan
from apps.dicom.values import normalise
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
            Key((BY_KEYWORD[self.keyword].tag,), (value,)),
        )
        return Query(level=Level.STUDY, keys=keys, relational=True)

    def met_by(self, text_of: Callable[[str], str]) -> bool:
        """Whether one instance meets it; `text_of` gives its texts by keyword.

        What a study collects from its instances (ModalitiesInStudy) is asked of the instance.
        """
        attribute = BY_KEYWORD[self.keyword]
        own = BY_KEYWORD[attribute.from_children or self.keyword]
        text = normalise(own.vr, text_of(own.keyword))
        return any(value_met(own.vr, criterion_of(own, (value,)), text) for value in self.values)


def conditions_of(text: str, *, of_instances: bool = False) -> tuple[Condition, ...]:
    """The conditions in the lines of `text`. Raises InvalidRequest, naming the line.

    Counts are no conditions of instances.
    """
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        keyword, equals, rest = line.partition("=")
        values = tuple(filter(None, map(str.strip, rest.split(","))))
        condition = Condition(keyword.strip(), values)
        if not equals or not values or condition.keyword not in BY_KEYWORD:
            raise InvalidRequest(f"“{line}” is no condition: write Keyword=value.")
        if condition.keyword == "StudyInstanceUID":
            raise InvalidRequest("A rule is for studies to come: StudyInstanceUID fits none.")
        counted = BY_KEYWORD[condition.keyword].matching is Matching.COUNT
        if of_instances and counted:
            raise InvalidRequest(f"“{line}” counts; a single object has no count.")
        try:
            for value in values:
                plan(condition.query("1.2.3", value))
        except InvalidRequest as error:
            raise InvalidRequest(f"“{line}”: {error.message}") from error
        found.append(condition)
    return tuple(found)
