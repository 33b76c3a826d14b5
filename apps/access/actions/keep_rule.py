"""Rules, peers and policies: the one way to save or remove such a row, with the event of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import models, transaction

from apps.access.audit import actor_of
from apps.access.principals import Permission, Principal, permit
from apps.errors import InvalidRequest, WrongState
from apps.events.log import NewEvent, record

_SECRETS: Final = frozenset({"secret"})
_MOST_NAMED: Final = 5
_PLAIN: Final = (str, int, bool, type(None))


def keep_rule(principal: Principal, row: models.Model) -> tuple[str, ...]:
    """Saves the row if it says something new; the names of the fields that changed.

    The event is named after the model: `ForwardingRuleAdded`, `ForwardingRuleChanged`. Raises
    NotPermitted, and InvalidRequest with a sentence for people.
    """
    permit(principal, Permission.ADMINISTER)
    with transaction.atomic():
        table = type(row)._default_manager
        before = table.select_for_update().filter(pk=row.pk).first() if row.pk else None
        check_rule(row)
        changed = _changed(before, row)
        if before is None:
            row.save()
        elif changed:
            row.save(update_fields=changed)
        if before is None or changed:
            done = "Added" if before is None else "Changed"
            record([_event(principal, row, done, changed)])
    return changed


def drop_rule(principal: Principal, row: models.Model) -> None:
    """Removes the row, with its event (`ForwardingRuleRemoved`).

    Raises NotPermitted, and WrongState with the names of what needs it.
    """
    permit(principal, Permission.ADMINISTER)
    with transaction.atomic():
        event = _event(principal, row, "Removed", ())
        try:
            row.delete()
        except models.ProtectedError as error:
            raise WrongState(_needed(row, error.protected_objects)) from error
        record([event])


def _needed(row: models.Model, by: Iterable[models.Model]) -> str:
    names = sorted(f"{each._meta.verbose_name} {each}" for each in by)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{row} is needed by {', '.join(names[:_MOST_NAMED])}{more}: remove that first."


def check_rule(row: models.Model) -> None:
    """Raises InvalidRequest for a row that cannot be kept, with a sentence for people."""
    try:
        row.full_clean()
    except ValidationError as error:
        name, problems = next(iter(error.message_dict.items()))
        raise InvalidRequest(f"{name}: {problems[0]}", offending=(name,)) from error


def _changed(before: models.Model | None, row: models.Model) -> tuple[str, ...]:
    fields = [each for each in row._meta.concrete_fields if not each.primary_key]
    if before is None:
        return tuple(each.name for each in fields if each.editable)
    return tuple(
        each.name for each in fields if getattr(before, each.attname) != getattr(row, each.attname)
    )


def _event(
    principal: Principal, row: models.Model, done: str, changed: tuple[str, ...]
) -> NewEvent:
    payload: dict[str, Any] = {"id": row.pk, "name": str(row)[:200]}
    if changed:
        payload["changed"] = list(changed)
        payload["values"] = {
            name: _told(row.serializable_value(name)) for name in changed if name not in _SECRETS
        }
    return NewEvent(f"{type(row).__name__}{done}", actor_of(principal), payload=payload)


def _told(value: Any) -> Any:
    """The value as the event log keeps it."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return value if isinstance(value, _PLAIN) else str(value)
