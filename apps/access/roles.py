"""TABLE: the roles people get, each a Django group with the product's permissions.

Groups are made after every migration and only ever gain what is listed here: an administrator who
adds a permission to a group keeps it.
"""

from __future__ import annotations

from typing import Final

from apps.access.principals import Permission

ROLES: Final[dict[str, frozenset[Permission]]] = {
    "clinician": frozenset(
        {Permission.VIEW_IMAGES, Permission.MARK_READ, Permission.VIEW_WORKLIST}
    ),
    "technologist": frozenset(
        {
            Permission.VIEW_IMAGES,
            Permission.STORE_INSTANCES,
            Permission.MANAGE_QUARANTINE,
            Permission.VIEW_WORKLIST,
            Permission.MANAGE_WORKLIST,
            Permission.PERFORM_STEPS,
            Permission.TRANSFER_STUDIES,
        }
    ),
    "administrator": frozenset(Permission),
    "integration": frozenset(
        {
            Permission.VIEW_IMAGES,
            Permission.STORE_INSTANCES,
            Permission.VIEW_WORKLIST,
            Permission.MANAGE_WORKLIST,
            Permission.PERFORM_STEPS,
        }
    ),
}

# Administrators work in the admin site; these are the apps whose rows they may see and change.
ADMINISTERED_APPS: Final = (
    "access",
    "archive",
    "axes",
    "coercion",
    "commitment",
    "compression",
    "events",
    "forwarding",
    "ingest",
    "network",
    "polarity",
    "storage",
    "transfers",
    "worklist",
)


def ensure_roles() -> None:
    """Creates missing groups and permissions; run after migrations, harmless to repeat."""
    from django.contrib.auth.models import Group
    from django.contrib.auth.models import Permission as DjangoPermission

    for name, permissions in ROLES.items():
        group, _ = Group.objects.get_or_create(name=name)
        codenames = [each.value.partition(".")[2] for each in permissions]
        group.permissions.add(
            *DjangoPermission.objects.filter(
                content_type__app_label="access", codename__in=codenames
            )
        )
        if name == "administrator":
            group.permissions.add(
                *DjangoPermission.objects.filter(content_type__app_label__in=ADMINISTERED_APPS)
            )
