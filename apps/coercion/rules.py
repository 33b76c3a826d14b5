"""Coercion rules made ready: which of them concern an object, and what they make of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet

from apps.coercion.models import CoercionRule
from apps.dicom.amendments import Circumstances, Layer, amended, layer_of
from apps.dicom.attributes import BY_KEYWORD
from apps.dicom.coercion import ATTRIBUTES, CHARACTER_SET, Step, coerced, steps_of, tag_of
from apps.dicom.conditions import Condition, conditions_of
from apps.dicom.data_sets import text_at
from apps.dicom.values import DELIMITER
from apps.errors import InvalidRequest

logger = logging.getLogger(__name__)

Direction = CoercionRule.Direction


@dataclass(frozen=True, slots=True)
class Rule:
    """One enabled CoercionRule, read."""

    name: str
    titles: frozenset[str]
    conditions: tuple[Condition, ...]
    steps: tuple[Step, ...]
    reason: str

    def concerns(self, title: str) -> bool:
        """Whether objects of this application entity may be meant."""
        return not self.titles or title in self.titles

    def fits(self, document: Mapping[str, Any], character_set: tuple[str, ...]) -> bool:
        """Whether the object meets every condition."""
        text_of = _texts(document, character_set)
        return all(each.met_by(text_of) for each in self.conditions)

    @property
    def character_set(self) -> tuple[str, ...]:
        """What the rule says of texts without a declared character set; empty where nothing."""
        for step in self.steps:
            if step.keyword == CHARACTER_SET:
                return tuple(step.argument.split(DELIMITER))
        return ()


@dataclass(frozen=True, slots=True)
class Difference:
    """One attribute before and after."""

    keyword: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What the rules made of an object; nothing where `layers` is empty."""

    document: Mapping[str, Any]
    layers: tuple[Layer, ...] = ()
    rules: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    problems: tuple[str, ...] = ()


def read_rule(row: CoercionRule) -> Rule:
    """Raises InvalidRequest for what was written past the checks of the form."""
    titles = (part.strip() for part in row.ae_titles.split(","))
    return Rule(
        row.name,
        frozenset(filter(None, titles)),
        conditions_of(row.conditions, of_instances=True),
        steps_of(row.operations),
        row.reason,
    )


def enabled_rules(direction: CoercionRule.Direction) -> QuerySet[CoercionRule]:
    """The rows of the rules that are in force, in their order."""
    return CoercionRule.objects.filter(enabled=True, direction=direction)


def rules_for(direction: CoercionRule.Direction) -> tuple[Rule, ...]:
    """The enabled rules in their order: one query."""
    found = []
    for row in enabled_rules(direction):
        try:
            found.append(read_rule(row))
        except InvalidRequest as error:
            # Its words are all there is to know.
            logger.error("The coercion rule %s cannot be read: %s", row.name, error.message)  # noqa: TRY400
    return tuple(found)


def concerning(rules: Sequence[Rule], title: str) -> tuple[Rule, ...]:
    """Those of the rules that an object of this application entity is looked at for."""
    return tuple(rule for rule in rules if rule.concerns(title))


def apply(
    rules: Sequence[Rule],
    document: Mapping[str, Any],
    character_set: tuple[str, ...],
    *,
    source: str,
    moment: datetime,
) -> Applied:
    """Runs the rules on an object in DICOM JSON, each on what the ones before it left.

    `character_set` are the values of (0008,0005) in the object itself, `source` who provided it.
    """
    layers: list[Layer] = []
    names: list[str] = []
    problems: list[str] = []
    differences: list[Difference] = []
    for rule in rules:
        if not rule.fits(document, character_set):
            continue
        text_of = _texts(document, character_set)
        circumstances = Circumstances(
            moment.strftime(_DT), settings.PACSWEB.ae_title, source, rule.reason
        )
        coercion = coerced(text_of, rule.steps)
        layer, coercion = layer_of(coercion, text_of, character_set, circumstances)
        problems += coercion.problems
        if layer is None:
            continue
        layers.append(layer)
        names.append(rule.name)
        differences += [
            Difference(keyword, text_of(keyword), after)
            for keyword, after in coercion.changes.items()
        ]
        document = amended(document, coercion, layer)
        declared = coercion.changes.get(CHARACTER_SET)
        character_set = tuple(declared.split(DELIMITER)) if declared else character_set
    return Applied(
        document, tuple(layers), tuple(names), tuple(differences), tuple(dict.fromkeys(problems))
    )


_DT: Final = "%Y%m%d%H%M%S.%f+0000"


def _texts(document: Mapping[str, Any], terms: tuple[str, ...]) -> Callable[[str], str]:
    """The text of an attribute by keyword."""

    def text_of(keyword: str) -> str:
        if keyword == CHARACTER_SET:
            return DELIMITER.join(terms)
        known = keyword in ATTRIBUTES or keyword in BY_KEYWORD
        return text_at(document, f"{tag_of(keyword):08X}") if known else ""

    return text_of
