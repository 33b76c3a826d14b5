from django.apps import AppConfig
from django.core.checks import register


class ArchiveConfig(AppConfig):
    name = "apps.archive"
    label = "archive"

    def ready(self) -> None:
        """Registers the check that holds the attribute table and the models together."""
        from apps.archive.checks import check_attribute_columns

        register(check_attribute_columns)
