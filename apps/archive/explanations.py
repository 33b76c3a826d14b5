"""Why a query found nothing: each key looked at alone, and what is stored near what it asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from django.db.models import Q

from apps.access.principals import Principal
from apps.archive.entities import ENTITY_MAPS
from apps.archive.private_keys import private_part
from apps.archive.selectors import count, scope_of
from apps.dicom.attributes import BY_TAG, TIME_OF, Attribute, Entity
from apps.dicom.criteria import asks_for_nothing
from apps.dicom.query import FUZZY_NAMES, Key, Query, plan
from apps.dicom.values import days_around, fold_name, normalise
from apps.errors import OutOfResources
from apps.indexing.compiler import EntityMap, prefix, without_value

_NEAREST: Final = 5
_SHORTEST_PREFIX: Final = 2
_LONGEST_PREFIX: Final = 32
_TEXT_VRS: Final = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT", "IS", "DS"})


@dataclass(frozen=True, slots=True)
class KeyExplanation:
    """One key: how many match it alone, and how many would without it; None where not counted.

    `reasons` are sentences, `nearest` stored values that come close.
    """

    keyword: str
    value: str
    alone: int | None
    without: int | None
    reasons: tuple[str, ...]
    nearest: tuple[str, ...]


def explained(query: Query, principal: Principal) -> list[KeyExplanation]:
    """An explanation for each matching key. Raises InvalidRequest as `search` does."""
    plan(query)
    whole = replace(query, limit=None, offset=0, include=frozenset(), include_all=False)
    keys = [key for key in query.keys if not key.universal]
    return [_key_explained(key, keys, whole, principal) for key in keys]


def _key_explained(key: Key, keys: list[Key], query: Query, principal: Principal) -> KeyExplanation:
    attribute = BY_TAG.get(key.path[0]) if len(key.path) == 1 else None
    alone = _counted(query, (key,), principal)
    others = tuple(each for each in keys if each is not key)
    without = _counted(query, others, principal) if others else None
    reasons: list[str] = []
    nearest: tuple[str, ...] = ()
    left, _ = private_part(replace(query, keys=(key,)))
    if key in plan(left).unsupported:
        reasons.append("This attribute cannot be a key at this level.")
        alone = None
    elif alone is None:
        reasons.append("Too many objects would have to be read to look for this key alone.")
    elif alone and others and without:
        reasons.append("It is met by others than those the remaining keys are met by.")
    elif not alone and attribute is not None:
        nearest, reasons = _near(attribute, key, query, principal)
    elif not alone:
        reasons.append("No stored object has this value.")
    named = attribute.keyword if attribute else ".".join(f"{tag:08X}" for tag in key.path)
    return KeyExplanation(named, "\\".join(key.values), alone, without, tuple(reasons), nearest)


def _counted(query: Query, keys: tuple[Key, ...], principal: Principal) -> int | None:
    try:
        return count(replace(query, keys=keys), principal)
    except OutOfResources:
        return None


def _near(
    attribute: Attribute, key: Key, query: Query, principal: Principal
) -> tuple[tuple[str, ...], list[str]]:
    """Stored values near the key's, and sentences that say in what they differ."""
    entities = ENTITY_MAPS[query.level]
    if attribute.entity not in entities.paths:
        return (), ["Nothing below has this value."]
    look = _Look(attribute, entities, principal)
    if key.empty and asks_for_nothing(key.values):
        return (), [f"Every object has a value of {attribute.keyword}."]
    if not look.any_value():
        return (), [f"No object has a value of {attribute.keyword}."]
    value = normalise(attribute.vr, key.values[0])
    if attribute.vr == "PN":
        return _near_name(look, key, query)
    if attribute.vr in {"DA", "DT", "TM"}:
        return _near_moment(look, key, value, query)
    nearest = look.beginning(value.strip("*?"))
    reasons = []
    if attribute.vr in _TEXT_VRS:
        other_case = look.values(Q(**{f"{look.path}__iexact": value.strip("*")}))
        if other_case:
            nearest = other_case
            reasons.append("Capital and small letters count, and the stored ones differ.")
        elif nearest and not any(letter in value for letter in "*?"):
            reasons.append("The whole value must match; a * at the end finds what goes on.")
    return nearest, reasons or ["No stored object has this value."]


class _Look:
    """Questions about one attribute's stored values, within what the principal may know of."""

    def __init__(self, attribute: Attribute, entities: EntityMap, principal: Principal) -> None:
        self.attribute = attribute
        self.path = entities.path(attribute)
        self.principal = principal
        study = entities.paths.get(Entity.STUDY, "studies__")
        self.rows = entities.model._default_manager.filter(scope_of(principal, study))

    def any_value(self) -> bool:
        """Whether there is any value at all."""
        empty = without_value(self.attribute, self.path)
        return bool(self.rows.exclude(empty).order_by()[:1])

    def values(self, condition: Q, *order: str) -> tuple[str, ...]:
        """A few different stored values that meet the condition."""
        rows = self.rows.filter(condition).order_by(*order or (self.path,))
        found = rows.values_list(self.path, flat=True).distinct()[:_NEAREST]
        return tuple(str(value) for value in found if value not in (None, ""))

    def beginning(self, value: str, path: str = "") -> tuple[str, ...]:
        """Values that begin as `value` does, by the longest beginning that finds any."""
        column = path or self.path
        if self.attribute.vr in {"IS", "US", "UL", "SS", "SL"}:
            return ()
        for length in _prefix_lengths(value):
            found = self.values(prefix(column, value[:length]), column)
            if found:
                return found
        return ()


def _prefix_lengths(value: str) -> Iterator[int]:
    length = min(len(value), _LONGEST_PREFIX)
    while length >= _SHORTEST_PREFIX:
        yield length
        length = length - 1 if length <= _SHORTEST_PREFIX * 2 else length * 2 // 3


_GROUPS: Final = ("alphabetic", "ideographic", "phonetic")


def _near_name(look: _Look, key: Key, query: Query) -> tuple[tuple[str, ...], list[str]]:
    """Other groups, more components, and names that sound alike."""
    reasons: list[str] = []
    value = key.values[0]
    if "=" in value:
        for group in filter(None, value.split("=")):
            if _counted(query, (Key(key.path, (group,)),), look.principal):
                reasons.append("It stands in another component group; without = all are searched.")
                break
    longer = value.rstrip("*^") + "*"
    if longer != value and _counted(query, (Key(key.path, (longer,)),), look.principal):
        reasons.append("Stored names go on; a * at the end finds them.")
    nearest = look.beginning(fold_name(value.strip("*?"))[0], f"{look.path}_alphabetic")
    fuzzy = look.attribute.keyword in FUZZY_NAMES and not query.fuzzy_names
    if fuzzy and _counted(replace(query, fuzzy_names=True), (key,), look.principal):
        reasons.append("Names that sound alike are stored; fuzzymatching=true finds them.")
    return nearest, reasons or ["No stored name matches."]


def _near_moment(
    look: _Look, key: Key, value: str, query: Query
) -> tuple[tuple[str, ...], list[str]]:
    """The stored values before and after, and whether a day more on each side helps."""
    low, _, high = value.partition("-")
    before = look.values(Q(**{f"{look.path}__lt": low, f"{look.path}__gt": ""}), f"-{look.path}")
    after = look.values(Q(**{f"{look.path}__gt": high or low}), look.path)
    reasons = []
    if look.attribute.keyword in TIME_OF:
        wider = days_around(low, high or low)
        if wider and _counted(query, (Key(key.path, (wider,)),), look.principal):
            reasons.append("Stored one day off: a time zone, or an examination at midnight.")
    return (*before[:2], *after[:2]), reasons or ["Nothing is stored for that time."]
