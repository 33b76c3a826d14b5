"""Forget a peer."""

from __future__ import annotations

from django.db import transaction

from apps.access.actions.keep_rule import drop_rule
from apps.access.principals import Permission, Principal, permit
from apps.network.models import ApplicationEntity


def remove_application_entity(principal: Principal, *, title: str) -> bool:
    """Removes the ApplicationEntity; False where there was none. Raises NotPermitted.

    What it sent stays, with its title as provenance.
    """
    permit(principal, Permission.ADMINISTER)
    with transaction.atomic():
        entity = ApplicationEntity.objects.filter(title=title.strip()).first()
        if entity is not None:
            drop_rule(principal, entity)
    return entity is not None
