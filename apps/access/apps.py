from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "apps.access"
    label = "access"

    def ready(self) -> None:
        """Roles exist as soon as the tables do."""
        from django.db.models.signals import post_migrate

        from apps.access.roles import ensure_roles

        # Every app's migration may bring permissions, so this runs after each of them.
        post_migrate.connect(ensure_roles, dispatch_uid="apps.access.roles")
