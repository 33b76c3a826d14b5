"""keep_filter, forget_filter, arrange_filters: the named filters of one user's study list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import transaction

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.archive.models import SavedFilter
from apps.archive.saved_filters import as_filter
from apps.archive.study_list import SORTS
from apps.errors import InvalidRequest, NotFound
from apps.events.log import NewEvent, record

MOST_FILTERS: Final = 30
_LONGEST_NAME: Final = 64


def keep_filter(
    principal: Principal, name: str, asked: dict[str, Any], sort: str = ""
) -> SavedFilter:
    """Keeps the filter under its name, in place of an earlier one of that name.

    Raises NotPermitted, and InvalidRequest for a name or a filter that is none, and for one
    filter too many.
    """
    permit(principal, Permission.VIEW_IMAGES)
    owner = _owner(principal)
    name = " ".join(name.split())
    if not 0 < len(name) <= _LONGEST_NAME:
        raise InvalidRequest("A filter's name has 1 to 64 characters.", offending=("name",))
    if sort and sort.removeprefix("-") not in SORTS:
        raise InvalidRequest("The study list cannot be sorted by that.", offending=("sort",))
    as_filter(asked)
    with transaction.atomic():
        mine = SavedFilter.objects.select_for_update().filter(user_id=owner)
        others = list(mine)
        row = next((each for each in others if each.name == name), None)
        if row is None:
            if len(others) >= MOST_FILTERS:
                raise InvalidRequest(f"{MOST_FILTERS} filters are kept already; remove one first.")
            last = max((each.position for each in others), default=-1)
            row = SavedFilter(user_id=owner, name=name, position=last + 1)
        row.asked, row.sort = asked, sort
        row.save()
        record([NewEvent("StudyFilterKept", actor_of(principal), payload={"filter": row.pk})])
    return row


def forget_filter(principal: Principal, filter_id: int) -> None:
    """Removes one of the user's own filters. Raises NotFound, also for somebody else's."""
    permit(principal, Permission.VIEW_IMAGES)
    with transaction.atomic():
        found, _ = SavedFilter.objects.filter(user_id=_owner(principal), pk=filter_id).delete()
        if not found:
            raise NotFound("There is no such filter.")
        record(
            [NewEvent("StudyFilterForgotten", actor_of(principal), payload={"filter": filter_id})]
        )


def arrange_filters(principal: Principal, order: Sequence[int]) -> None:
    """Puts the user's filters in this order; those not named come last, as they were."""
    permit(principal, Permission.VIEW_IMAGES)
    with transaction.atomic():
        mine = list(SavedFilter.objects.select_for_update().filter(user_id=_owner(principal)))
        place = {key: position for position, key in enumerate(order)}
        mine.sort(key=lambda row: place.get(row.pk, len(place)))
        for position, row in enumerate(mine):
            row.position = position
        SavedFilter.objects.bulk_update(mine, ["position"])
        record([NewEvent("StudyFiltersArranged", actor_of(principal))])


def _owner(principal: Principal) -> int:
    if principal.user_id is None:
        raise InvalidRequest("Only a user has filters.")
    return principal.user_id
