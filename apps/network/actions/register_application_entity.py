"""Add a peer, or change the one with that title."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from apps.access.actions.keep_rule import keep_rule
from apps.access.principals import Permission, Principal, permit
from apps.network.models import ApplicationEntity


@dataclass(frozen=True, slots=True)
class Registration:
    """What became of it: the row, and whether it is new or was changed."""

    entity: ApplicationEntity
    created: bool
    changed: tuple[str, ...]


def register_application_entity(
    principal: Principal, *, title: str, host: str = "", port: int | None = None, **rules: object
) -> Registration:
    """Makes the ApplicationEntity be as given; doing it twice changes nothing and says nothing.

    `rules` takes enabled, match_address and the columns of `Right`; what is not given stays as it
    is. Raises NotPermitted, InvalidRequest with a sentence for people.
    """
    permit(principal, Permission.ADMINISTER)
    title = title.strip()
    with transaction.atomic():
        entity = ApplicationEntity.objects.filter(title=title).first()
        created = entity is None
        entity = entity or ApplicationEntity(title=title)
        for name, value in {"host": host.strip(), "port": port, **rules}.items():
            setattr(entity, name, value)
        changed = keep_rule(principal, entity)
    return Registration(entity, created, changed)
