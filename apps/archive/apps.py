from django.apps import AppConfig
from django.core.checks import register


class ArchiveConfig(AppConfig):
    name = "apps.archive"
    label = "archive"

    def ready(self) -> None:
        """Registers the check that holds the attribute table and the models together.

        And how UIDs stand in paths, for the URLs of all that is above.
        """
        from apps.archive.checks import check_attribute_columns
        from apps.archive.uid_paths import register_converters

        register(check_attribute_columns)
        register_converters()
