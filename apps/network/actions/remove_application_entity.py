"""Forget a peer."""

from __future__ import annotations

from django.db import transaction

from apps.access.principals import Permission, Principal, permit
from apps.events.log import Actor, NewEvent, record
from apps.network.models import ApplicationEntity


def remove_application_entity(principal: Principal, *, title: str) -> bool:
    """Removes the ApplicationEntity; False where there was none. Raises NotPermitted.

    What it sent stays, with its title as provenance.
    """
    permit(principal, Permission.ADMINISTER)
    with transaction.atomic():
        removed, _ = ApplicationEntity.objects.filter(title=title.strip()).delete()
        if removed:
            actor = Actor(principal.kind.value, principal.name, principal.address, principal.door)
            record([NewEvent("ApplicationEntityRemoved", actor, payload={"title": title.strip()})])
    return bool(removed)
