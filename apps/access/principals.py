"""Principals: who is asking, whichever door they came by, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from apps.errors import NotPermitted


class Permission(Enum):
    """What the product lets somebody do; the values are Django permission names."""

    VIEW_IMAGES = "access.view_images"
    STORE_INSTANCES = "access.store_instances"
    MANAGE_QUARANTINE = "access.manage_quarantine"
    VIEW_WORKLIST = "access.view_worklist"
    MANAGE_WORKLIST = "access.manage_worklist"
    PERFORM_STEPS = "access.perform_steps"
    TRANSFER_STUDIES = "access.transfer_studies"
    DELETE_STUDIES = "access.delete_studies"
    ADMINISTER = "access.administer"
    READ_METRICS = "access.read_metrics"
    MARK_READ = "access.mark_read"


class PrincipalKind(Enum):
    """Where the principal's identity comes from."""

    USER = "user"
    TOKEN = "token"  # noqa: S105 -- a kind of principal, not a secret
    APPLICATION_ENTITY = "ae"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, from where, by which door. Doors make it; selectors and actions demand it."""

    kind: PrincipalKind
    name: str
    door: str
    address: str = ""
    user_id: int | None = None
    permissions: frozenset[Permission] = field(default_factory=frozenset)

    def may(self, permission: Permission) -> bool:
        """True when this principal holds the permission."""
        return permission in self.permissions


def permit(principal: Principal, permission: Permission) -> None:
    """Raises NotPermitted, in words a person understands, unless the permission is held."""
    if not principal.may(permission):
        raise NotPermitted(f"{principal.name or 'This caller'} may not do this.")


def system_principal(name: str) -> Principal:
    """The product acting for itself: tasks, commands, sweeps."""
    return Principal(PrincipalKind.SYSTEM, name, door="system", permissions=frozenset(Permission))
