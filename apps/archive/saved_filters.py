"""The named filters of a user, and how many studies each finds. A selector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from apps.access.principals import Permission, Principal, permit
from apps.archive.models import SavedFilter
from apps.archive.study_list import (
    DATE_PRESETS,
    STATES,
    StudyListFilter,
    matching_count,
)
from apps.errors import InvalidRequest

# A tab says "999+" beyond this: it tells whether work waits, not how much there ever was.
MOST_COUNTED: Final = 1_000
_LONGEST_TEXT: Final = 256
_TEXTS: Final = frozenset(
    ("q", "date", "date_from", "date_to", "description", "body_part", "accession", "referring",
     "station", "state")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CountedFilter:
    """A saved filter and its count, `MOST_COUNTED` standing for that many and more.

    `count` is None for a filter that a later version no longer understands.
    """

    row: SavedFilter
    count: int | None


def saved_filters(principal: Principal, today: str = "") -> Iterator[CountedFilter]:
    """The principal's own filters in their order; `today` is their calendar's day, YYYYMMDD."""
    permit(principal, Permission.VIEW_IMAGES)
    for row in SavedFilter.objects.filter(user_id=principal.user_id or 0):
        try:
            found = matching_count(as_filter(row.asked, today), principal, MOST_COUNTED)
        except InvalidRequest:
            yield CountedFilter(row, None)
        else:
            yield CountedFilter(row, found)


def as_filter(asked: Mapping[str, Any], today: str = "") -> StudyListFilter:
    """The filter that the stored JSON stands for; raises InvalidRequest where it stands for none.

    Texts are text, `modality` a list of texts; dates and states are checked here, so that what is
    kept can be asked.
    """
    unknown = sorted(set(asked) - _TEXTS - {"modality"})
    if unknown:
        raise InvalidRequest(f"There is no filter {unknown[0][:40]!r}.", offending=("asked",))
    texts = {name: asked[name] for name in _TEXTS if asked.get(name)}
    modality = asked.get("modality") or []
    if not all(_is_text(text) for text in texts.values()):
        raise InvalidRequest("A filter is text of 256 characters at most.", offending=("asked",))
    if not isinstance(modality, list) or not all(_is_text(each) for each in modality):
        raise InvalidRequest("`modality` is a list of texts.", offending=("asked",))
    if (
        texts.get("date", "today") not in DATE_PRESETS
        or texts.get("state", STATES[0]) not in STATES
    ):
        raise InvalidRequest("This date or state is none of the list.", offending=("asked",))
    return StudyListFilter(**texts, modality=tuple(modality), today=today)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT
