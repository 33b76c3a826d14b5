"""What is laid down for objects that arrive, by who sent them: read once for a whole batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from apps.access.prepared import Prepared
from apps.archive.bulk import Question
from apps.coercion.models import CoercionRule
from apps.coercion.rules import Rule, concerning, enabled_rules, rules_for
from apps.dicom.part10 import Provenance
from apps.network.models import ApplicationEntity
from apps.network.selectors import SourceRules, senders_with_rules, source_rules

Duplicates = ApplicationEntity.Duplicates


@dataclass(frozen=True, slots=True)
class HouseRules:
    """The rules of the known senders, and the coercion rules on receipt."""

    senders: Mapping[str, SourceRules] = field(default_factory=dict)
    coercion: Sequence[Rule] = ()

    @property
    def silent(self) -> bool:
        """True where nothing is laid down for anybody."""
        return not self.senders and not self.coercion

    def coercion_for(self, title: str) -> tuple[Rule, ...]:
        """The rules an object of this sender is looked at for."""
        return concerning(self.coercion, title)

    def fallback_character_set(self, title: str) -> tuple[str, ...]:
        """How texts of this sender are read where they do not fit what the object declares."""
        declared = (rule.character_set for rule in self.coercion_for(title))
        known = self.senders.get(title)
        return next(filter(None, declared), known.character_set if known else ())

    def duplicates(self, provenance: Provenance) -> str:
        """What becomes of other bytes under a known UID.

        A title in a file or a web request is a claim: only an association has been admitted by it.
        """
        known = self.senders.get(provenance.source_ae_title)
        if known is None or provenance.door != "dimse":
            return str(Duplicates.QUARANTINE)
        return known.duplicates


def house_rules() -> HouseRules:
    """Two small queries; what they gave is read again only where it has changed."""
    rows = [tuple(each.rows()) for each in _questions()]
    before, rules = _read.last
    if before != rows:
        # Asked before the rules are read: a change in between is seen the next time. Both are kept
        # in one step, or what a slower thread read earlier might stand beside newer rows for good.
        rules = HouseRules(source_rules(), rules_for(CoercionRule.Direction.RECEIVE))
        _read.last = rows, rules
    return rules


def are_any_laid_down() -> list[Question]:
    """The questions whether there are rules at all, to be asked with others."""
    return [each.question() for each in _questions()]


@cache
def _questions() -> tuple[Prepared, Prepared]:
    """Both queries; of a rule all columns, so that no change is missed."""
    rules = enabled_rules(CoercionRule.Direction.RECEIVE)
    return Prepared(senders_with_rules(), ()), Prepared(rules.values_list(), ())


@dataclass(slots=True)
class _Read:
    """What this process read last, and the rows it read it from."""

    last: tuple[list[tuple[Any, ...]] | None, HouseRules] = (None, HouseRules())


_read = _Read()
