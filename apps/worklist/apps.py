from django.apps import AppConfig
from django.core.checks import register


class WorklistConfig(AppConfig):
    name = "apps.worklist"
    label = "worklist"

    def ready(self) -> None:
        """Registers the check that holds the worklist's table and its models together."""
        from apps.worklist.checks import check_worklist_columns

        register(check_worklist_columns)
