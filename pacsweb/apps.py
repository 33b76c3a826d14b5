"""The project as a Django app: its commands, and the Celery application for every process."""

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class PacswebConfig(AppConfig):
    name = "pacsweb"

    def ready(self) -> None:
        # Tasks declared in the apps belong to this application, in web and dimse as well.
        from pacsweb import celery, deployment_checks  # noqa: F401
        from pacsweb.abandoned_cursors import let_cursors_close

        connection_created.connect(let_cursors_close)
