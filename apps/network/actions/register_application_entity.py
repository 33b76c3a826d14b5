"""Add a peer, or change the one with that title."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction

from apps.access.principals import Permission, Principal, permit
from apps.errors import InvalidRequest
from apps.events.log import Actor, NewEvent, record
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
        changed = _apply(entity, {"host": host.strip(), "port": port, **rules})
        _check(entity)
        if created or changed:
            entity.save()
            kind = "ApplicationEntityAdded" if created else "ApplicationEntityChanged"
            record([NewEvent(kind, _actor(principal), payload=_payload(entity, changed))])
    return Registration(entity, created, changed)


def _apply(entity: ApplicationEntity, wanted: dict[str, object]) -> tuple[str, ...]:
    changed = tuple(name for name, value in wanted.items() if getattr(entity, name) != value)
    for name in changed:
        setattr(entity, name, wanted[name])
    return changed


def _check(entity: ApplicationEntity) -> None:
    if entity.match_address and not entity.host:
        raise InvalidRequest("An address check needs a host.", offending=("host",))
    try:
        entity.full_clean(validate_unique=False)
    except ValidationError as error:
        name, problems = next(iter(error.message_dict.items()))
        raise InvalidRequest(f"{name}: {problems[0]}", offending=(name,)) from error


def _payload(entity: ApplicationEntity, changed: tuple[str, ...]) -> dict[str, object]:
    return {
        "title": entity.title,
        "host": entity.host,
        "port": entity.port,
        "changed": list(changed),
    }


def _actor(principal: Principal) -> Actor:
    return Actor(principal.kind.value, principal.name, principal.address, principal.door)
