from typing import Any

from django.apps import AppConfig, apps


class AccessConfig(AppConfig):
    name = "apps.access"
    label = "access"

    def ready(self) -> None:
        """Roles exist as soon as the tables do."""
        from django.db.models.signals import post_migrate

        post_migrate.connect(_make_roles, dispatch_uid="apps.access.roles")


def _make_roles(sender: AppConfig, **_signal: Any) -> None:
    """After the last app's tables: any app's migration may have brought permissions."""
    from apps.access.roles import ensure_roles

    if sender is [each for each in apps.get_app_configs() if each.models_module][-1]:
        ensure_roles()
